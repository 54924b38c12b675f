package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is matched by errors about an image that is malformed, is not what
// its digests say, or holds what is refused.
var ErrInvalid = errors.New("the image is not valid")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// maxJSON bounds an index, a manifest and a configuration, each: as much as
// registries take (distribution-spec, "Pushing Manifests").
const maxJSON = 4 << 20

// maxNested bounds indexes in indexes. Real images have one.
const maxNested = 3

// refNameKey is the annotation that holds a tag in a layout (OCI image-spec,
// annotations.md).
const refNameKey = "org.opencontainers.image.ref.name"

// Media types of the OCI image-spec (media-types.md) and of Docker (image
// manifest version 2, schema 2).
const (
	mediaOCIIndex       = "application/vnd.oci.image.index.v1+json"
	mediaOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	mediaOCIConfig      = "application/vnd.oci.image.config.v1+json"
	mediaDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaDockerConfig   = "application/vnd.docker.container.image.v1+json"
	mediaDockerSchema1  = "application/vnd.docker.distribution.manifest.v1+"
)

type compression int

const (
	plain compression = iota
	gzipped
	zstandard
)

// layerMedia are the media types of layers.
var layerMedia = map[string]compression{
	"application/vnd.oci.image.layer.v1.tar":            plain,
	"application/vnd.oci.image.layer.v1.tar+gzip":       gzipped,
	"application/vnd.oci.image.layer.v1.tar+zstd":       zstandard,
	"application/vnd.docker.image.rootfs.diff.tar":      plain,
	"application/vnd.docker.image.rootfs.diff.tar.gzip": gzipped,
	"application/vnd.docker.image.rootfs.diff.tar.zstd": zstandard,
}

// descriptor is an OCI descriptor (OCI image-spec, descriptor.md).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      Digest            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platformJSON     `json:"platform"`
	Annotations map[string]string `json:"annotations"`
}

type platformJSON struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

func (p platformJSON) platform() Platform { return Platform(p) }

func (d *descriptor) check() error {
	if _, err := ParseDigest(string(d.Digest)); err != nil {
		return err
	}
	if d.Size < 0 {
		return fmt.Errorf("%s has a size of %d", d.Digest, d.Size)
	}
	return nil
}

func (d *descriptor) isIndex() bool {
	return d.MediaType == mediaOCIIndex || d.MediaType == mediaDockerList
}

// document is an index or a manifest. Which of both its descriptor says; one that
// could be read as either is refused (CVE-2021-41190).
type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
	Config        *descriptor  `json:"config"`
	Layers        []descriptor `json:"layers"`
	FSLayers      any          `json:"fsLayers"` // schema 1
}

func parseDocument(b []byte, mediaType string) (*document, error) {
	var doc document
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, invalid("read it as JSON: %w", err)
	}
	switch {
	case doc.SchemaVersion == 1 || doc.FSLayers != nil:
		return nil, invalid("it is of Docker's first schema, which has no digests that hold; push it again with a tool of after 2016")
	case doc.SchemaVersion != 2:
		return nil, invalid("its schemaVersion is %d, and should be 2", doc.SchemaVersion)
	case doc.MediaType != "" && mediaType != "" && doc.MediaType != mediaType:
		return nil, invalid("it says that it is a %.100q, and what leads to it says %.100q", doc.MediaType, mediaType)
	case doc.Manifests != nil && (doc.Layers != nil || doc.Config != nil):
		return nil, invalid("it is an index and a manifest at once")
	}
	for i := range doc.Manifests {
		if err := doc.Manifests[i].check(); err != nil {
			return nil, invalid("%w", err)
		}
	}
	return &doc, nil
}

// parseManifest reads a manifest, and checks what it says of its parts.
func parseManifest(b []byte, mediaType string) (*document, error) {
	doc, err := parseDocument(b, mediaType)
	if err != nil {
		return nil, err
	}
	if doc.Config == nil {
		return nil, invalid("it has no configuration")
	}
	if err := doc.Config.check(); err != nil {
		return nil, invalid("%w", err)
	}
	if t := doc.Config.MediaType; t != mediaOCIConfig && t != mediaDockerConfig {
		return nil, invalid("its configuration is a %.100q: it is not an image of a file system, but something else that is kept in registries", t)
	}
	if len(doc.Layers) > MaxLayers {
		return nil, invalid("it has %d layers, and %d are the most; build it with fewer (squash)", len(doc.Layers), MaxLayers)
	}
	for i := range doc.Layers {
		l := &doc.Layers[i]
		if err := l.check(); err != nil {
			return nil, invalid("layer %d: %w", i+1, err)
		}
		if strings.Contains(l.MediaType, "nondistributable") || strings.Contains(l.MediaType, ".foreign.") {
			return nil, invalid("layer %d is not distributable: registries do not have it (%s)", i+1, l.MediaType)
		}
		if _, known := layerMedia[l.MediaType]; !known {
			return nil, invalid("layer %d is of the unknown media type %.100q: tar, tar+gzip and tar+zstd are known", i+1, l.MediaType)
		}
	}
	return doc, nil
}
