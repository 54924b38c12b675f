package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/kavach-dev/kavach/internal/layer"
)

// current is what the store knows of a reference, nil where it has to be pulled.
func (d *storeDir) current(ref Reference) (*record, error) {
	r, err := d.readRecord(ref.String())
	if err != nil || r == nil {
		return nil, err
	}
	if ref.Kind == KindRegistry {
		return r, nil
	}
	info, err := os.Stat(ref.Path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		id, err := idOfFile(ref.Path)
		if err != nil || r.Source == nil || *r.Source != *id {
			return nil, err
		}
		return r, nil
	}
	s, err := openDir(ref.Path)
	if err != nil {
		return nil, err
	}
	defer s.close()
	top, err := layoutTop(s, ref)
	if err != nil || top.Digest != r.Top {
		return nil, err
	}
	return r, nil
}

// pull gets an image into the store, which is locked. ifMissing: another pull may
// have got it while this one waited.
func (s *Store) pull(ctx context.Context, d *storeDir, ref Reference, ifMissing bool) (*record, error) {
	unlock, err := d.lockPull(ctx, ref.String())
	if err != nil {
		return nil, err
	}
	defer unlock()
	if ifMissing {
		if r, err := d.current(ref); err != nil || r != nil && d.has(r) {
			return r, err
		}
	}
	staging, err := d.newStaging()
	if err != nil {
		return nil, err
	}
	r, err := s.pullInto(ctx, d, ref, staging)
	if rmErr := os.RemoveAll(staging); rmErr != nil && err == nil {
		err = fmt.Errorf("remove %s: %w", staging, rmErr)
	}
	return r, err
}

func (d *storeDir) has(r *record) bool {
	for i := range r.Layers {
		if !d.hasLayer(r.Layers[i].DiffID) {
			return false
		}
	}
	return true
}

func (d *storeDir) hasLayer(id Digest) bool {
	_, err := os.Lstat(d.layerDir(id))
	return err == nil
}

func (s *Store) pullInto(ctx context.Context, d *storeDir, ref Reference, staging string) (*record, error) {
	r := &record{Ref: ref.String(), Pulled: time.Now().UTC().Truncate(time.Second)}
	path := ref.Path
	if ref.Kind == KindRegistry {
		path = filepath.Join(staging, "fetched")
		if err := s.fetch(ctx, d, ref, path); err != nil {
			return nil, err
		}
	} else {
		id, err := idOfFile(path)
		if err != nil {
			return nil, err
		}
		r.Source = id
	}
	limits := s.Limits.orDefaults()
	src, err := openSource(path, staging, limits.Bytes)
	if err != nil {
		return nil, err
	}
	defer src.close()
	resolve := resolveLayout
	if ref.Kind == KindDockerArchive {
		resolve = resolveArchive
	}
	f, err := resolve(src, ref, s.Platform.orDefault())
	if err != nil {
		return nil, err
	}
	im := &importer{ctx: ctx, dir: d, src: src, staging: staging, progress: s.progress(StageUnpack),
		budget: &layer.Budget{MaxBytes: limits.Bytes, MaxFiles: limits.Files}}
	if r.Layers, err = im.layers(f); err != nil {
		return nil, explainLimit(err)
	}
	r.Top, r.Digest, r.Config = f.top, f.digest, f.config.Config
	return r, d.writeRecord(staging, r)
}

// explainLimit says how a bound is raised.
func explainLimit(err error) error {
	if limit := (*layer.LimitError)(nil); errors.As(err, &limit) {
		return fmt.Errorf("%w: it may be made to fill the disk; if you trust it, raise that limit (kavach image pull --max-%s, or image.Limits)", err, limit.What)
	}
	return err
}

func (s *Store) progress(stage string) func(done, total int64) {
	if s.Progress == nil {
		return func(int64, int64) {}
	}
	return func(done, total int64) { s.Progress(Progress{stage, done, total}) }
}

// fetch lets the Fetcher write a layout.
func (s *Store) fetch(ctx context.Context, d *storeDir, ref Reference, dir string) error {
	if s.Fetcher == nil {
		return fmt.Errorf("%w, and this program cannot pull: set Store.Fetcher, or pull it with kavach image pull", ErrNotFound)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	have := make(map[string]bool)
	err := d.records(func(r *record) {
		for _, l := range r.Layers {
			if d.hasLayer(l.DiffID) {
				have[string(l.DiffID)] = true
				if l.Blob != "" {
					have[string(l.Blob)] = true
				}
			}
		}
	})
	if err != nil {
		return err
	}
	return s.Fetcher.Fetch(ctx, FetchRequest{
		Ref: ref, Platform: s.Platform.orDefault(), Dir: dir, Have: have,
		MaxBytes: s.Limits.orDefaults().Bytes, Progress: s.progress(StageFetch),
	})
}

// openSource opens a layout or an archive, whichever is at path. One that is
// compressed is unpacked into staging.
func openSource(path, staging string, limit int64) (source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openDir(path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is neither a directory nor a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	magic, whole, err := head(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	if c := sniff(magic); c != plain {
		defer file.Close()
		if file, err = inflate(whole, c, staging, limit); err != nil {
			return nil, fmt.Errorf("uncompress %s: %w", path, err)
		}
	}
	return indexTar(file)
}

// inflate writes an archive that is compressed to a file, so that parts of it can
// be read in any order.
func inflate(r io.Reader, c compression, staging string, limit int64) (*os.File, error) {
	z, err := decompress(r, c)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	file, err := os.OpenFile(filepath.Join(staging, "archive.tar"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	n, err := io.CopyBuffer(file, io.LimitReader(z, limit+1), make([]byte, 256<<10))
	if err == nil && n > limit {
		err = explainLimit(&layer.LimitError{What: "bytes", Limit: limit})
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
