package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/imagetest"
)

// TestRefused has what is wrong with images, and says which error it is. After
// each, nothing is left behind.
func TestRefused(t *testing.T) {
	type prepared struct {
		ref    string
		limits Limits
	}
	// changed writes an image, and lets do change files of the layout.
	changed := func(do func(l *imagetest.Layout, d imagetest.Descriptor)) func(testing.TB) prepared {
		return func(t testing.TB) prepared {
			l := imagetest.NewLayout(t)
			d := l.Image(t, small(t))
			l.Tag(t, d, "latest")
			if do != nil {
				do(l, d)
			}
			return prepared{ref: l.Ref("latest")}
		}
	}
	// manifest writes an image whose manifest is changed by do.
	manifest := func(do func(doc map[string]any)) func(testing.TB) prepared {
		return func(t testing.TB) prepared {
			l := imagetest.NewLayout(t)
			d := l.Image(t, small(t))
			b, err := os.ReadFile(filepath.Join(l.Dir, l.BlobPath(d.Digest)))
			must(t, err)
			var doc map[string]any
			must(t, json.Unmarshal(b, &doc))
			do(doc)
			l.Tag(t, l.Blob(t, imagetest.MediaManifest, imagetest.JSON(t, doc)), "latest")
			return prepared{ref: l.Ref("latest")}
		}
	}
	firstLayer := func(doc map[string]any) map[string]any { return doc["layers"].([]any)[0].(map[string]any) }
	image := func(m func(testing.TB) imagetest.Image, limits Limits) func(testing.TB) prepared {
		return func(t testing.TB) prepared { return prepared{imagetest.OCI(t, m(t)), limits} }
	}
	blobOf := func(t testing.TB, l *imagetest.Layout) string { // of the first layer
		return filepath.Join(l.Dir, l.BlobPath(imagetest.Digest(imagetest.Gzip(t, small(t).Layers[0]))))
	}
	for _, row := range []struct {
		why   string
		make  func(testing.TB) prepared
		wrong string // in the error; "": there is none
		kind  error  // which it matches; nil: any
	}{
		{"the twin of all below", changed(nil), "", nil},
		{"no such layout", func(testing.TB) prepared { return prepared{ref: "oci-layout:/nonexistent"} }, "no such file", os.ErrNotExist},
		{"no layout", func(t testing.TB) prepared { return prepared{ref: "oci-layout:" + t.TempDir()} }, "no OCI image layout", ErrInvalid},
		{"no such tag", func(t testing.TB) prepared {
			return prepared{ref: strings.Replace(changed(nil)(t).ref, ":latest", ":other", 1)}
		}, `tags ["latest"]`, ErrNotFound},
		{"another digest", func(t testing.TB) prepared {
			return prepared{ref: strings.Replace(changed(nil)(t).ref, ":latest", "@"+someSum, 1)}
		}, someSum, ErrNotFound},
		{"a layer of the same length, changed", changed(func(l *imagetest.Layout, _ imagetest.Descriptor) {
			b, err := os.ReadFile(blobOf(t, l))
			must(t, err)
			b[len(b)/2] ^= 1
			must(t, os.WriteFile(blobOf(t, l), b, 0o644))
		}), "changed or damaged", ErrInvalid},
		{"a layer that is cut", changed(func(l *imagetest.Layout, _ imagetest.Descriptor) {
			must(t, os.Truncate(blobOf(t, l), 100))
		}), "not whole", ErrInvalid},
		{"a layer that is missing", changed(func(l *imagetest.Layout, _ imagetest.Descriptor) { must(t, os.Remove(blobOf(t, l))) }), "missing", ErrInvalid},
		{"a layer that is a link out of the layout", changed(func(l *imagetest.Layout, _ imagetest.Descriptor) {
			must(t, os.Rename(blobOf(t, l), l.Dir+"/../blob"))
			must(t, os.Symlink("../../../blob", blobOf(t, l)))
		}), "escapes", nil},
		{"a layer that is a fifo, which would be waited for", changed(func(l *imagetest.Layout, _ imagetest.Descriptor) {
			must(t, os.Remove(blobOf(t, l)))
			must(t, unix.Mkfifo(blobOf(t, l), 0o644))
		}), "no file", nil},
		{"a manifest that was changed", changed(func(l *imagetest.Layout, d imagetest.Descriptor) {
			must(t, os.WriteFile(filepath.Join(l.Dir, l.BlobPath(d.Digest)), []byte(strings.Repeat(" ", int(d.Size))), 0o644))
		}), "changed or damaged", ErrInvalid},
		{"a size that is not the blob's", manifest(func(doc map[string]any) { firstLayer(doc)["size"] = 10 }), "should have 10", ErrInvalid},
		{"an unknown media type", manifest(func(doc map[string]any) { firstLayer(doc)["mediaType"] = "application/x-rar" }), "unknown media type", ErrInvalid},
		{"a foreign layer", manifest(func(doc map[string]any) {
			firstLayer(doc)["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		}), "not distributable", ErrInvalid},
		{"a media type that is not what the bytes are", manifest(func(doc map[string]any) { firstLayer(doc)["mediaType"] = imagetest.MediaLayer + "+zstd" }), "zstd", ErrInvalid},
		{"gzip that is said to be plain", manifest(func(doc map[string]any) { firstLayer(doc)["mediaType"] = imagetest.MediaLayer }), "malformed tar", ErrInvalid},
		{"a digest that is a path", manifest(func(doc map[string]any) { firstLayer(doc)["digest"] = "sha256:../../../../etc/passwd" }), "64 lower-case", ErrInvalid},
		{"a chart, and no image", manifest(func(doc map[string]any) {
			doc["config"].(map[string]any)["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
		}), "not an image", ErrInvalid},
		{"an index and a manifest at once", manifest(func(doc map[string]any) { doc["manifests"] = []any{} }), "at once", ErrInvalid},
		{"the first schema", manifest(func(doc map[string]any) { doc["schemaVersion"] = 1 }), "first schema", ErrInvalid},
		{"a layer less than diff_ids", manifest(func(doc map[string]any) { doc["layers"] = doc["layers"].([]any)[1:] }), "diff_ids", ErrInvalid},
		{"layers in the wrong order", manifest(func(doc map[string]any) {
			l := doc["layers"].([]any)
			l[0], l[1] = l[1], l[0]
		}), "what was unpacked should be", ErrInvalid},
		{"too many layers", image(func(t testing.TB) imagetest.Image {
			m := small(t)
			for len(m.Layers) <= MaxLayers {
				m.Layers = append(m.Layers, m.Layers[0])
			}
			return m
		}, Limits{}), "127 are the most", ErrInvalid},
		{"another architecture", image(func(t testing.TB) imagetest.Image {
			m := small(t)
			m.Architecture = "s390x"
			return m
		}, Limits{}), "the image is for linux/s390x", nil},
		{"an index without this architecture", func(t testing.TB) prepared {
			l := imagetest.NewLayout(t)
			d := l.Image(t, small(t))
			d.Platform = map[string]string{"os": "linux", "architecture": "s390x"}
			w := d
			w.Platform = map[string]string{"os": "windows", "architecture": "amd64"}
			l.Tag(t, l.Index(t, d, w), "latest")
			return prepared{ref: l.Ref("latest")}
		}, "the image is for linux/s390x, windows/amd64", nil},
		{"an index in an index in an index in an index", func(t testing.TB) prepared {
			l := imagetest.NewLayout(t)
			d := l.Image(t, small(t))
			for range 4 {
				d = l.Index(t, d)
			}
			l.Tag(t, d, "latest")
			return prepared{ref: l.Ref("latest")}
		}, "deeper than", ErrInvalid},
		{"an environment that is none", image(func(t testing.TB) imagetest.Image {
			m := small(t)
			m.Config.Env = []string{"=x"}
			return m
		}, Limits{}), "KEY=VALUE", ErrInvalid},
		{"a bomb, of zeros", image(func(t testing.TB) imagetest.Image {
			m := small(t)
			m.Layers = append(m.Layers, imagetest.Tar(t, imagetest.File("zeros", strings.Repeat("\x00", 20<<20))))
			return m
		}, Limits{Bytes: 10 << 20}), "more than 10485760 bytes", nil},
		{"a bomb, after the end of the archive", image(func(t testing.TB) imagetest.Image {
			m := small(t)
			m.Layers = append(m.Layers, make([]byte, 20<<20))
			return m
		}, Limits{Bytes: 10 << 20}), "more than 10485760 bytes", nil},
		{"a bomb, of files", image(func(t testing.TB) imagetest.Image {
			m := small(t)
			var many []imagetest.Entry
			for i := range 100 {
				many = append(many, imagetest.File(strings.Repeat("x", i+1), ""))
			}
			m.Layers = append(m.Layers, imagetest.Tar(t, many...))
			return m
		}, Limits{Files: 50}), "more than 50 files", nil},
		{"two that share one budget", image(func(t testing.TB) imagetest.Image {
			m := small(t)
			m.Layers = append(m.Layers, imagetest.Tar(t, imagetest.File("x", strings.Repeat("x", 6<<20))), imagetest.Tar(t, imagetest.File("y", strings.Repeat("y", 6<<20))))
			return m
		}, Limits{Bytes: 10 << 20}), "more than 10485760 bytes", nil},
		{"a layer that leads out", image(func(t testing.TB) imagetest.Image {
			m := small(t)
			m.Layers = append(m.Layers, imagetest.Tar(t, imagetest.File("../../../evil", "")))
			return m
		}, Limits{}), "leads upwards", ErrInvalid},
		{"several images, and no name", func(t testing.TB) prepared {
			l := imagetest.NewLayout(t)
			l.Tag(t, l.Image(t, small(t)), "a")
			l.Tag(t, l.Image(t, small(t)), "b")
			return prepared{ref: l.Ref("")}
		}, `tags ["a" "b"]`, nil},
		{"no docker archive", func(t testing.TB) prepared {
			return prepared{ref: "docker-archive:" + imagetest.WriteFile(t, "x.tar", imagetest.Tar(t, imagetest.File("x", "")))}
		}, "no manifest.json", ErrInvalid},
		{"a docker archive without that name", func(t testing.TB) prepared {
			return prepared{ref: "docker-archive:" + imagetest.DockerArchive(t, small(t), "some:1") + ":other:1"}
		}, `it has ["some:1"]`, ErrNotFound},
		{"a docker archive that is cut", func(t testing.TB) prepared {
			file := imagetest.DockerArchive(t, small(t), "some:1")
			must(t, os.Truncate(file, 3000))
			return prepared{ref: "docker-archive:" + file}
		}, "malformed tar", ErrInvalid},
		{"a docker archive that is gzip, and cut", func(t testing.TB) prepared {
			z := imagetest.Gzip(t, imagetest.Tar(t, imagetest.File("x", strings.Repeat("x", 10000))))
			return prepared{ref: "docker-archive:" + imagetest.WriteFile(t, "x.tgz", z[:len(z)-10])}
		}, "gzip", ErrInvalid},
		{"a registry, and nothing to ask it with", func(testing.TB) prepared { return prepared{ref: "localhost:1/x"} }, "cannot pull", ErrNotFound},
	} {
		t.Run(row.why, func(t *testing.T) {
			p := row.make(t)
			s := newStore(t)
			s.Limits = p.limits
			im, err := s.Open(t.Context(), p.ref)
			if row.wrong == "" {
				must(t, err)
				must(t, im.Release())
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.wrong) || row.kind != nil && !errors.Is(err, row.kind) {
				t.Fatalf("%v, want an error with %q that matches %v", err, row.wrong, row.kind)
			}
			for _, name := range left(t, s) {
				// A layer that was whole may stay, and so does an image whose user only is wrong.
				if strings.HasPrefix(name, stagingDir) || row.kind != nil && strings.HasPrefix(name, imagesDir) {
					t.Errorf("%s was left behind", name)
				}
			}
		})
	}
}

// TestDamagedStreams: layers whose compressed bytes are wrong in ways that a
// digest does not show, since it is of them.
func TestDamagedStreams(t *testing.T) {
	layerBytes := imagetest.Tar(t, imagetest.File("a", strings.Repeat("some text ", 1000)))
	z := imagetest.Gzip(t, layerBytes)
	badSum := bytes.Clone(z)
	badSum[len(badSum)-6] ^= 1
	for _, row := range []struct {
		why  string
		blob []byte
		ok   bool
	}{
		{"gzip", z, true},
		{"gzip of several members is one stream (RFC 1952)", append(imagetest.Gzip(t, layerBytes[:700]), imagetest.Gzip(t, layerBytes[700:])...), true},
		{"gzip that is cut", z[:len(z)-9], false},
		{"gzip with a wrong checksum", badSum, false},
		{"gzip with something after it", append(bytes.Clone(z), "garbage"...), false},
		{"another archive after it", append(bytes.Clone(z), z...), false},
		{"nothing", nil, false},
	} {
		l := imagetest.NewLayout(t)
		config := imagetest.Image{Layers: [][]byte{layerBytes}}.ConfigJSON(t)
		l.Tag(t, l.Blob(t, imagetest.MediaManifest, imagetest.JSON(t, map[string]any{
			"schemaVersion": 2, "config": l.Blob(t, imagetest.MediaConfig, config),
			"layers": []any{l.Blob(t, imagetest.MediaLayer+"+gzip", row.blob)},
		})), "latest")
		s := newStore(t)
		im, err := s.Open(t.Context(), l.Ref("latest"))
		if row.ok {
			must(t, err)
			must(t, im.Release())
			continue
		}
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", row.why, err)
		}
		if all := left(t, s); len(all) != 0 {
			t.Errorf("%s: %q were left behind", row.why, all)
		}
	}
}
