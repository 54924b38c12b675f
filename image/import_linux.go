package image

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/layer"
	"github.com/kavach-dev/kavach/internal/tarfile"
)

// importer unpacks the layers of one image.
type importer struct {
	ctx         context.Context // of this one pull
	dir         *storeDir
	src         source
	staging     string
	budget      *layer.Budget
	progress    func(done, total int64)
	done, total int64
}

// layers unpacks what the store does not have, brings all to disk, and only then
// gives them their names.
func (im *importer) layers(f *found) ([]layerRecord, error) {
	type made struct {
		staged string
		id     Digest
	}
	var fresh []made
	records := make([]layerRecord, len(f.layers))
	staged := make(map[Digest]int64) // the same layer may be there twice
	for i := range f.layers {
		if b := f.layers[i].blob; b != nil && !im.dir.hasLayer(f.layers[i].diffID) {
			im.total += b.Size
		}
	}
	for i := range f.layers {
		l := &f.layers[i]
		records[i].DiffID = l.diffID
		if l.blob != nil {
			records[i].Blob = l.blob.Digest
		}
		if n, again := staged[l.diffID]; again {
			records[i].Bytes = n
			continue
		}
		if im.dir.hasLayer(l.diffID) {
			n, err := im.account(l.diffID)
			if err != nil {
				return nil, err
			}
			records[i].Bytes, staged[l.diffID] = n, n
			continue
		}
		to := filepath.Join(im.staging, "layer"+strconv.Itoa(i))
		n, err := im.layer(l, to)
		if err != nil {
			return nil, fmt.Errorf("layer %d of %d: %w", i+1, len(f.layers), err)
		}
		records[i].Bytes, staged[l.diffID] = n, n
		fresh = append(fresh, made{to, l.diffID})
	}
	if len(fresh) == 0 {
		return records, nil
	}
	// One for all, instead of one for each file.
	if err := unix.Syncfs(im.dir.fd); err != nil {
		return nil, fmt.Errorf("bring the layers to disk: %w", err)
	}
	for _, m := range fresh {
		err := os.Rename(m.staged, im.dir.layerDir(m.id))
		// Another image that has the same layer was pulled meanwhile.
		if err != nil && !im.dir.hasLayer(m.id) {
			return nil, err
		}
	}
	return records, syncDir(im.dir.join(layersDir))
}

// account counts a layer that is there already against the limits.
func (im *importer) account(id Digest) (int64, error) {
	info, err := im.dir.readLayerInfo(id)
	if err != nil {
		return 0, err
	}
	return info.Bytes, im.budget.Take(info.Bytes, info.Files)
}

// layer unpacks one layer into a new directory.
func (im *importer) layer(l *foundLayer, to string) (int64, error) {
	if l.blob != nil {
		if err := checkBlob(im.src, l.blob); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return 0, invalid("it is missing: %w", err)
			}
			return 0, err
		}
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return 0, err
	}
	fs := filepath.Join(to, layerFS)
	if err := os.Mkdir(fs, 0o755); err != nil {
		return 0, err
	}
	bytes, files := im.budget.Bytes(), im.budget.Files()
	dropped, err := im.unpack(l, fs)
	if err != nil {
		return 0, err
	}
	info := layerJSON{DiffID: l.diffID, Bytes: im.budget.Bytes() - bytes, Files: im.budget.Files() - files, Dropped: dropped}
	return info.Bytes, writeJSON(filepath.Join(to, layerInfo), info)
}

// unpack reads a layer, unpacks it into fs, and holds it against its diff-id.
func (im *importer) unpack(l *foundLayer, fs string) (layer.Dropped, error) {
	none := layer.Dropped{}
	blob, _, err := im.src.open(l.name)
	if err != nil {
		return none, err
	}
	defer blob.Close()
	raw := io.Reader(&counting{im: im, r: blob})
	media := l.media
	if l.sniff {
		var magic []byte
		if magic, raw, err = head(raw); err != nil {
			return none, err
		}
		media = sniff(magic)
	}
	stream, err := decompress(raw, media)
	if err != nil {
		return none, err
	}
	defer stream.Close()
	dir, err := unix.Open(fs, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return none, err
	}
	defer unix.Close(dir)
	squash, err := mustSquash(dir)
	if err != nil {
		return none, err
	}
	h := l.diffID.newHash()
	ahead := readAhead(hashing{stream, h})
	dropped, err := layer.Unpack(dir, ahead, layer.Options{Budget: im.budget, Squash: squash})
	ahead.stop()
	switch {
	case errors.Is(err, layer.ErrRefused), errors.Is(err, tarfile.ErrFormat):
		return none, invalid("%w", err)
	case err != nil:
		return none, err
	}
	if have := l.diffID.of(h); have != l.diffID {
		return none, &DigestError{What: "what was unpacked", Want: l.diffID, Have: have}
	}
	return dropped, nil
}

// mustSquash tries whether files can be given to others: an ordinary user cannot,
// and neither can root in a user namespace of one id.
func mustSquash(dir int) (bool, error) {
	const highest = 65535
	err := unix.Fchown(dir, highest, highest)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, unix.Fchown(dir, os.Geteuid(), os.Getegid())
}

// hashing is a reader of what goes into a hash.
type hashing struct {
	r io.Reader
	h hash.Hash
}

func (h hashing) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.h.Write(p[:n])
	return n, err
}

// counting tells how much of the layers was read, and ends where the pull is
// cancelled.
type counting struct {
	im *importer
	r  io.Reader
}

func (c *counting) Read(p []byte) (int, error) {
	if err := c.im.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.im.done += int64(n)
	c.im.progress(c.im.done, c.im.total)
	return n, err
}
