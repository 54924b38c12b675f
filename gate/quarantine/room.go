package quarantine

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// limits are what a store may hold; zero is what the constants say.
type limits struct{ item, total, items int64 }

func (l limits) orDefault() limits {
	if l.item == 0 {
		l.item = MaxItem
	}
	if l.total == 0 {
		l.total = MaxTotal
	}
	if l.items == 0 {
		l.items = MaxItems
	}
	return l
}

// lookEvery is after how many bytes of an item it is seen whether the store has
// room for the rest: several may be written at once.
const lookEvery = 64 << 20

// usage is how many items a store has, and how many bytes they have, with those
// that are being written or removed.
func (d *disk) usage() (items, bytes int64, err error) {
	for _, dir := range []string{itemsDir, stagingDir} {
		err = errors.Join(err, fs.WalkDir(d.root.FS(), dir, func(name string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // it went meanwhile
			case err != nil:
				return err
			case e.IsDir():
				if name != dir {
					items++
				}
				return nil
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil {
				bytes += info.Size()
			}
			return err
		}))
	}
	return items, bytes, err
}

// roomFor refuses more bytes than an item, or the store, may have.
func (w *writing) roomFor(more int64) error {
	if w.bytes+more > w.max.item {
		return refusef("withhold less at once, such as by a smaller --output-limit", "an item of the quarantine has at most %d bytes, encrypted", w.max.item)
	}
	if w.bytes+more < w.asked+lookEvery && more > 0 {
		return nil
	}
	w.asked = w.bytes + more
	items, bytes, err := w.d.usage()
	switch {
	case err != nil:
		return fmt.Errorf("see how much is in the quarantine: %w", err)
	case bytes+more > w.max.total:
		err = fmt.Errorf("it would hold more than %d bytes", w.max.total)
	case items > w.max.items || items == w.max.items && w.alive == nil:
		err = fmt.Errorf("it has %d items", items)
	default:
		return nil
	}
	return refusef("decide what to do with what is in there (kavach quarantine list), and purge it", "the quarantine %s is full: %v", w.d.path, err)
}

// counted refuses bytes for which there is no room, before they are written.
type counted struct{ w *writing }

func (c counted) Write(p []byte) (int, error) {
	n := int64(len(p))
	if err := c.w.roomFor(n); err != nil {
		return 0, err
	}
	c.w.bytes += n
	return len(p), nil
}

func checkName(part string) error {
	if !slices.Contains(partNames(), part) {
		return fmt.Errorf("there is no such part; the parts are %v", partNames())
	}
	return nil
}
