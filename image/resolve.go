package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// found is an image in a source: what it is, and where its layers are.
type found struct {
	top    Digest // what the reference led to: an index or a manifest
	digest Digest // what names the image: of the manifest, or of the configuration
	config *configJSON
	layers []foundLayer
}

type foundLayer struct {
	diffID Digest
	blob   *descriptor // nil in a docker-archive, which has no digests of layers
	media  compression
	sniff  bool   // how it is compressed is to be seen from its first bytes
	name   string // in the source
}

// resolveLayout finds the image that ref names in an OCI layout. Where it has a
// digest, that is the one that is looked for.
func resolveLayout(s source, ref Reference, want Platform) (*found, error) {
	if err := checkLayout(s); err != nil {
		return nil, err
	}
	top, err := layoutTop(s, ref)
	if err != nil {
		return nil, err
	}
	f := &found{top: top.Digest}
	d := top
	for range maxNested {
		b, err := readBlob(s, d)
		if err != nil {
			return nil, err
		}
		if !d.isIndex() {
			return f, f.readManifest(s, d, b, want)
		}
		index, err := parseDocument(b, d.MediaType)
		if err != nil {
			return nil, fmt.Errorf("index %s: %w", d.Digest, err)
		}
		if d, err = want.choose(index.Manifests); err != nil {
			return nil, err
		}
	}
	return nil, invalid("index %s leads to an index of an index, deeper than %d", f.top, maxNested)
}

func checkLayout(s source) error {
	b, err := readSmall(s, "oci-layout")
	if errors.Is(err, os.ErrNotExist) {
		return invalid("it is no OCI image layout: it has no file oci-layout")
	}
	if err != nil {
		return err
	}
	var layout struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(b, &layout); err != nil || !strings.HasPrefix(layout.Version, "1.") {
		return invalid("its oci-layout says version %.40q, and 1.0.0 is known", layout.Version)
	}
	return nil
}

// layoutTop finds the descriptor in index.json that a reference means.
func layoutTop(s source, ref Reference) (*descriptor, error) {
	b, err := readSmall(s, "index.json")
	if err != nil {
		return nil, fmt.Errorf("read index.json: %w", err)
	}
	index, err := parseDocument(b, "")
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	var tags []string
	var fits []*descriptor
	for i := range index.Manifests {
		d := &index.Manifests[i]
		tag := d.Annotations[refNameKey]
		tags = append(tags, short(tag))
		switch {
		case ref.Digest != "" && d.Digest == ref.Digest, // the same one may be there under several tags
			ref.Digest == "" && ref.Kind == KindRegistry,
			ref.Digest == "" && ref.Kind != KindRegistry && (ref.Tag == "" || tag == ref.Tag):
			fits = append(fits, d)
		}
	}
	switch {
	case len(fits) == 0:
		return nil, fmt.Errorf("%w: %s has the tags %q", ErrNotFound, ref, tags)
	case len(fits) > 1 && ref.Digest == "":
		return nil, fmt.Errorf("%s has several images, with the tags %q: name one of them, or its digest", ref, tags)
	}
	if fits[0].MediaType == mediaDockerSchema1+"json" || fits[0].MediaType == mediaDockerSchema1+"prettyjws" {
		return nil, invalid("%s is of Docker's first schema, which has no digests that hold; push it again with a tool of after 2016", ref)
	}
	if t := fits[0].MediaType; !fits[0].isIndex() && t != mediaOCIManifest && t != mediaDockerManifest {
		return nil, invalid("%s is a %.100q, and neither a manifest nor an index", ref, t)
	}
	return fits[0], nil
}

// readManifest takes everything from a manifest but the layers themselves.
func (f *found) readManifest(s source, d *descriptor, b []byte, want Platform) error {
	if d.MediaType != mediaOCIManifest && d.MediaType != mediaDockerManifest {
		return invalid("%s is a %.100q, and no manifest", d.Digest, d.MediaType)
	}
	doc, err := parseManifest(b, d.MediaType)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	config, err := readBlob(s, doc.Config)
	if err != nil {
		return err
	}
	if f.config, err = parseConfig(config, want); err != nil {
		return err
	}
	ids := f.config.RootFS.DiffIDs
	if len(ids) != len(doc.Layers) {
		return invalid("manifest %s has %d layers, and its configuration %d diff_ids", d.Digest, len(doc.Layers), len(ids))
	}
	for i := range doc.Layers {
		l := &doc.Layers[i]
		f.layers = append(f.layers, foundLayer{diffID: ids[i], blob: l, media: layerMedia[l.MediaType], name: blobName(l.Digest)})
	}
	f.digest = d.Digest
	return nil
}

// resolveArchive finds an image in what docker save wrote: manifest.json names
// the configuration, whose digest is the image's id, and the layers.
func resolveArchive(s source, ref Reference, want Platform) (*found, error) {
	b, err := readSmall(s, "manifest.json")
	if errors.Is(err, os.ErrNotExist) {
		return nil, invalid("%s is no docker archive: it has no manifest.json (for an OCI layout in an archive write oci-layout:%s)", ref.Path, ref.Path)
	}
	if err != nil {
		return nil, err
	}
	var images []archiveImage
	if err := json.Unmarshal(b, &images); err != nil {
		return nil, invalid("read manifest.json: %w", err)
	}
	chosen, err := chooseArchived(images, ref)
	if err != nil {
		return nil, err
	}
	config, err := readSmall(s, chosen.Config)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	f := &found{digest: digestOf(config)}
	f.top = f.digest
	if f.config, err = parseConfig(config, want); err != nil {
		return nil, err
	}
	ids := f.config.RootFS.DiffIDs
	if len(ids) != len(chosen.Layers) {
		return nil, invalid("manifest.json names %d layers, and the configuration %d diff_ids", len(chosen.Layers), len(ids))
	}
	for i, name := range chosen.Layers {
		f.layers = append(f.layers, foundLayer{diffID: ids[i], name: name, sniff: true})
	}
	return f, nil
}

type archiveImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func chooseArchived(images []archiveImage, ref Reference) (*archiveImage, error) {
	var names []string
	for i := range images {
		for _, tag := range images[i].RepoTags {
			names = append(names, short(tag))
			if named, err := ParseReference(tag); err == nil && named.String() == ref.Tag {
				return &images[i], nil
			}
		}
	}
	switch {
	case ref.Tag != "":
		return nil, fmt.Errorf("%w: %s has no %s; it has %q", ErrNotFound, ref.Path, ref.Tag, names)
	case len(images) != 1:
		return nil, fmt.Errorf("%s has %d images: name one of %q, as docker-archive:FILE:NAME", ref.Path, len(images), names)
	}
	return &images[0], nil
}

// head looks at the first bytes of r, and gives back all of it.
func head(r io.Reader) ([]byte, io.Reader, error) {
	const magic = 4
	b := make([]byte, magic)
	n, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:n], io.MultiReader(strings.NewReader(string(b[:n])), r), err
}
