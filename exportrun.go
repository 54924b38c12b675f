package kavach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/workspace"
)

// Export copies files to the host, and says what became of each. It is legal while
// the sandbox is running, also when commands have ended, and before Halt.
//
// Everything is copied first, under no name or one that nobody knows; each file is
// shown to the gate; then it is recorded, and then it is put in its place, each
// export at once. An error means that nothing was exported. What cannot be exported
// for a reason of its own is no error, and the rest of the directory that it is in
// is exported without it. Setuid, setgid, sticky and owners are not copied: a file is
// the caller's, with mode 0755 where it could be executed, else 0644.
func (s *Sandbox) Export(ctx context.Context, exports []Export) ([]ExportOutcome, error) {
	files, ok := s.instance.(backend.Files)
	if !ok {
		return nil, fmt.Errorf("export files of sandbox %s: backend %s lets none out: %w", s.id, s.backend, errors.ErrUnsupported)
	}
	if state := s.State(); state != Running {
		return nil, &StateError{Sandbox: s.id, Act: "export files", State: state}
	}
	var drafts []*exportDraft
	defer func() {
		for _, d := range drafts {
			d.discard() // what is in its place stays there
		}
	}()
	for _, e := range exports {
		d := newExportDraft(e, workdir(&s.policy, ""))
		drafts = append(drafts, d)
		if err := d.take(ctx, files); err != nil {
			return nil, fmt.Errorf("export %s of sandbox %s: %w", d.path, s.id, err)
		}
	}
	for _, d := range drafts {
		if err := s.gateExport(ctx, d); err != nil {
			return nil, err
		}
	}
	if err := s.recordExports(ctx, drafts); err != nil {
		return nil, err
	}
	var out []ExportOutcome
	for _, d := range drafts {
		out = append(out, d.settle(ctx)...)
	}
	return out, nil
}

// gateExport shows the gate each file, and takes out what it withholds.
func (s *Sandbox) gateExport(ctx context.Context, d *exportDraft) error {
	for i := range d.outcomes {
		o := &d.outcomes[i]
		if o.State != Exported || o.Type != workspace.File {
			continue
		}
		report, err := s.gateFile(ctx, gate.File{
			Name: o.Path, Mode: o.Mode, Dest: absolute(o.Dest),
			Open: func() (io.ReadCloser, error) { return d.open(o) },
		})
		switch {
		case err != nil:
			return fmt.Errorf("export files of sandbox %s: the gate failed on %q, so nothing is exported: %w", s.id, o.Path, err)
		case report.Withheld():
			if err := d.withhold(o, withheldReason(&report)); err != nil {
				return fmt.Errorf("export %q of sandbox %s: take it out again: %w", o.Path, s.id, err)
			}
		}
	}
	return nil
}

// absolute is where a path of the host is, whoever asks later.
func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// recordExports records what is about to be put in its place, and what is not.
func (s *Sandbox) recordExports(ctx context.Context, drafts []*exportDraft) error {
	event := Event{Act: ActExport, Sandbox: s.id, Backend: s.backend}
	for _, d := range drafts {
		event.Exports = append(event.Exports, d.outcomes...)
	}
	return s.runtime.record(ctx, event)
}

// insidePath is the clean, absolute path that a caller means.
func insidePath(name, workdir string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join("/", workdir, name)
}
