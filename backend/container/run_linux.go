package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/policy"
)

// runtimeTasks are how many tasks a runtime needs at once while it starts a
// container: runc has a dozen threads, twice.
const runtimeTasks = 24

// startPatience is how long a runtime may take to start a container: it takes 15
// to 200 milliseconds, and more where the machine is busy.
const startPatience = 20 * time.Second

// run is the starting of one container by a runtime in a keeper.
type run struct {
	backend *Backend
	jail    *jail.Jail
	path    string // of the runtime
	guest   string // the path of its program
	id      string
	uid     int
	ids     int // in the keeper; see specOptions
	said    *agent.Tail
	pid     int // of the container's first process, in the keeper, as the runtime says

	loopback bool   // the policy wants one
	gvisor   gvisor // what is looked at of runsc

	settled chan struct{} // closed when no call of the runtime goes on
}

func (r *run) patience() time.Duration {
	if r.backend.patience > 0 {
		return r.backend.patience
	}
	return startPatience
}

// ended is how the runtime ended.
type ended struct {
	exit backend.Exit
	err  error
}

// start starts the container, and returns when its guest is ready and has been
// looked at, and the runtime itself is gone. Where it fails, the jail is to be
// closed.
func (r *run) start(ctx context.Context) (*jail.Contained, error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	conn, p, err := r.launch(ctx)
	if err != nil {
		return nil, err
	}
	if r.gvisor.log != nil {
		defer r.gvisor.log.Close()
	}
	end := make(chan ended, 1)
	r.settled = make(chan struct{})
	go func() {
		defer close(r.settled)
		exit, err := p.Wait(ctx)
		end <- ended{exit, err}
	}()
	attend := jail.Attendance{Conn: conn, Said: r.said, Given: guestEnv}
	if r.backend.Kind == GVisor {
		attend.Adapt, attend.Look, attend.Given = adaptSetup, r.look, nil
	}
	inside, err := r.jail.Attend(ctx, attend)
	if err != nil {
		return nil, r.explain(ctx, err, end)
	}
	e := <-end
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, r.unavailable(fmt.Sprintf("%s run did not end within %v; %s", r.path, r.patience(), r.words()))
	}
	if e.err != nil || e.exit.Code != 0 {
		return nil, r.failed(ctx, e)
	}
	if err := r.readPID(); err != nil {
		return nil, err
	}
	return inside, r.check(inside)
}

// launch runs the runtime, with what its container is to inherit.
func (r *run) launch(ctx context.Context) (*guest.Conn, *jail.Command, error) {
	conn, theirs, err := guest.NewChannel()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	p, err := r.execute(ctx, theirs)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, p, nil
}

func (r *run) execute(ctx context.Context, channel *os.File) (*jail.Command, error) {
	program, err := jail.OpenGuest(r.guest)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	said, stderr, err := agent.NewTail()
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	r.said = said
	inherited := []*os.File{channel, program}
	hand, log := []string{"--preserve-fds", "2"}, []string(nil)
	if r.backend.Kind == GVisor {
		if r.gvisor.log, err = newLog(); err != nil {
			return nil, err
		}
		inherited = append(inherited, r.gvisor.log)
		hand, log = []string{"--pass-fd", "3:3", "--exec-fd", "4"}, logFlags
	}
	cmd := r.command(slices.Concat(log, []string{"run", "--detach", "--bundle", jail.Bundle, "--pid-file", pidFile}, hand, []string{r.id})...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	cmd.Files = jail.Inherited(inherited...)
	p, err := r.jail.Exec(ctx, cmd)
	var refused *backend.ExecError
	if errors.As(err, &refused) {
		return nil, r.unavailable(fmt.Sprintf("%s: %v", r.path, refused.Errno))
	}
	return p, err
}

// command is a call of the runtime.
func (r *run) command(args ...string) backend.Cmd {
	global := []string{r.path, "--root", jail.RuntimeDir}
	if r.backend.Kind == GVisor {
		global = append(global, r.runscFlags()...)
	}
	return backend.Cmd{Args: append(global, args...), Dir: "/", Env: runtimeEnviron}
}

// runtimeEnviron is the environment of a runtime.
var runtimeEnviron = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR=" + jail.RuntimeDir, "LC_ALL=C"}

// pidFile is where the runtime writes which process it has made. It is asked for
// nothing more, as "state" would be another start of it, which takes 4 to 7
// milliseconds, and another place to lie in.
const pidFile = jail.Bundle + "/pid"

// readPID reads what the runtime, which has ended, says of the container.
func (r *run) readPID() error {
	text, err := r.jail.ReadFile(pidFile, askMost)
	if err == nil {
		r.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return fmt.Errorf("what %s says of its container, in its pid file: %w", r.path, err)
	}
	return nil
}

// check holds what the runtime says of the container against whose probe was
// looked at.
func (r *run) check(inside *jail.Contained) error {
	if r.backend.Kind == GVisor {
		return r.checkSentry(inside)
	}
	if slices.Contains(r.backend.without, policy.NSPid) {
		return nil // there is nothing to hold it against
	}
	pids, err := initOf(inside.Evidence)
	if err != nil {
		return err
	}
	if len(pids) != containerDepth || r.pid != pids[1] || pids[2] != 1 {
		return fmt.Errorf("%s says that process %d is its container's, and the guest is process %v on the host, in the keeper and in the container",
			r.path, r.pid, pids)
	}
	return nil
}

// explain says what a container that did not come up failed of: the runtime, or
// something that came after it.
func (r *run) explain(ctx context.Context, err error, end <-chan ended) error {
	const moment = 200 * time.Millisecond // what its end takes to get here
	e := ended{err: err}
	select {
	case e = <-end:
	case <-time.After(moment):
	}
	var failed *guest.Failed
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case r.jail.OOMKills() > 0:
		return r.noMemory()
	case e.err == nil && e.exit.Code != 0:
		return r.failed(ctx, e)
	case ctx.Err() != nil:
		return r.unavailable(fmt.Sprintf("%s did not start a container within %v; %s", r.path, r.patience(), r.words()))
	case errors.As(err, &failed):
		return err
	}
	return r.unavailable(fmt.Sprintf("%s run did not bring up the guest in a container: %v; %s", r.path, err, r.words()))
}

// failed says why the runtime did not do it.
func (r *run) failed(ctx context.Context, e ended) error {
	how := fmt.Sprintf("%s run: exit status %d", r.path, e.exit.Code)
	switch {
	case e.err != nil:
		how = fmt.Sprintf("%s run: %v", r.path, e.err)
	case e.exit.Signal != 0:
		how = fmt.Sprintf("%s run: %v", r.path, e.exit.Signal)
	}
	how += "; " + r.words()
	switch {
	case r.jail.OOMKills() > 0:
		return r.noMemory()
	case r.backend.Kind == GVisor:
		return r.runscFailed(ctx, e, how)
	case r.ids == 0 && r.uid != 0:
		return &backend.UnsupportedError{
			Backend: r.backend.Name(), Control: policy.NSUser,
			Reason: fmt.Sprintf("an ordinary user has one id to give, and that is %d inside, so that there is no uid 0, which some runtimes cannot do without: %s", r.uid, how),
			Fix:    "be root inside (--user 0), or use crun (--runtime crun)",
		}
	}
	return r.unavailable(how)
}

// noMemory: the runtime is in the sandbox's cgroup, as all that it starts is.
func (r *run) noMemory() error {
	return fmt.Errorf("%s run: the sandbox was out of memory before it was ready, of which the runtime takes some as well; allow it more (resources.memory, --memory); %s",
		r.path, r.words())
}

// words are the last that the runtime, or the guest, printed.
func (r *run) words() string {
	last := strings.TrimSpace(r.said.String())
	if last == "" {
		return "it printed nothing"
	}
	const most = 1000
	words := strings.Join(strings.Fields(last), " ")
	if len(words) > most {
		words = "… " + strings.ToValidUTF8(words[len(words)-most:], "")
	}
	return "it printed: " + words
}

func (r *run) unavailable(reason string) error {
	return &backend.UnavailableError{
		Backend: r.backend.Name(), Reason: reason,
		Fix: fmt.Sprintf("try another runtime (--runtime PATH) than %s", filepath.Base(r.path)),
	}
}
