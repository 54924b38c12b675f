package imagetest

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Layout is an OCI image layout that is being written.
type Layout struct {
	Dir       string
	Manifests []Descriptor // of index.json
}

// NewLayout begins a layout in a new directory that everybody may read.
func NewLayout(t testing.TB) *Layout {
	t.Helper()
	return &Layout{Dir: filepath.Join(tempDir(t), "layout")}
}

// tempDir is t.TempDir, for every user to read.
func tempDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		must(t, os.Chmod(d, 0o755))
	}
	return dir
}

// Blob writes a blob, and describes it.
func (l *Layout) Blob(t testing.TB, mediaType string, b []byte) Descriptor {
	t.Helper()
	d := Descriptor{MediaType: mediaType, Digest: Digest(b), Size: int64(len(b))}
	write(t, l.Dir, l.BlobPath(d.Digest), b)
	return d
}

// BlobPath is where a blob is, below Dir.
func (l *Layout) BlobPath(digest string) string {
	return filepath.Join("blobs", strings.Replace(digest, ":", "/", 1))
}

// Image writes an image, and describes its manifest.
func (l *Layout) Image(t testing.TB, m Image) Descriptor {
	t.Helper()
	media, mediaConfig, mediaLayer := MediaManifest, MediaConfig, MediaLayer
	gz := "+gzip"
	if m.Docker {
		media, mediaConfig, mediaLayer, gz = MediaDockerManifest, MediaDockerConfig, MediaDockerLayer, ".gzip"
	}
	layers := make([]Descriptor, len(m.Layers))
	for i, layer := range m.Layers {
		if m.Plain {
			layers[i] = l.Blob(t, mediaLayer, layer)
		} else {
			layers[i] = l.Blob(t, mediaLayer+gz, Gzip(t, layer))
		}
	}
	return l.Blob(t, media, JSON(t, map[string]any{
		"schemaVersion": 2, "mediaType": media, "layers": layers,
		"config": l.Blob(t, mediaConfig, m.ConfigJSON(t)),
	}))
}

// Tag makes index.json name a manifest or an index.
func (l *Layout) Tag(t testing.TB, d Descriptor, tag string) {
	t.Helper()
	if tag != "" {
		d.Annotations = map[string]string{"org.opencontainers.image.ref.name": tag}
	}
	l.Manifests = append(l.Manifests, d)
	write(t, l.Dir, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	write(t, l.Dir, "index.json", l.index(t, l.Manifests))
}

// Index writes an index of several manifests, and describes it.
func (l *Layout) Index(t testing.TB, manifests ...Descriptor) Descriptor {
	t.Helper()
	return l.Blob(t, MediaIndex, l.index(t, manifests))
}

func (l *Layout) index(t testing.TB, manifests []Descriptor) []byte {
	return JSON(t, map[string]any{"schemaVersion": 2, "mediaType": MediaIndex, "manifests": manifests})
}

// Ref is a reference to the layout.
func (l *Layout) Ref(tag string) string {
	if tag == "" {
		return "oci-layout:" + l.Dir
	}
	return "oci-layout:" + l.Dir + ":" + tag
}

// OCI writes an image as a layout, and returns a reference to it.
func OCI(t testing.TB, m Image) string {
	t.Helper()
	l := NewLayout(t)
	l.Tag(t, l.Image(t, m), "latest")
	return l.Ref("latest")
}

// DockerArchive writes an image as docker save did before it wrote layouts, and
// returns the file's path.
func DockerArchive(t testing.TB, m Image, name string) string {
	t.Helper()
	config := m.ConfigJSON(t)
	configName := strings.TrimPrefix(Digest(config), "sha256:") + ".json"
	var entries []Entry
	var layers []string
	for _, layer := range m.Layers {
		dir := strings.TrimPrefix(Digest(layer), "sha256:")
		layers = append(layers, dir+"/layer.tar")
		entries = append(entries, Dir(dir+"/"), File(dir+"/VERSION", "1.0"), File(dir+"/layer.tar", string(layer)))
	}
	var tags []string
	if name != "" {
		tags = []string{name}
	}
	manifest := JSON(t, []map[string]any{{"Config": configName, "RepoTags": tags, "Layers": layers}})
	entries = append(entries, File(configName, string(config)), File("manifest.json", string(manifest)))
	return WriteFile(t, "image.tar", Tar(t, entries...))
}

// WriteFile writes a file into a new directory that everybody may read, and
// returns its path.
func WriteFile(t testing.TB, name string, b []byte) string {
	t.Helper()
	dir := tempDir(t)
	write(t, dir, name, b)
	return filepath.Join(dir, name)
}

// Device makes a device node.
func Device(name string, typeflag byte, major, minor int64) Entry {
	return Entry{tar.Header{Name: name, Typeflag: typeflag, Devmajor: major, Devminor: minor}, ""}
}
