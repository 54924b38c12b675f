package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// place is a process of this program in a mount namespace of its own, in which
// the bare runtimes are started and timed.
//
// It is there since crun 1.8 refuses a hybrid layout of cgroups: in the place, and
// nowhere else, the version 2 part of it is not mounted. runsc and podman leave
// mounts behind, which are gone with it. Of an ordinary user it is in a user
// namespace as well, where that user is root, as podman makes one.
type place struct {
	cmd *exec.Cmd
	in  io.Closer
	out *json.Decoder
	ask *json.Encoder
}

// placeName is the argv[0] of such a process.
const placeName = "kavach-bench-place"

// order is a program to be run there. Without one, what has ended there is reaped.
type order struct {
	Argv []string

	// Detached says that something of the program stays, which would hold open
	// what its output is read from: it has none.
	Detached bool
}

// done is how it went.
type done struct {
	First time.Duration // until the first byte of its output; 0: there was none
	Total time.Duration // until its end was known
	Err   string        // empty: it ended with 0
}

func newPlace() (_ *place, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Args, cmd.Stderr = []string{placeName}, os.Stderr
	apart(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a place for the bare runtimes: %w", err)
	}
	p := &place{cmd: cmd, in: in, out: json.NewDecoder(out), ask: json.NewEncoder(in)}
	var ready done
	if err = p.out.Decode(&ready); err == nil && ready.Err != "" {
		err = errors.New(ready.Err)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a place for the bare runtimes: %w", err), p.end())
	}
	return p, nil
}

// pid is that of the process, whose descendants are all that was left running.
func (p *place) pid() int { return p.cmd.Process.Pid }

func (p *place) end() error {
	err := p.in.Close()
	if waitErr := p.cmd.Wait(); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("the place of the bare runtimes: %w", waitErr))
	}
	return err
}

// run runs a program to its end.
func (p *place) run(o order) (d done, err error) {
	if err := p.ask.Encode(o); err != nil {
		return d, err
	}
	if err := p.out.Decode(&d); err != nil {
		return d, err
	}
	if d.Err != "" {
		return d, errors.New(d.Err)
	}
	return d, nil
}

// servePlace is main of the process: it runs what it is asked to, until its
// standard input ends.
func servePlace(in io.Reader, out io.Writer) int {
	answers, orders := json.NewEncoder(out), json.NewDecoder(in)
	var ready done
	if err := enterPlace(); err != nil {
		ready.Err = err.Error()
	}
	if err := answers.Encode(ready); err != nil || ready.Err != "" {
		return 1
	}
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			return 0
		}
		reapOrphans()
		var d done
		if len(o.Argv) > 0 {
			var err error
			if d, err = o.run(); err != nil {
				d.Err = err.Error()
			}
		}
		if err := answers.Encode(d); err != nil {
			return 1
		}
	}
}

// run runs the program here, with its stdin on /dev/null.
func (o order) run() (done, error) {
	return o.runIn([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin"})
}

// runIn is run with another environment.
func (o order) runIn(env []string) (d done, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return d, err
	}
	defer null.Close()
	said, err := os.CreateTemp("", "kavach-bench-said-")
	if err != nil {
		return d, err
	}
	defer said.Close()
	if err := os.Remove(said.Name()); err != nil {
		return d, err
	}
	stdout, r := null, (*os.File)(nil)
	if !o.Detached {
		if r, stdout, err = os.Pipe(); err != nil {
			return d, err
		}
		defer r.Close()
	}
	start := time.Now()
	p, err := os.StartProcess(o.Argv[0], o.Argv, &os.ProcAttr{Env: env, Files: []*os.File{null, stdout, said}})
	if r != nil {
		stdout.Close()
	}
	if err != nil {
		return d, err
	}
	if r != nil {
		if n, _ := r.Read(make([]byte, 1)); n > 0 { // its end says the rest
			d.First = time.Since(start)
		}
		_, _ = io.Copy(io.Discard, r)
	}
	state, err := p.Wait()
	d.Total = time.Since(start)
	if err == nil && !state.Success() {
		text := make([]byte, 1<<10)
		n, _ := said.ReadAt(text, 0)
		err = fmt.Errorf("%s: %v: %s", o.Argv[0], state, text[:n])
	}
	return d, err
}
