package kavach

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/deliver"
	"github.com/kavach-dev/kavach/internal/takeout"
	"github.com/kavach-dev/kavach/workspace"
)

// exportDraft is one export, on its way.
type exportDraft struct {
	export Export
	limits ExportLimits
	path   string // inside

	place *deliver.Place // nil: nothing can be put there
	file  *deliver.File  // what was asked for is a file; nil: it is not
	tree  *deliver.Tree  // a directory; nil: it is not
	dirs  []string       // below it

	outcomes []ExportOutcome
}

func newExportDraft(e Export, workdir string) *exportDraft {
	if e.Dest == "" {
		e.Dest = "./"
	}
	return &exportDraft{export: e, limits: e.Limits.effective(), path: insidePath(e.Path, workdir)}
}

// take copies what is inside to the host, where nobody finds it yet. An error is one
// for all exports: somebody lies, or there is no room.
func (d *exportDraft) take(ctx context.Context, files backend.Files) error {
	place, err := deliver.Open(d.export.Dest, path.Base(d.path), d.export.Replace)
	if err != nil {
		return d.refuseFor(err)
	}
	d.place = place
	inner, cancel := context.WithTimeout(ctx, d.limits.Time)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer context.AfterFunc(inner, func() { r.Close() })() // what writes to it need not end
	sent := make(chan error, 1)
	go func() {
		defer w.Close()
		l := d.limits
		sent <- files.Export(inner, backend.Export{
			Path: d.path, FileBytes: l.FileBytes, TotalBytes: l.TotalBytes, Entries: l.Entries, Depth: l.Depth,
		}, w)
	}()
	err = d.receive(takeout.NewReader(r, d.limits.takeout()))
	if err != nil {
		cancel() // whoever still writes is not listened to
	}
	sendErr := <-sent
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(inner.Err(), context.DeadlineExceeded):
		d.refuse(fmt.Sprintf("it took more than %v", d.limits.Time))
		return nil
	}
	return d.became(err, sendErr)
}

// became says what came of a stream, of which the reader and the sender each say
// what they saw.
func (d *exportDraft) became(read, sent error) error {
	var stopped *takeout.StoppedError
	var theirs *backend.ExportError
	switch {
	case errors.As(read, &stopped):
		d.refuse(stopped.Reason)
	case errors.As(sent, &theirs):
		d.refuse(theirs.Reason)
	case sent != nil && !errors.Is(sent, context.Canceled): // which is why the stream is cut off
		return sent
	case errors.Is(read, takeout.ErrFormat):
		d.refuse("what reads files inside was tampered with: " + read.Error())
	case read != nil:
		return d.refuseFor(read)
	}
	return nil
}

// refuseFor refuses the whole of an export where the reason is its own.
func (d *exportDraft) refuseFor(err error) error {
	var refused *deliver.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	d.refuse(refused.Reason)
	return nil
}

func (d *exportDraft) refuse(why string) {
	d.discardDraft()
	d.outcomes = []ExportOutcome{{Path: d.path, Dest: d.dest(""), State: ExportRefused, Reason: why}}
}

// dest is where something below the path goes.
func (d *exportDraft) dest(name string) string {
	at := d.export.Dest
	if d.place != nil {
		at = d.place.Path
	}
	if name == "" {
		return at
	}
	return at + "/" + name
}

// receive reads the stream to its end.
func (d *exportDraft) receive(r *takeout.Reader) error {
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.entry(r, e); err != nil {
			return err
		}
	}
}

func (d *exportDraft) entry(r *takeout.Reader, e *takeout.Entry) (err error) {
	o := ExportOutcome{Path: path.Join(d.path, e.Name), Dest: d.dest(e.Name), State: Exported}
	switch {
	case e.Kind == takeout.Refused:
		o.State, o.Reason = ExportRefused, e.Reason
	case e.Kind == takeout.Dir && e.Name == "":
		o.Type, o.Mode = workspace.Dir, deliver.DirMode
		d.tree, err = d.place.Tree()
	case e.Kind == takeout.Dir:
		d.dirs = append(d.dirs, e.Name)
		return d.tree.Dir(e.Name)
	default:
		o.Type, o.Mode = workspace.File, deliver.Mode(e.Mode)
		err = d.content(r, e.Name, &o)
	}
	d.outcomes = append(d.outcomes, o)
	return err
}

// content copies a file. One that was changed meanwhile is taken out again.
func (d *exportDraft) content(r *takeout.Reader, name string, o *ExportOutcome) error {
	var to *os.File
	var err error
	if name == "" {
		if d.file, err = d.place.File(); err == nil {
			to = d.file.File
		}
	} else if to, err = d.tree.File(name); err == nil {
		defer to.Close()
	}
	if err != nil {
		return err
	}
	sum := sha256.New()
	if o.Size, err = io.Copy(io.MultiWriter(to, sum), r); err != nil {
		return err
	}
	o.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if name != "" { // the mode of the other is set when it has its name
		if err := to.Chmod(os.FileMode(o.Mode)); err != nil {
			return err
		}
	}
	if why := r.Changed(); why != "" {
		o.State, o.Reason, o.SHA256, o.Size = ExportRefused, why, "", 0
		return d.remove(name)
	}
	return nil
}

// open opens a file that was copied.
func (d *exportDraft) open(o *ExportOutcome) (io.ReadCloser, error) {
	if d.file != nil {
		return io.NopCloser(io.NewSectionReader(d.file, 0, o.Size)), nil
	}
	return d.tree.Open(d.name(o))
}

// name is the name of an outcome below the path.
func (d *exportDraft) name(o *ExportOutcome) string {
	return strings.TrimPrefix(strings.TrimPrefix(o.Path, d.path), "/")
}

func (d *exportDraft) withhold(o *ExportOutcome, why string) error {
	o.State, o.Reason = ExportWithheld, why
	return d.remove(d.name(o))
}

func (d *exportDraft) remove(name string) error {
	if name == "" {
		return d.file.Discard()
	}
	return d.tree.Remove(name)
}

// settle puts what may leave in its place.
func (d *exportDraft) settle(ctx context.Context) []ExportOutcome {
	err := ctx.Err()
	switch {
	case err != nil:
	case d.tree != nil:
		err = d.tree.Settle(d.dirs)
	case d.file != nil && d.outcomes[0].State == Exported:
		err = d.file.Settle(d.outcomes[0].Mode)
	}
	if err == nil {
		return d.outcomes
	}
	for i := range d.outcomes {
		if o := &d.outcomes[i]; o.State == Exported {
			o.State, o.Reason = ExportRefused, err.Error()
		}
	}
	return d.outcomes
}

// discardDraft removes what is not in its place. There is nobody to tell that it
// failed, and the next export to the same place tries again.
func (d *exportDraft) discardDraft() {
	if d.file != nil {
		_ = d.file.Discard()
		d.file = nil
	}
	if d.tree != nil {
		_ = d.tree.Discard()
		d.tree, d.dirs = nil, nil
	}
}

func (d *exportDraft) discard() {
	d.discardDraft()
	if d.place != nil {
		_ = d.place.Close()
	}
}
