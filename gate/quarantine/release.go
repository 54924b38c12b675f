package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Release says where a part of an approved item goes.
type Release struct {
	Part string

	// To is written to. Nil: the content becomes File, whole or not at all, with
	// the permissions that it was held with, or 0600; never setuid, setgid or
	// sticky.
	To   io.Writer
	File string

	// Replace says that File may take the place of a file or a link. What the link
	// points to stays as it is.
	Replace bool
}

func (r Release) String() string {
	if r.To != nil {
		return r.Part + " to a stream"
	}
	return r.Part + " to " + r.File
}

// ready is content that can go.
type ready struct {
	parts []*readyPart
}

type readyPart struct {
	Release
	content io.ReadCloser // of a stream
	dir     *os.Root      // of a file, as are the rest
	name    string
	draft   *draft
}

func (r *ready) names() (names []string) {
	for _, p := range r.parts {
		names = append(names, p.String())
	}
	return names
}

// prepare does all of a release but the release. What it returns is to be closed
// also where there is an error.
func (d *disk) prepare(ctx context.Context, rec *Record, ids Identities, out []Release) (*ready, error) {
	r := &ready{}
	if len(out) == 0 {
		return r, errNoRelease
	}
	for _, to := range out {
		p := &readyPart{Release: to}
		r.parts = append(r.parts, p)
		content, err := d.content(ctx, rec, to.Part, ids)
		if err != nil {
			return r, err
		}
		if to.To == nil {
			err = errors.Join(p.write(ctx, content, rec), content.Close())
		} else if _, err = io.Copy(io.Discard, withContext{ctx, content}); err == nil {
			// Each chunk was authenticated, so that what comes next comes whole.
			err = content.Close()
			if err == nil {
				p.content, err = d.content(ctx, rec, to.Part, ids)
			}
		} else {
			err = errors.Join(damaged(rec.ID, to.Part, err), content.Close())
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// write decrypts a part into a file beside the one that it will be.
func (p *readyPart) write(ctx context.Context, content io.Reader, rec *Record) (err error) {
	if p.name = filepath.Base(p.File); p.File == "" || p.name == "." || p.name == ".." || p.name == string(filepath.Separator) {
		return refusef("name a file", "the content cannot become %q", p.File)
	}
	if p.dir, err = os.OpenRoot(filepath.Dir(p.File)); err != nil {
		return fmt.Errorf("write the content beside %s: %w", p.File, err)
	}
	if err := p.free(); err != nil {
		return err
	}
	if p.draft, err = newDraft(p.dir, ".kavach-"+newID(rec.Kept)); err != nil {
		return fmt.Errorf("write the content beside %s: %w", p.File, err)
	}
	_, err = io.Copy(p.draft.file, withContext{ctx, content})
	if err == nil && rec.Held.Path != "" && p.Part == "file" {
		err = p.draft.file.Chmod(fs.FileMode(rec.Held.Mode) & fs.ModePerm)
	}
	if err == nil {
		err = p.draft.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("write the content beside %s: %w", p.File, err)
	}
	return nil
}

// free refuses a place that is taken.
func (p *readyPart) free() error {
	info, err := p.dir.Lstat(p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return refusef("name a file in it", "%s is a directory", p.File)
	case !p.Replace:
		return refusef("name another file, or use --force", "%s is there already", p.File)
	}
	return nil
}

// release lets the content go.
func (r *ready) release() error {
	var errs []error
	for _, p := range r.parts {
		errs = append(errs, p.release())
	}
	return errors.Join(errs...)
}

func (p *readyPart) release() (err error) {
	if p.content != nil {
		_, err = io.Copy(p.To, p.content)
		return err
	}
	if err = p.draft.settle(p.name, p.Replace); err == nil {
		err = syncIn(p.dir, ".")
	}
	return err
}

// close removes what was not released.
func (r *ready) close() {
	for _, p := range r.parts {
		if p.content != nil {
			_ = p.content.Close() // it was only read
		}
		if p.draft != nil {
			p.draft.end()
		}
		if p.dir != nil {
			_ = p.dir.Close()
		}
	}
}
