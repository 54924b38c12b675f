package image

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/layer"
)

// record is what a store knows of an image.
type record struct {
	Ref    string        `json:"ref"`
	Top    Digest        `json:"top"`    // what the reference led to
	Digest Digest        `json:"digest"` // what names the image
	Pulled time.Time     `json:"pulled"`
	Layers []layerRecord `json:"layers"`
	Config execConfig    `json:"config"`
	Source *fileID       `json:"source,omitempty"` // the archive that it came from
}

type layerRecord struct {
	DiffID Digest `json:"diff_id"`
	Blob   Digest `json:"blob,omitempty"`
	Bytes  int64  `json:"bytes"`
}

// layerJSON is beside an unpacked layer.
type layerJSON struct {
	DiffID  Digest        `json:"diff_id"`
	Bytes   int64         `json:"bytes"`
	Files   int64         `json:"files"`
	Dropped layer.Dropped `json:"dropped"`
}

// fileID tells whether a file still is what it was.
type fileID struct {
	Dev, Ino     uint64
	Size         int64
	Mtime, Ctime int64 // nanoseconds
}

func idOfFile(path string) (*fileID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &fileID{st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}, nil
}

func recordName(ref string) string { return fmt.Sprintf("%x.json", sha256.Sum256([]byte(ref))) }

// readRecord reads what is known of an image; nil: nothing.
func (d *storeDir) readRecord(ref string) (*record, error) {
	return d.readRecordFile(recordName(ref))
}

func (d *storeDir) readRecordFile(name string) (*record, error) {
	file := d.join(imagesDir, name)
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read %s of the image store: %w; remove that file, and pull the image again", file, err)
	}
	for i := range r.Layers { // they become names of files
		if _, err := ParseDigest(string(r.Layers[i].DiffID)); err != nil {
			return nil, fmt.Errorf("read %s of the image store: %w; remove that file, and pull the image again", file, err)
		}
	}
	return &r, nil
}

// records reads all, and gives them to do.
func (d *storeDir) records(do func(*record)) error {
	files, err := os.ReadDir(d.join(imagesDir))
	if err != nil {
		return err
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".json") {
			continue
		}
		r, err := d.readRecordFile(f.Name())
		if err != nil {
			return err
		}
		if r != nil {
			do(r)
		}
	}
	return nil
}

// writeRecord makes an image known. All that it needs is on disk.
func (d *storeDir) writeRecord(staging string, r *record) error {
	file := filepath.Join(staging, "record")
	if err := writeJSON(file, r); err != nil {
		return err
	}
	if err := os.Rename(file, d.join(imagesDir, recordName(r.Ref))); err != nil {
		return err
	}
	return syncDir(d.join(imagesDir))
}

func writeJSON(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Sync()
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (r *record) entry() Entry {
	e := Entry{Ref: r.Ref, Digest: string(r.Digest), Layers: len(r.Layers), Pulled: r.Pulled}
	for i := range r.Layers {
		e.Bytes += r.Layers[i].Bytes
	}
	return e
}

// layerDir is where a layer is when it is whole.
func (d *storeDir) layerDir(id Digest) string { return d.join(layersDir, id.Hex()) }

func (d *storeDir) readLayerInfo(id Digest) (info layerJSON, err error) {
	b, err := os.ReadFile(filepath.Join(d.layerDir(id), layerInfo))
	if err != nil {
		return info, err
	}
	return info, json.Unmarshal(b, &info)
}
