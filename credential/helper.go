package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kavach-dev/kavach/backend"
)

// heldGrace is how long a helper's output is read when it has ended, and something that
// it left behind, as those do that start an agent, holds its stdout open. What it has
// printed itself is in the pipe by then.
const heldGrace = 200 * time.Millisecond

// dialect is how a helper program is asked, and what it answers.
type dialect struct {
	prefix string // of its base name
	ask    func(name string) string
	answer func(said []byte) (value []byte, err error) // a part of said
}

// dialects are those of helpers that are there already: Docker's
// (docker-credential-helpers, "get") and git's (gitcredentials(7), git-credential(1)).
// Of any other program the value is the one line that it prints.
func dialects() []dialect {
	return []dialect{
		{"docker-credential-", line, dockerSecret},
		{"git-credential-", askGit, gitPassword},
		{"", line, oneLine},
	}
}

func line(name string) string { return name + "\n" }

func askGit(name string) string {
	u, err := url.Parse(name)
	if err != nil || u.Host == "" {
		u = &url.URL{Scheme: "https", Host: name}
	}
	ask := fmt.Sprintf("protocol=%s\nhost=%s\n", u.Scheme, u.Host)
	if user := u.User.Username(); user != "" {
		ask += "username=" + user + "\n"
	}
	if p := strings.TrimPrefix(u.Path, "/"); p != "" {
		ask += "path=" + p + "\n"
	}
	return ask + "\n"
}

// readHelper asks a helper program: PROGRAM get, with the name on its standard input.
// What it says on stderr is not shown, as it may hold the value.
func readHelper(ctx context.Context, program, name string, into []byte) (int, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return 0, advise("name an executable file", "helper %s: %w", program, err)
	}
	speaks := dialects()[0]
	for _, d := range dialects() {
		if speaks = d; strings.HasPrefix(filepath.Base(program), d.prefix) {
			break
		}
	}
	n, err := runHelper(ctx, path, speaks.ask(name), into)
	if err != nil {
		return 0, advise(fmt.Sprintf("try it by hand: echo %s | %s get", name, program), "helper %s %w", program, err)
	}
	value, err := speaks.answer(into[:n])
	if err != nil {
		return 0, advise("it is to print the value alone, as one line, or what Docker's and git's helpers print where it has the name of one", "helper %s %w", program, err)
	}
	size := copy(into, value)
	clear(into[size:n]) // what stood around it
	return size, nil
}

// runHelper runs a program until its end, and reads what it prints. It is killed, and
// what it has started with it, when it is late, or prints more than a secret has.
func runHelper(ctx context.Context, path, ask string, into []byte) (n int, err error) {
	in, err := stdinOf(ask)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, theirOut, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer out.Close()
	cmd := &exec.Cmd{Path: path, Args: []string{path, "get"}, Stdin: in, Stdout: theirOut, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	err = cmd.Start()
	theirOut.Close()
	if err != nil {
		return 0, fmt.Errorf("cannot be started: %w", err)
	}
	noCore(cmd.Process.Pid)
	killed := make(chan struct{})
	kill := func() { // before it is reaped, so that the group is its own
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = syscall.Kill(cmd.Process.Pid, syscall.SIGKILL) // which may have left its group
	}
	stop := context.AfterFunc(ctx, func() { defer close(killed); kill(); out.Close() })
	over := make(chan struct{})
	go func() {
		defer close(over)
		if awaitEnd(cmd.Process.Pid) {
			_ = out.SetReadDeadline(time.Now().Add(heldGrace))
		}
	}()
	n, readErr := readAll(out, into)
	if n > backend.MaxSecret {
		kill()
	}
	<-over
	if !stop() {
		<-killed
	}
	err = ended(cmd.Wait())
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return 0, fmt.Errorf("did not end within %v", patience)
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case n > backend.MaxSecret:
		return 0, fmt.Errorf("printed more than %d bytes", backend.MaxSecret)
	case readErr != nil && !errors.Is(readErr, os.ErrDeadlineExceeded):
		return 0, fmt.Errorf("could not be read from: %w", readErr)
	}
	return n, err
}

// stdinOf is a pipe that holds what a helper is asked, and the caller's.
func stdinOf(ask string) (r *os.File, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = w.WriteString(ask) // less than any pipe holds
	w.Close()
	if err != nil {
		r.Close()
	}
	return r, err
}

// ended says how a helper ended, in words.
func ended(err error) error {
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return fmt.Errorf("failed (%v)", failed.ProcessState)
	}
	return err
}

// oneLine is the contract of a helper of our own.
func oneLine(said []byte) ([]byte, error) {
	value := withoutLineEnd(said)
	switch {
	case len(value) == 0:
		return nil, errors.New("printed nothing")
	case bytes.IndexByte(value, '\n') >= 0:
		return nil, errors.New("printed several lines")
	}
	return value, nil
}

// gitPassword is what follows "password=" in what git's helpers print.
func gitPassword(said []byte) ([]byte, error) {
	for line := range bytes.Lines(said) {
		if value, found := bytes.CutPrefix(line, []byte("password=")); found && len(withoutLineEnd(value)) > 0 {
			return withoutLineEnd(value), nil
		}
	}
	return nil, errors.New("printed no password= line: it has none for this name (a URL, or a host)")
}
