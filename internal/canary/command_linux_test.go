package canary_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/policy"
)

// lines keeps what is written, and tells when a line is there.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
	came chan struct{} // closed with the line
	line string
}

func newLines(line string) *lines { return &lines{came: make(chan struct{}), line: line + "\n"} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := strings.Contains(l.text.String(), l.line)
	l.text.Write(b)
	if !before && strings.Contains(l.text.String(), l.line) {
		close(l.came)
	}
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// running is a command that was started.
type running struct {
	process    *kavach.Process
	out, wrong *lines
	over       chan struct{} // closed with what follows
	res        *kavach.Result
	err        error
}

// start starts a command, and waits until it says that it is ready.
func (p *player) start(ctx context.Context, sb *kavach.Sandbox, do string) (*running, error) {
	c := &running{out: newLines("ready"), wrong: newLines("?"), over: make(chan struct{})}
	cmd := p.command(do)
	cmd.Stdout, cmd.Stderr = c.out, c.wrong
	cmd.Env = []string{"TWIN=" + p.twin} // what is no secret to Kavach
	var err error
	if c.process, err = sb.Start(ctx, cmd); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.over)
		c.res, c.err = c.process.Wait(ctx)
	}()
	select {
	case <-c.out.came:
		return c, nil
	case <-c.over:
		return nil, fmt.Errorf("it was to be ready, and ended: %+v, %w: %s%s", c.res, c.err, c.out, c.wrong)
	}
}

func (c *running) end() (*kavach.Result, error) {
	if err := c.process.Signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	<-c.over
	return c.res, c.err
}

func (p *player) target() (kind, value string) { return (policy.Credential{As: p.As}).Target() }

// command is what is run: it shows that it has the secret, and does as it is told.
func (p *player) command(do string) kavach.Cmd {
	kind, target := p.target()
	if p.Place == "wasm" {
		return kavach.Cmd{Args: []string{"/modules/canary.wasm", strings.Replace(p.As, "placeholder:", "env:", 1), do}}
	}
	take := map[string]string{
		"env": `v="$` + target + `"`, "placeholder": `v="$` + target + `"`, "stdin": `v=$(cat)`,
		"fd": `v=$(cat <&` + target + `)`, "file": `v=$(cat ` + target + `)`,
	}[kind]
	const sum, stay = `; printf 'sum %s\n' "$(printf %s "$v" | sha256sum | cut -d ' ' -f 1)"; `, `echo ready; sleep 600; :`
	script := map[string]string{
		"hold":  take + sum + stay,
		"print": take + sum + `printf '%s\n' "$v"; printf %s "$v" | base64 -w 0; echo`,
		"leave": leave(kind, target) + stay,
	}[do]
	return kavach.Cmd{Args: []string{"/bin/sh", "-c", script}}
}

// leave is a command that leaves something behind which has open what the secret is
// in, and reads it when it is told. By then it is in a process group of its own.
func leave(kind, target string) string {
	from := map[string]string{"file": target, "stdin": "&0", "fd": "&" + target}[kind]
	return `exec 9<` + from + `; setsid sh -c 'exec >/dev/null 2>&1; echo >"$HOME/open"; ` + await("go") +
		`wc -c >"$HOME/n" <&9; mv "$HOME/n" "$HOME/read"' & ` + await("open")
}

// await waits for a file.
func await(name string) string {
	return `while ! [ -e "$HOME/` + name + `" ]; do sleep 0.02; done; `
}
