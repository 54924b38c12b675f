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

// usage is how many bytes a store has, with those that are being written or
// removed.
func (d *disk) usage() (bytes int64, err error) {
	for _, dir := range []string{itemsDir, stagingDir} {
		err = errors.Join(err, fs.WalkDir(d.root.FS(), dir, func(_ string, e fs.DirEntry, err error) error {
			var info fs.FileInfo
			if err == nil && !e.IsDir() {
				if info, err = e.Info(); err == nil {
					bytes += info.Size()
				}
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went meanwhile
			}
			return err
		}))
	}
	return bytes, err
}

// roomFor refuses more bytes than an item, or the store, may have. Those who write
// at once may exceed what a store holds by lookEvery each: a lock would have them
// wait for each other.
func (w *writing) roomFor(more int64) error {
	if w.bytes+more > w.max.item {
		return refusef("withhold less at once, such as by a smaller --output-limit", "an item of the quarantine has at most %d bytes, encrypted", w.max.item)
	}
	if more == 0 || w.bytes+more > w.looked+lookEvery {
		bytes, err := w.d.usage()
		if err != nil {
			return fmt.Errorf("see how much is in the quarantine: %w", err)
		}
		w.looked, w.room = w.bytes, w.bytes+w.max.total-bytes
	}
	if w.bytes+more > w.room {
		return w.d.full(fmt.Sprintf("it would hold more than %d bytes", w.max.total))
	}
	return nil
}

// roomForOne refuses another item than a store may have. The store is locked.
func (w *writing) roomForOne() error {
	ids, err := w.d.ids()
	if err == nil && int64(len(ids)) >= w.max.items {
		err = w.d.full(fmt.Sprintf("it has %d items", len(ids)))
	}
	return err
}

func (d *disk) full(why string) error {
	return refusef("decide what to do with what is in there (kavach quarantine list), and purge it", "the quarantine %s is full: %s", d.path, why)
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
