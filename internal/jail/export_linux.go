package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/agent"
)

// Export reads files inside and writes them to w, as backend.Files says. Below,
// where it is not empty, is a directory that no link on the way leads out of.
func (j *Jail) Export(ctx context.Context, e backend.Export, below string, w *os.File) error {
	_, e.Path = j.inPlace(nil, e.Path)
	return j.ExportBy(ctx, j.agent, e, below, w)
}

// ExportBy is Export by way of the agent of a container in the jail. What reads the
// files is the guest's program, started as a command: the same user, the same
// Landlock domain, the same filters and limits, and dead with the rest.
func (j *Jail) ExportBy(ctx context.Context, a *agent.Agent, e backend.Export, below string, w *os.File) error {
	program, err := sealedProgram(j.cfg.Guest)
	if err != nil {
		return err
	}
	said, stderr, err := agent.NewTail()
	if err != nil {
		return err
	}
	defer stderr.Close()
	export := guest.Export{
		Path: e.Path, Below: below, FileBytes: e.FileBytes, TotalBytes: e.TotalBytes, Entries: e.Entries, Depth: e.Depth,
	}
	p, err := j.ExecBy(ctx, a, backend.Cmd{Args: export.Args(), Dir: "/", Stdout: w, Stderr: stderr, Files: Inherited(program)})
	if err != nil {
		return notStarted(e.Path, err)
	}
	stderr.Close()
	exit, err := p.Wait(ctx)
	switch {
	case err != nil:
		return errors.Join(err, p.Kill())
	case exit.OOMKilled:
		return &backend.ExportError{Path: e.Path, Reason: "the sandbox is out of memory, and what reads files inside was killed; allow it more (resources.memory)"}
	case exit.Signal != 0: // whoever else is inside may have sent it
		return &backend.ExportError{Path: e.Path, Reason: fmt.Sprintf("what reads files inside was killed by signal %d", exit.Signal)}
	case exit.Code != 0:
		return &backend.ExportError{Path: e.Path, Reason: fmt.Sprintf("what reads files inside ended with code %d: %s", exit.Code, strings.TrimSpace(said.String()))}
	}
	return nil
}

// notStarted says why nothing reads files: what commands have left may take all
// tasks and memory that there are.
func notStarted(path string, err error) error {
	var refused *backend.ExecError
	if !errors.As(err, &refused) {
		return fmt.Errorf("start what reads files inside: %w", err)
	}
	return &backend.ExportError{Path: path, Reason: fmt.Sprintf("what reads files inside cannot be started: %s: %v", refused.Step, refused.Errno)}
}

// sealedProgram is the guest program for commands to execute. Root's own form of
// it, a mount that is attached nowhere, would not do: nothing that Landlock grants
// is above it.
func sealedProgram(path string) (*os.File, error) { return guestProgram(path, false) }
