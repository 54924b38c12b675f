package quarantine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"filippo.io/age"

	"github.com/kavach-dev/kavach/gate"
)

// Keep encrypts the parts into a new item, and returns its id when it is on disk.
// The content of each part is all of the stream, from its first byte, so that the
// findings say which of its bytes are theirs. The parts are read to their ends, one
// after the other, through a buffer.
func (s *Store) Keep(ctx context.Context, h gate.Held, parts ...gate.Part) (id string, err error) {
	defer func() {
		if err != nil {
			id, err = "", fmt.Errorf("keep what was withheld in the quarantine: %w", err)
		}
	}()
	to, err := s.recipients()
	if err != nil {
		return "", err
	}
	d, err := s.open()
	if err != nil {
		return "", err
	}
	defer d.close()
	rec := Record{Version: recordVersion, ID: newID(s.clock()), State: Held, Kept: s.clock(), Held: h}
	w, err := s.stage(ctx, d, rec.ID)
	if err != nil {
		return "", err
	}
	defer w.end()
	for _, p := range parts {
		kept, err := w.part(ctx, p, to)
		if err != nil {
			return "", errors.Join(fmt.Errorf("part %q: %w", p.Name, err), w.discard())
		}
		rec.Parts = append(rec.Parts, kept)
	}
	if err := rec.valid(); err != nil {
		return "", errors.Join(err, w.discard())
	}
	if err := w.record(&rec); err != nil {
		return "", errors.Join(err, w.discard())
	}
	s.at("written")
	if err := s.commit(ctx, d, w, &rec); err != nil {
		return "", errors.Join(err, w.discard())
	}
	return rec.ID, nil
}

// writing is an item that is not whole yet.
type writing struct {
	d     *disk
	dir   string   // in staging
	alive *os.File // locked
	max   limits
	bytes int64 // written so far

	// looked is what bytes was at the last look at what all of the store holds,
	// and room what it may become by that.
	looked, room int64
}

// stage begins an item, where the store has room for it.
func (s *Store) stage(ctx context.Context, d *disk, id string) (*writing, error) {
	w := &writing{d: d, dir: path.Join(stagingDir, id), max: s.limits.orDefault()}
	if err := w.roomFor(0); err != nil {
		return nil, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	d.sweep() // what cannot be removed counts, and is in nobody's way
	if err := w.roomForOne(); err != nil {
		return nil, err // before all of it is encrypted
	}
	if err := d.root.Mkdir(w.dir, 0o700); err != nil {
		return nil, err
	}
	if w.alive, err = d.root.Open(w.dir); err != nil {
		return nil, errors.Join(err, w.discard())
	}
	if locked, err := tryLock(w.alive); err != nil || !locked {
		w.end()
		return nil, errors.Join(fmt.Errorf("lock %s", w.dir), err, w.discard())
	}
	return w, nil
}

func (w *writing) end()           { _ = w.alive.Close() }
func (w *writing) discard() error { return w.d.root.RemoveAll(w.dir) }

// part encrypts one stream into a file.
func (w *writing) part(ctx context.Context, p gate.Part, to []age.Recipient) (KeptPart, error) {
	kept := KeptPart{Name: p.Name}
	if err := checkName(p.Name); err != nil {
		return kept, err
	}
	f, err := w.d.root.OpenFile(path.Join(w.dir, kept.file()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	if err != nil {
		return kept, err
	}
	sum, before := sha256.New(), w.bytes
	enc, err := age.Encrypt(io.MultiWriter(counted{w}, f, sum), to...)
	if err == nil {
		kept.Bytes, err = io.Copy(enc, withContext{ctx, p.Content})
	}
	if err == nil {
		err = enc.Close()
	}
	if err == nil {
		err = f.Sync()
	}
	kept.Stored, kept.SHA256 = w.bytes-before, hex.EncodeToString(sum.Sum(nil))
	return kept, errors.Join(err, f.Close())
}

// record writes the first record of the item. A flood of findings takes room, too.
func (w *writing) record(r *Record) error {
	data, err := r.encode()
	if err == nil {
		_, err = counted{w}.Write(data)
	}
	if err != nil {
		return err
	}
	return w.d.putRecord(w.dir, data)
}

// commit gives a whole item its name.
func (s *Store) commit(ctx context.Context, d *disk, w *writing, rec *Record) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := w.roomForOne(); err != nil {
		return err
	}
	done, err := s.note(d, Entry{Act: ActKeep, ID: rec.ID, Sandbox: rec.Held.Sandbox, Path: rec.Held.Path})
	if err != nil {
		return err
	}
	name := path.Join(itemsDir, rec.ID)
	if err := d.root.Rename(w.dir, name); err != nil {
		return done(err)
	}
	s.at("named")
	if err := d.sync(itemsDir); err != nil {
		return done(errors.Join(err, d.root.Rename(name, w.dir)))
	}
	return nil
}

// withContext is a reader that ends when its context does.
type withContext struct {
	ctx  interface{ Err() error }
	from io.Reader
}

func (r withContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
