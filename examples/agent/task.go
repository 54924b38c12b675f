package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
)

// task is what an agent was asked to do, and the steps that it will take.
type task struct {
	Name  string `json:"task"`
	Steps []step `json:"steps"`
}

// step writes a file, or runs a command.
type step struct {
	// If says after what the step is taken: "failed", when the last command did
	// not exit with 0; "denied", when it was refused something. "": always.
	If string `json:"if"`

	Write string `json:"write"` // path inside; /tmp is the place to write to
	Text  string `json:"text"`

	Run       []string `json:"run"`
	Dir       string   `json:"dir"`
	TimeoutMS int      `json:"timeout_ms"`
}

// feedback is what came of a step: what a model would be given. It has no
// denials of paths: their hints say what exists on the host, which is not the
// business of whoever wrote the code (docs/SECURITY.md).
type feedback struct {
	Task      string           `json:"task"`
	Args      []string         `json:"args"`
	ExitCode  int              `json:"exit_code"`
	TimedOut  bool             `json:"timed_out,omitempty"`
	OOMKilled bool             `json:"oom_killed,omitempty"`
	Truncated bool             `json:"truncated,omitempty"`
	Stdout    string           `json:"stdout"`
	Stderr    string           `json:"stderr"`
	Denials   []backend.Denial `json:"denials,omitempty"`

	refused bool // there were denials, of whatever kind: for the platform alone
}

func (f *feedback) failed() bool { return f != nil && f.ExitCode != 0 }
func (f *feedback) denied() bool { return f != nil && len(f.Denials) > 0 }

// run takes the steps of one task in a sandbox that is made for it, and removed
// with all that the task has left there.
func (pf *platform) run(ctx context.Context, t task) (err error) {
	defer pf.enter()()
	sb, err := pf.runtime.Create(ctx, kavach.Config{Policy: pf.policy})
	if err != nil {
		return err // says what is missing, and the fix
	}
	defer func() { err = errors.Join(err, sb.Destroy(ctx)) }()
	pf.proven(sb.Score().Value)
	var last *feedback
	for _, s := range t.Steps {
		if s.If == "failed" && !last.failed() || s.If == "denied" && !last.denied() {
			continue
		}
		if last, err = take(ctx, sb, s); err != nil {
			return err
		}
		last.Task = t.Name
		if err := pf.tell(last); err != nil {
			return err
		}
	}
	return nil
}

// take takes one step.
func take(ctx context.Context, sb *kavach.Sandbox, s step) (*feedback, error) {
	cmd := kavach.Cmd{Args: s.Run, Dir: s.Dir, Timeout: time.Duration(s.TimeoutMS) * time.Millisecond}
	switch {
	case s.Write != "":
		// The path is an argument of the shell's, not a part of its program.
		cmd.Args = []string{"sh", "-c", `cat >"$1"`, "write", s.Write}
		cmd.Stdin = strings.NewReader(s.Text)
	case len(s.Run) == 0:
		return nil, errors.New("a step neither writes nor runs anything")
	}
	res, err := sb.Run(ctx, cmd)
	if refused := (*backend.ExecError)(nil); errors.As(err, &refused) {
		// No such program: the agent's mistake, and not ours.
		return &feedback{Args: cmd.Args, ExitCode: 127, Stderr: err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	f := &feedback{
		Args: cmd.Args, ExitCode: res.ExitCode, TimedOut: res.TimedOut, OOMKilled: res.OOMKilled, Truncated: res.Truncated,
		Stdout: string(res.Stdout), Stderr: string(res.Stderr), refused: len(res.Denials) > 0,
	}
	for _, d := range res.Denials {
		if d.Kind != "path" {
			f.Denials = append(f.Denials, d)
		}
	}
	if res.Signal != 0 {
		f.Stderr += fmt.Sprintf("(ended by signal %d)\n", res.Signal)
	}
	return f, nil
}

// enter counts the tasks that run; what it returns is called when one ends.
func (pf *platform) enter() (leave func()) {
	count := func(n int) {
		pf.mu.Lock()
		defer pf.mu.Unlock()
		pf.running += n
		pf.summary.AtOnce = max(pf.summary.AtOnce, pf.running)
	}
	count(1)
	return func() { count(-1) }
}

func (pf *platform) proven(score int) {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	if pf.summary.Score == 0 || score < pf.summary.Score {
		pf.summary.Score = score
	}
}

// tell prints what came of a step.
func (pf *platform) tell(f *feedback) error {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	pf.summary.Commands++
	if f.failed() {
		pf.summary.Failed++
	}
	if f.refused {
		pf.summary.Denied++
	}
	return pf.out.Encode(f)
}
