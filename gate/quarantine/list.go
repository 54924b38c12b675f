package quarantine

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// List returns the records of all items, in the order in which they came. Those
// that can be read are there also where there is an error. It removes what writers
// who died have left.
func (s *Store) List(ctx context.Context) ([]Record, error) {
	d, err := s.open()
	if err != nil {
		return nil, err
	}
	defer d.close()
	locked, err := tryLock(d.self)
	if err != nil {
		return nil, err
	}
	list, damaged, err := d.records(ctx)
	if locked { // else the one who has it sweeps, or the next
		d.sweep()
		err = errors.Join(err, d.finish(list))
		_ = unlockFile(d.self)
	}
	for _, id := range slices.Sorted(maps.Keys(damaged)) {
		err = errors.Join(err, damaged[id])
	}
	return list, err
}

// finish deletes the content of what was rejected by somebody who died meanwhile.
// The store is locked.
func (d *disk) finish(list []Record) error {
	var errs []error
	for _, rec := range list {
		if rec.State == Rejected {
			errs = append(errs, d.empty(rec.ID))
		}
	}
	return errors.Join(errs...)
}

// records reads all records, and says by id which cannot be read.
func (d *disk) records(ctx context.Context) (list []Record, damaged map[string]error, err error) {
	ids, err := d.ids()
	if err != nil {
		return nil, nil, err
	}
	damaged = make(map[string]error)
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return list, damaged, err
		}
		r, err := d.read(id)
		switch {
		case errors.Is(err, ErrNotFound):
			if _, err := d.root.Stat(path.Join(itemsDir, id)); err == nil {
				damaged[id] = refusef("purge the item with --force, or restore "+recordFile, "item %s has no record", id)
			} // else it went meanwhile
		case err != nil:
			damaged[id] = err
		default:
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b Record) int { return a.Kept.Compare(b.Kept) })
	return list, damaged, nil
}

// sweep removes what nobody who is alive is writing. The store is locked.
func (d *disk) sweep() {
	left, _ := fs.ReadDir(d.root.FS(), stagingDir) // nothing is swept then
	for _, e := range left {
		name := path.Join(stagingDir, e.Name())
		if !e.IsDir() {
			_ = d.root.Remove(name)
			continue
		}
		f, err := d.root.Open(name)
		if err != nil {
			continue
		}
		if locked, err := tryLock(f); err == nil && locked {
			_ = d.root.RemoveAll(name)
		}
		_ = f.Close()
	}
}

// empty removes the content of an item, where it has some, and where nobody else
// is faster.
func (d *disk) empty(id string) error {
	dir, removed := path.Join(itemsDir, id), false
	list, err := fs.ReadDir(d.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), ageSuffix) {
			continue
		}
		removed = true
		if gone := d.root.Remove(path.Join(dir, e.Name())); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	if removed && err == nil {
		if err = d.sync(dir); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return err
}
