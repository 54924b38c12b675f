package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fake is a registry in memory, with TLS, that misbehaves as it is told.
type fake struct {
	t     *testing.T
	srv   *httptest.Server
	repo  string
	types map[string]string // "manifests/latest" → its media type

	mu     sync.Mutex
	things map[string][]byte                                                            // "manifests/latest", "blobs/sha256:…"
	spoil  map[string]func(try int, w http.ResponseWriter, r *http.Request) (done bool) // by path below the repository; "" is /v2/
	asked  map[string]int
	heads  map[string]http.Header // of the last request
	busy   int
	most   int // requests for blobs at once
}

// newFake is a registry that has app:latest for linux/amd64, with these layers.
func newFake(t *testing.T, layers ...string) *fake {
	f := &fake{
		t: t, repo: "app", types: make(map[string]string), things: make(map[string][]byte),
		spoil: make(map[string]func(int, http.ResponseWriter, *http.Request) bool),
		asked: make(map[string]int), heads: make(map[string]http.Header),
	}
	f.srv = httptest.NewUnstartedServer(f)
	f.srv.Config.ErrorLog = log.New(io.Discard, "", 0) // clients go away on purpose
	f.srv.StartTLS()
	t.Cleanup(f.srv.Close)
	if len(layers) == 0 {
		layers = []string{"one layer", "another layer"}
	}
	f.tag("latest", f.image("linux", "amd64", layers...))
	return f
}

func digestOf(data []byte) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256(data))}
}

// blob stores bytes, and describes them.
func (f *fake) blob(data string, kind types.MediaType) v1.Descriptor {
	d := v1.Descriptor{MediaType: kind, Digest: digestOf([]byte(data)), Size: int64(len(data))}
	f.things["blobs/"+d.Digest.String()] = []byte(data)
	return d
}

// put stores a manifest or an index under its digest, and describes it.
func (f *fake) put(doc any, kind types.MediaType) v1.Descriptor {
	data, err := json.Marshal(doc)
	if err != nil {
		f.t.Fatal(err)
	}
	d := v1.Descriptor{MediaType: kind, Digest: digestOf(data), Size: int64(len(data))}
	f.things["manifests/"+d.Digest.String()] = data
	f.types["manifests/"+d.Digest.String()] = string(kind)
	return d
}

func (f *fake) tag(name string, d v1.Descriptor) {
	f.things["manifests/"+name] = f.things["manifests/"+d.Digest.String()]
	f.types["manifests/"+name] = string(d.MediaType)
}

func (f *fake) image(os, arch string, layers ...string) v1.Descriptor {
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	m.Config = f.blob(fmt.Sprintf(`{"os":%q,"architecture":%q,"rootfs":{"type":"layers"}}`, os, arch), types.OCIConfigJSON)
	for _, l := range layers {
		m.Layers = append(m.Layers, f.blob(l, types.OCILayer))
	}
	return f.put(m, types.OCIManifestSchema1)
}

func (f *fake) index(manifests ...v1.Descriptor) v1.Descriptor {
	return f.put(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: manifests}, types.OCIImageIndex)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/v2/"), f.repo+"/")
	f.mu.Lock()
	f.asked[path]++
	f.heads[path] = r.Header.Clone()
	try, spoil, data, found := f.asked[path], f.spoil[path], f.things[path], false
	if spoil == nil {
		spoil = f.spoil["*"]
	}
	_, found = f.things[path]
	if strings.HasPrefix(path, "blobs/") {
		f.busy++
		f.most = max(f.most, f.busy)
		defer func() { f.mu.Lock(); f.busy--; f.mu.Unlock() }()
	}
	f.mu.Unlock()
	switch {
	case spoil != nil && spoil(try, w, r):
	case path == "":
		_, _ = w.Write([]byte("{}"))
	case !found:
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"NOT_THERE","message":"nobody has it"}]}`))
	default:
		if kind := f.types[path]; kind != "" {
			w.Header().Set("Content-Type", kind)
		} else {
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

// times is how often a path was asked for.
func (f *fake) times(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

func (f *fake) host() string { return strings.TrimPrefix(f.srv.URL, "https://") }

// ca is a file with the registry's own certificate.
func (f *fake) ca() string {
	return certFile(f.t, f.srv)
}

func certFile(t *testing.T, srv *httptest.Server) string {
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// job is one that fetches app:latest for linux/amd64, and knows no credentials.
func (f *fake) job() *job {
	j := newJob(f.t, f.host()+"/app")
	j.caFile = f.ca()
	return j
}

func newJob(t *testing.T, ref string) *job {
	noCredentials := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"} {
		t.Setenv(name, noCredentials)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	return &job{
		ref: ref, dir: t.TempDir(), platform: "linux/amd64", progress: "none",
		maxSize: defaultMaxSize, patience: time.Minute, pause: time.Millisecond,
	}
}

// fetched runs a job that must do well, and checks what it left.
func fetched(t *testing.T, j *job) *summary {
	t.Helper()
	s, err := j.run(context.Background())
	if err != nil {
		t.Fatalf("%+v", explain(err, j))
	}
	checkLayout(t, j.dir)
	return s
}

// checkLayout sees that a directory is a layout, and that its blobs are what
// their names say.
func checkLayout(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"index.json", "oci-layout"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	for _, file := range blobs(t, dir) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := digestOf(data).Hex; got != filepath.Base(file) {
			t.Errorf("blob %s holds what has the digest %s", file, got)
		}
	}
}

func blobs(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// refused runs a job that must fail, and checks that what it left is no image.
func refused(t *testing.T, j *job) *trouble {
	t.Helper()
	s, err := j.run(context.Background())
	if err == nil {
		t.Fatalf("it went well: %+v", s)
	}
	checkNothing(t, j.dir)
	return explain(err, j)
}

// checkNothing sees that a directory is no layout, and that no part of a blob is
// in it.
func checkNothing(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "index.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is an index.json: %v", err)
	}
	for _, file := range blobs(t, dir) {
		data, err := os.ReadFile(file)
		if err != nil || digestOf(data).Hex != filepath.Base(file) {
			t.Errorf("%s was left behind (%v)", file, err)
		}
	}
}
