package quarantine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"filippo.io/age"
)

// Reveal returns the content of a part as it is, and decides nothing. Who looked,
// and why, is in the journal before the first byte is read.
func (s *Store) Reveal(ctx context.Context, id, part string, why Decision, ids Identities) (io.ReadCloser, error) {
	if err := why.check(); err != nil {
		return nil, err
	}
	d, err := s.open()
	if err != nil {
		return nil, err
	}
	defer d.close()
	rec, err := d.read(id)
	if err != nil {
		return nil, err
	}
	content, err := d.content(ctx, &rec, part, ids)
	if err != nil {
		return nil, err
	}
	unlock, err := d.lock(ctx)
	if err == nil {
		defer unlock()
		_, err = s.note(d, Entry{Act: ActReveal, ID: id, From: rec.State, By: why.By, Reason: why.Reason, Parts: []string{part}})
	}
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return content, nil
}

// opened is a part that is being decrypted.
type opened struct {
	io.Reader
	file *os.File
}

func (o *opened) Close() error { return o.file.Close() }

// content decrypts a part, after all of its file was held against the record: no
// byte is read of one that was changed.
func (d *disk) content(ctx context.Context, rec *Record, part string, ids Identities) (io.ReadCloser, error) {
	i := slices.IndexFunc(rec.Parts, func(p KeptPart) bool { return p.Name == part })
	if i < 0 {
		return nil, refusef(fmt.Sprintf("its parts are %v", rec.names()), "item %s has no part %q", rec.ID, part)
	}
	kept := rec.Parts[i]
	if rec.State == Rejected {
		return nil, refusef("there is nothing to be done", "the content of item %s was deleted when %s rejected it", rec.ID, rec.Decided.By)
	}
	f, err := d.root.Open(path.Join(itemsDir, rec.ID, kept.file()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damaged(rec.ID, part, errors.New("it is gone"))
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(withContext{ctx, f}, kept.Stored+1))
	if err == nil && (n != kept.Stored || hex.EncodeToString(sum.Sum(nil)) != kept.SHA256) {
		err = damaged(rec.ID, part, errors.New("it is not what was kept"))
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d.decrypt(f, rec.ID, kept, ids)
}

func (d *disk) decrypt(f *os.File, id string, kept KeptPart, ids Identities) (io.ReadCloser, error) {
	if len(ids) == 0 {
		return nil, errors.Join(refusef("name the file that has the key: --identity FILE", "there is no key to decrypt item %s with", id), f.Close())
	}
	r, err := age.Decrypt(f, ids...)
	var other *age.NoIdentityMatchError
	switch {
	case errors.As(err, &other):
		err = refusef("name the file that has the key: --identity FILE", "item %s is encrypted to another key", id)
	case err != nil:
		err = damaged(id, kept.Name, err)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &opened{r, f}, nil
}

func damaged(id, part string, err error) error {
	return refusef("reject the item, or purge it with --force", "part %q of item %s is damaged: %v", part, id, err)
}

func (r *Record) names() []string {
	var names []string
	for _, p := range r.Parts {
		names = append(names, p.Name)
	}
	return names
}
