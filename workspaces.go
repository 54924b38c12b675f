package kavach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/workspace"
)

// layer is one writable mount of a sandbox, when nothing can write to it any
// more.
type layer struct {
	mount policy.Mount
	space *workspace.Workspace
}

// Halt ends every command, for good, and keeps what they changed in writable
// mounts: Changes lists it, Apply applies it, Destroy drops it. It may be called
// again. It fails with an error that matches errors.ErrUnsupported where the
// backend keeps no changes.
func (s *Sandbox) Halt(ctx context.Context) error {
	s.destroy.Lock()
	defer s.destroy.Unlock()
	return s.halt(ctx)
}

func (s *Sandbox) halt(ctx context.Context) error {
	layered, ok := s.instance.(backend.Layered)
	if !ok {
		return fmt.Errorf("cannot halt: backend %s keeps no changes: %w", s.backend, errors.ErrUnsupported)
	}
	state := s.State()
	if state == Destroyed || state == Created {
		return &StateError{Sandbox: s.id, Act: "halt", State: state}
	}
	if state != Stopped {
		if err := s.runtime.record(ctx, Event{Act: ActHalt, Sandbox: s.id, Backend: s.backend}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyDeadline)
	defer cancel()
	if err := layered.Halt(ctx); err != nil { // a place that is gone by itself may not be gone to the last process
		return fmt.Errorf("halt sandbox %s: %w", s.id, err)
	}
	s.credentials.Close() // no command starts any more
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = Stopped // from Running, Paused or itself
	return nil
}

// Changes lists what commands changed in the writable mounts (access "rw"), in
// the order in which it can be applied. It is legal when the sandbox is stopped,
// and may be called again. There is none where the policy has no such mount. The
// error is a *workspace.LimitError where there are too many.
func (s *Sandbox) Changes(ctx context.Context) ([]workspace.Change, error) {
	s.destroy.Lock()
	defer s.destroy.Unlock()
	layers, err := s.stoppedLayers(ctx, "list the changes")
	if err != nil {
		return nil, err
	}
	var all []workspace.Change
	for _, l := range layers {
		changes, err := l.space.Diff(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.mount.Source, err)
		}
		for i := range changes {
			changes[i].Mount = l.mount.Source
		}
		all = append(all, changes...)
	}
	return all, nil
}

// stoppedLayers are the layers of a sandbox in which nothing runs any more.
func (s *Sandbox) stoppedLayers(ctx context.Context, act string) ([]layer, error) {
	if state := s.State(); state != Stopped {
		return nil, &StateError{Sandbox: s.id, Act: act, State: state}
	}
	if s.layers != nil {
		return s.layers, nil
	}
	if err := s.halt(ctx); err != nil {
		return nil, err
	}
	for _, l := range s.instance.(backend.Layered).Layers() {
		s.layers = append(s.layers, layer{l.Mount, &workspace.Workspace{
			Base: l.Base, Upper: l.Upper, Since: s.made, MaxBytes: int64(s.policy.Filesystem.TmpSize),
		}})
	}
	return s.layers, nil
}

// Apply carries out changes that Changes has listed, or some of them, in that
// order, and says what became of each. First each that may be applied is shown
// to the gate; then they are recorded; then they are applied, file by file. A
// cancelled ctx stops it between two files.
//
// An error means that nothing was applied. What was not applied for a reason of
// its own (it is protected and policy.Filesystem.Protected does not name it, the
// host's file was changed meanwhile, the gate withheld it) is no error.
func (s *Sandbox) Apply(ctx context.Context, changes []workspace.Change) ([]workspace.Outcome, error) {
	s.destroy.Lock()
	defer s.destroy.Unlock()
	layers, err := s.stoppedLayers(ctx, "apply the changes")
	if err != nil {
		return nil, err
	}
	spaces := make(map[string]*workspace.Workspace)
	for _, l := range layers {
		spaces[l.mount.Source] = l.space
	}
	for _, c := range changes {
		if spaces[c.Mount] == nil {
			return nil, fmt.Errorf("apply %q: sandbox %s has no writable mount %q", c.Path, s.id, c.Mount)
		}
	}
	changes = slices.Clone(changes)
	if err := s.gateChanges(ctx, changes, spaces); err != nil {
		return nil, err
	}
	if err := s.recordChanges(ctx, changes); err != nil {
		return nil, err
	}
	var out []workspace.Outcome
	for len(changes) > 0 { // as many as are of one mount
		mount := changes[0].Mount
		end := slices.IndexFunc(changes, func(c workspace.Change) bool { return c.Mount != mount })
		if end < 0 {
			end = len(changes)
		}
		out = append(out, spaces[mount].Apply(ctx, changes[:end], s.policy.Filesystem.Protected)...)
		changes = changes[end:]
	}
	return out, nil
}

// gateChanges shows the gate what may be applied, and marks what it withholds.
func (s *Sandbox) gateChanges(ctx context.Context, changes []workspace.Change, spaces map[string]*workspace.Workspace) error {
	for i := range changes {
		c := &changes[i]
		if state, _ := c.Verdict(s.policy.Filesystem.Protected); state != workspace.Applied || c.SHA256 == "" {
			continue // what has no content is names and modes
		}
		space := spaces[c.Mount]
		file := gate.File{
			Name: c.Path, Mode: c.Mode, Dest: filepath.Join(c.Mount, c.Path),
			Open: func() (io.ReadCloser, error) { return space.Open(c) },
		}
		if c.Kind == workspace.Modified {
			file.Given = func() (io.ReadCloser, error) { return space.OpenBase(c) }
		}
		report, err := s.gateFile(ctx, file)
		switch {
		case err != nil:
			return fmt.Errorf("apply the changes of sandbox %s: the gate failed on %q, so nothing is applied: %w", s.id, c.Path, err)
		case report.Withheld():
			c.Withhold(withheldReason(&report))
		}
	}
	return nil
}

// recordChanges records what is about to be applied.
func (s *Sandbox) recordChanges(ctx context.Context, changes []workspace.Change) error {
	event := Event{Act: ActApply, Sandbox: s.id, Backend: s.backend}
	for i := range changes {
		if state, _ := changes[i].Verdict(s.policy.Filesystem.Protected); state == workspace.Applied {
			event.Changes = append(event.Changes, changes[i])
		}
	}
	return s.runtime.record(ctx, event)
}

// unscanned lists what leaves with nobody looking.
func unscanned(p *policy.Policy) []string {
	var paths []string
	if p.Gate.Mode == policy.GateOff {
		paths = append(paths, "stdout", "stderr", "files")
	}
	for _, m := range p.Filesystem.Mounts {
		if m.Access == policy.AccessDirect {
			paths = append(paths, m.Source)
		}
	}
	return paths
}

// now is the time that a sandbox is made at, by the clock that files have.
func now() time.Time { return time.Now().Round(0) }
