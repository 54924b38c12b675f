package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many blobs are fetched at the same time.
const atOnce = 4

// job is one call of this program: what was asked for, and what came of it.
type job struct {
	ref, dir, platform, haveFile, caFile, progress string

	insecure  []string // HOST or HOST:PORT that may speak plain HTTP
	maxSize   int64    // of all that is fetched, in bytes
	patience  time.Duration
	pause     time.Duration // before the second try of what failed
	certsDirs []string      // DIR/HOST/*.crt are trusted for HOST

	stderr *os.File // for progress; nil: none is shown

	keys keychain
	host string // of the registry; empty: not known yet
	door *door  // nil: nothing was asked of it yet
}

// summary is what was fetched, as stdout has it.
type summary struct {
	Digest   string `json:"digest"`   // what the reference names: an index, or a manifest
	Manifest string `json:"manifest"` // the manifest for the platform
	Platform string `json:"platform"`
	Fetched  int    `json:"fetched"`            // configuration and layers
	Skipped  int    `json:"skipped"`            // layers that the caller has
	Bytes    int64  `json:"bytes"`              // of what was fetched
	Insecure bool   `json:"insecure,omitempty"` // the registry spoke plain HTTP
}

// run fetches the image.
func (j *job) run(ctx context.Context) (*summary, error) {
	want, err := parsePlatform(j.platform)
	if err != nil {
		return nil, err
	}
	ref, err := parseReference(j.ref)
	if err != nil {
		return nil, err
	}
	have, err := readHave(j.haveFile)
	if err != nil {
		return nil, err
	}
	root, err := openEmpty(j.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	reg, err := j.dial(ctx, ref)
	if err != nil {
		return nil, err
	}
	top, manifest, m, err := j.manifests(ctx, reg, root, ref, want)
	if err != nil {
		return nil, err
	}
	s := &summary{Digest: top.Digest.String(), Manifest: manifest.String(), Platform: want.String(), Insecure: reg.plain}
	if err := j.content(ctx, reg, root, want, m, have, s); err != nil {
		return nil, err
	}
	return s, finish(root, top, ref)
}

// manifests fetches what the reference names, and where that is an index, the
// manifest for the platform, too. Top is what index.json has to say of the first.
func (j *job) manifests(ctx context.Context, reg *registry, root *os.Root, ref name.Reference, want platform) (top v1.Descriptor, digest v1.Hash, m *document, err error) {
	var pinned *v1.Hash
	if d, ok := ref.(name.Digest); ok {
		h, err := v1.NewHash(d.DigestStr())
		if err != nil {
			return top, digest, nil, err
		}
		pinned = &h
	}
	m, top, err = j.manifest(ctx, reg, root, ref.Identifier(), pinned, "")
	if err != nil || !m.isIndex() {
		return top, top.Digest, m, err
	}
	chosen, err := want.choose(m, ref.String())
	if err != nil {
		return top, digest, nil, err
	}
	m, _, err = j.manifest(ctx, reg, root, chosen.Digest.String(), &chosen.Digest, string(chosen.MediaType))
	if err == nil && m.isIndex() {
		err = &trouble{Kind: kindServer, Message: fmt.Sprintf("%s is an index where a manifest should be", chosen.Digest)}
	}
	return top, chosen.Digest, m, err
}

// manifest fetches one document, checks its digest where it has one, and saves it.
// claimed is its media type where an index has it; else the registry says it.
func (j *job) manifest(ctx context.Context, reg *registry, root *os.Root, id string, digest *v1.Hash, claimed string) (*document, v1.Descriptor, error) {
	var desc v1.Descriptor
	data, header, err := reg.small(ctx, "/manifests/"+id, accepted, maxManifest, j.pause)
	if err != nil {
		return nil, desc, err
	}
	if digest != nil {
		desc.Digest = *digest
		err = check("the manifest "+id, data, desc.Digest)
	} else {
		desc.Digest, _, err = v1.SHA256(bytes.NewReader(data))
	}
	if err != nil {
		return nil, desc, err
	}
	if claimed == "" {
		claimed = contentType(header)
	}
	m, err := parseDocument(data, claimed)
	if err != nil {
		return nil, desc, err
	}
	desc.MediaType, desc.Size = m.MediaType, int64(len(data))
	if err := root.MkdirAll("blobs/"+desc.Digest.Algorithm, 0o755); err != nil {
		return nil, desc, err
	}
	return m, desc, save(root, desc.Digest, data)
}

// content fetches the configuration, which says at once whether the image is for
// the platform, and then the layers.
func (j *job) content(ctx context.Context, reg *registry, root *os.Root, want platform, m *document, have map[string]bool, s *summary) error {
	if err := checkLayers(m, j.maxSize); err != nil {
		return err
	}
	config, _, err := reg.small(ctx, "/blobs/"+m.Config.Digest.String(), "", min(maxConfig, m.Config.Size), j.pause)
	if err == nil {
		err = check("the configuration "+m.Config.Digest.String(), config, m.Config.Digest)
	}
	if err == nil {
		err = want.fits(config, j.ref)
	}
	if err != nil {
		return err
	}
	// A digest is fetched once, however many layers have it.
	todo := make(map[v1.Hash]v1.Descriptor)
	for _, l := range m.Layers {
		switch {
		case have[l.Digest.String()]:
			s.Skipped++
		case todo[l.Digest].Digest != v1.Hash{} && todo[l.Digest].Size != l.Size:
			return &trouble{Kind: kindServer, Message: fmt.Sprintf("%s is said to have %d bytes, and %d", l.Digest, l.Size, todo[l.Digest].Size)}
		default:
			todo[l.Digest] = l
		}
	}
	for h := range todo {
		if err := root.MkdirAll("blobs/"+h.Algorithm, 0o755); err != nil {
			return err
		}
	}
	if err := root.MkdirAll("blobs/"+m.Config.Digest.Algorithm, 0o755); err != nil {
		return err
	}
	if err := save(root, m.Config.Digest, config); err != nil {
		return err
	}
	s.Fetched, s.Bytes = 1+len(todo), int64(len(config))
	return j.layers(ctx, reg, root, m, todo, s)
}

// layers fetches layers, several at once, in the order of the manifest.
func (j *job) layers(ctx context.Context, reg *registry, root *os.Root, m *document, todo map[v1.Hash]v1.Descriptor, s *summary) error {
	total := int64(0)
	for _, l := range todo {
		total += l.Size
	}
	s.Bytes += total
	show := j.newMeter(total)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, l := range m.Layers {
		l, wanted := todo[l.Digest]
		if !wanted {
			continue
		}
		delete(todo, l.Digest)
		group.Go(func() error {
			f := &blob{reg: reg, root: root, desc: l, pause: j.pause}
			return f.fetch(ctx, show)
		})
	}
	err := group.Wait()
	show.close(err == nil)
	return err
}

// finish makes a layout of the directory.
func finish(root *os.Root, top v1.Descriptor, ref name.Reference) error {
	if tag, ok := ref.(name.Tag); ok {
		top.Annotations = map[string]string{"org.opencontainers.image.ref.name": tag.TagStr()}
	}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{top}})
	if err != nil {
		return err
	}
	if err := root.WriteFile("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		return err
	}
	if err := root.WriteFile("index.json.part", index, 0o644); err != nil {
		return err
	}
	return root.Rename("index.json.part", "index.json")
}

// openEmpty opens a directory, which must have nothing in it.
func openEmpty(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	d, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(1)
	if len(names) > 0 {
		err = &trouble{Kind: kindOther, Message: fmt.Sprintf("directory %s is not empty: it has %q in it", dir, names[0]), Fix: "name an empty one"}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		root.Close()
		return nil, err
	}
	return root, nil
}

// readHave reads digests, one a line. An empty name: there are none.
func readHave(file string) (map[string]bool, error) {
	have := make(map[string]bool)
	if file == "" {
		return have, nil
	}
	data, err := readBounded(file, maxFile)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			have[line] = true
		}
	}
	return have, lines.Err()
}
