package image

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/imagetest"
)

// A Store is what a Runtime finds images with.
var _ kavach.Images = (*Store)(nil)

func zstdOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf)
	must(t, err)
	_, err = w.Write(b)
	must(t, err)
	must(t, w.Close())
	return buf.Bytes()
}

// TestZstd opens an image whose layer, and one whose archive is compressed so.
func TestZstd(t *testing.T) {
	m := small(t)
	l := imagetest.NewLayout(t)
	var layers []imagetest.Descriptor
	for _, b := range m.Layers {
		layers = append(layers, l.Blob(t, imagetest.MediaLayer+"+zstd", zstdOf(t, b)))
	}
	l.Tag(t, l.Blob(t, imagetest.MediaManifest, imagetest.JSON(t, map[string]any{
		"schemaVersion": 2, "config": l.Blob(t, imagetest.MediaConfig, m.ConfigJSON(t)), "layers": layers,
	})), "latest")
	archive, err := os.ReadFile(imagetest.DockerArchive(t, m, ""))
	must(t, err)
	for _, ref := range []string{l.Ref("latest"), "docker-archive:" + imagetest.WriteFile(t, "a.tar.zst", zstdOf(t, archive))} {
		im := openImage(t, newStore(t), ref)
		if readFile(t, im, "/a") != "above" {
			t.Errorf("%s: %q", ref, readFile(t, im, "/a"))
		}
		must(t, im.Release())
	}
}

// TestSHA512 opens an image all of whose digests are of that kind, and refuses
// one of which is wrong.
func TestSHA512(t *testing.T) {
	sum := func(b []byte) string { return fmt.Sprintf("sha512:%x", sha512.Sum512(b)) }
	for _, wrong := range []bool{false, true} {
		l := imagetest.NewLayout(t)
		blob := func(media string, b []byte) imagetest.Descriptor {
			d := imagetest.Descriptor{MediaType: media, Digest: sum(b), Size: int64(len(b))}
			path := filepath.Join(l.Dir, l.BlobPath(d.Digest))
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.WriteFile(path, b, 0o644))
			return d
		}
		layerBytes := small(t).Layers[0]
		diffID := sum(layerBytes)
		if wrong {
			diffID = sum([]byte("something else"))
		}
		config := strings.Replace(string(imagetest.Image{Layers: [][]byte{layerBytes}}.ConfigJSON(t)), imagetest.Digest(layerBytes), diffID, 1)
		l.Tag(t, blob(imagetest.MediaManifest, imagetest.JSON(t, map[string]any{
			"schemaVersion": 2, "config": blob(imagetest.MediaConfig, []byte(config)),
			"layers": []any{blob(imagetest.MediaLayer+"+gzip", imagetest.Gzip(t, layerBytes))},
		})), "latest")
		im, err := newStore(t).Open(t.Context(), l.Ref("latest"))
		if wrong {
			if err == nil || !strings.Contains(err.Error(), "what was unpacked should be sha512:") {
				t.Errorf("%v", err)
			}
			continue
		}
		must(t, err)
		if readFile(t, im, "/a") != "below" {
			t.Errorf("%q", readFile(t, im, "/a"))
		}
		must(t, im.Release())
	}
}
