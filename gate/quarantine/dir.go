package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// What is in the directory of a store:
//
//	items/ID/record.json   what is known of an item
//	items/ID/PART.age      a part of it, encrypted
//	staging/ID             what is being written, or removed, or was when somebody died
//	journal.jsonl          each act, before it happened
//
// An item appears under its name whole, by rename(2), and goes in the same way.
//
// The locks, of which the kernel lets go when their holder dies:
//
//   - the directory of the store, flock, exclusive: who changes what is in items,
//     begins something in staging or sweeps it, or writes to the journal. It is
//     held for some writes, and never while content is encrypted or read.
//   - a directory in staging, flock, exclusive: whoever writes there is alive.
const (
	itemsDir    = "items"
	stagingDir  = "staging"
	journalFile = "journal.jsonl"
	recordFile  = "record.json"
	newSuffix   = ".new"
	ageSuffix   = ".age"
)

// private is the mode of all files.
const private = 0o600

// lockPoll is how often a lock that somebody else has is tried again: a wait in
// the kernel could not be cancelled.
const lockPoll = 5 * time.Millisecond

// disk is an open store.
type disk struct {
	path string
	root *os.Root
	self *os.File // the directory itself, for its lock
}

func (s *Store) open() (*disk, error) {
	dir, err := orDefault(s.Dir, defaultDir)
	if err != nil {
		return nil, err
	}
	root, err := openOwn(dir, "the quarantine")
	if err != nil {
		return nil, err
	}
	d := &disk{path: dir, root: root}
	if d.self, err = root.Open("."); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	for _, sub := range []string{itemsDir, stagingDir} {
		err := root.Mkdir(sub, 0o700)
		if err == nil {
			err = errors.Join(d.self.Sync(), syncPath(path.Dir(dir)))
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			d.close()
			return nil, fmt.Errorf("make %s in the quarantine %s: %w", sub, dir, err)
		}
	}
	return d, nil
}

func (d *disk) close() {
	_ = d.self.Close() // both were only read
	_ = d.root.Close()
}

// lock waits until nobody else changes the store.
func (d *disk) lock(ctx context.Context) (unlock func(), err error) {
	for {
		locked, err := tryLock(d.self)
		if err != nil {
			return nil, fmt.Errorf("lock the quarantine %s: %w", d.path, err)
		}
		if locked {
			return func() { _ = unlockFile(d.self) }, nil // else it ends with the descriptor
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another kavach that holds the quarantine %s: %w", d.path, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// sync brings a directory of the store to disk: what is in it, not what is in
// those files.
func (d *disk) sync(name string) error { return syncIn(d.root, name) }

func syncIn(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncPath(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// writeRecord puts a record in the place of the one that is there, if any: after
// a crash it is the one or the other.
func (d *disk) writeRecord(dir string, r *Record) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	return d.putRecord(dir, data)
}

func (d *disk) putRecord(dir string, data []byte) error {
	name := path.Join(dir, recordFile)
	if err := writeFile(d.root, name+newSuffix, data); err != nil {
		return errors.Join(err, d.root.Remove(name+newSuffix))
	}
	if err := d.root.Rename(name+newSuffix, name); err != nil {
		return err
	}
	return d.sync(dir)
}

// writeFile writes a file, and brings it to disk.
func writeFile(root *os.Root, name string, data []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, private)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// read reads the record of an item.
func (d *disk) read(id string) (Record, error) {
	f, err := d.root.Open(path.Join(itemsDir, id, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, notFound(id)
	}
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err != nil {
		return Record{}, err
	}
	r, err := decodeRecord(data)
	if err == nil && r.ID != id {
		err = fmt.Errorf("it is that of item %s", r.ID)
	}
	if err != nil {
		return Record{}, refusef("purge the item with --force, or restore "+recordFile, "the record of item %s is damaged: %v", id, err)
	}
	return r, nil
}

func notFound(id string) error {
	return &Error{Problem: fmt.Sprintf("there is no item %q in the quarantine", id), Fix: "kavach quarantine list shows what there is", Err: ErrNotFound}
}

// ids are those of all items, sorted.
func (d *disk) ids() ([]string, error) {
	list, err := fs.ReadDir(d.root.FS(), itemsDir)
	var ids []string
	for _, e := range list {
		if isID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}

// resolve finds the one id that begins so.
func (d *disk) resolve(prefix string) (string, error) {
	if !isPrefix(prefix) {
		return "", notFound(prefix)
	}
	all, err := d.ids()
	if err != nil {
		return "", err
	}
	found := ""
	for _, id := range all {
		switch {
		case !strings.HasPrefix(id, prefix):
		case found != "":
			return "", refusef("write more of the id", "more than one item begins with %q, such as %s and %s", prefix, found, id)
		default:
			found = id
		}
	}
	if found == "" {
		return "", notFound(prefix)
	}
	return found, nil
}

func orDefault(dir string, of func() (string, error)) (string, error) {
	if dir == "" {
		return of()
	}
	if !path.IsAbs(dir) {
		return "", refusef("name an absolute path", "the directory %q of the quarantine is relative", dir)
	}
	return path.Clean(dir), nil
}
