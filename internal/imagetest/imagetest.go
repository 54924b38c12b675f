// Package imagetest makes container images for tests: real ones, from busybox
// and from Debian, and such as no honest program would make.
//
// What this package does not protect: it is for tests.
package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Entry is a member of a layer: a header as archive/tar has it, and what is in
// it. Zero of Typeflag is a regular file, of Mode 0644, or 0755 for a directory.
type Entry struct {
	tar.Header
	Body string
}

// File, Dir, Link and HardLink make the usual entries.
func File(name, body string) Entry { return Entry{tar.Header{Name: name}, body} }

// Dir makes a directory.
func Dir(name string) Entry { return Entry{tar.Header{Name: name, Typeflag: tar.TypeDir}, ""} }

// Link makes a symbolic link.
func Link(name, target string) Entry {
	return Entry{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}, ""}
}

// HardLink makes another name of a file of the same layer.
func HardLink(name, target string) Entry {
	return Entry{tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}, ""}
}

// Program makes a file that can be executed.
func Program(name, body string) Entry { return Entry{tar.Header{Name: name, Mode: 0o755}, body} }

// epoch is the time of what says none, so that the same image has the same digest.
var epoch = time.Unix(1700000000, 0)

// Tar is entries as an archive.
func Tar(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := e.Header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		if h.ModTime.IsZero() {
			h.ModTime = epoch
		}
		if h.Size == 0 {
			h.Size = int64(len(e.Body))
		}
		must(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(e.Body))
		must(t, err)
	}
	must(t, w.Close())
	return buf.Bytes()
}

// Image is an image to be written. Its layers are archives, the lowest first.
type Image struct {
	Layers [][]byte
	Config Config

	// Architecture is that of the machine where it is empty; Variant may be.
	Architecture, Variant string

	// Docker writes Docker's media types instead of OCI's.
	Docker bool

	// Plain writes layers as they are, else with gzip.
	Plain bool
}

// Config is the part of an image's configuration that says how commands run
// (OCI image-spec, config.md).
type Config struct {
	User       string   `json:"User,omitempty"`
	Env        []string `json:"Env,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
}

// Descriptor is an OCI descriptor.
type Descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    map[string]string `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Media types, OCI's and Docker's.
const (
	MediaIndex          = "application/vnd.oci.image.index.v1+json"
	MediaManifest       = "application/vnd.oci.image.manifest.v1+json"
	MediaConfig         = "application/vnd.oci.image.config.v1+json"
	MediaLayer          = "application/vnd.oci.image.layer.v1.tar"
	MediaDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaDockerConfig   = "application/vnd.docker.container.image.v1+json"
	MediaDockerLayer    = "application/vnd.docker.image.rootfs.diff.tar"
)

// ConfigJSON is the image's configuration.
func (m Image) ConfigJSON(t testing.TB) []byte {
	diffs := make([]string, len(m.Layers))
	for i, layer := range m.Layers {
		diffs[i] = Digest(layer)
	}
	arch := m.Architecture
	if arch == "" {
		arch = runtime.GOARCH
	}
	doc := map[string]any{
		"architecture": arch, "os": "linux", "config": m.Config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	}
	if m.Variant != "" {
		doc["variant"] = m.Variant
	}
	return JSON(t, doc)
}

// Digest is the sha256 digest of b.
func Digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// JSON is v as JSON.
func JSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return b
}

// Gzip is b compressed.
func Gzip(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	must(t, err)
	_, err = w.Write(b)
	must(t, err)
	must(t, w.Close())
	return buf.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, dir, name string, b []byte) {
	t.Helper()
	file := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, b, 0o644))
}

// FixChecksums makes every block of an archive that looks like a header one with
// the right checksum: what a fuzzer changes would hardly ever get beyond it.
func FixChecksums(b []byte) []byte {
	const block, sum, magic = 512, 148, 257
	b = bytes.Clone(b)
	for at := 0; at+block <= len(b); at += block {
		h := b[at : at+block]
		if string(h[magic:magic+5]) != "ustar" {
			continue
		}
		copy(h[sum:], "        ")
		total := 0
		for _, c := range h {
			total += int(c)
		}
		copy(h[sum:], fmt.Sprintf("%06o\x00 ", total))
	}
	return b
}
