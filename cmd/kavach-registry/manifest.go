package main

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// maxManifest is what registries take (distribution-spec, "Pushing Manifests":
	// at least 4 MiB should be supported).
	maxManifest = 4 << 20

	// maxConfig is far above any configuration, which is small text.
	maxConfig = 4 << 20

	// maxLayers is what Docker takes.
	maxLayers = 127
)

// accepted are the kinds of manifests that we read.
var accepted = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

// document is an index or a manifest (image-spec, image-index.md, manifest.md).
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	Manifests     []v1.Descriptor `json:"manifests"`
	Config        *v1.Descriptor  `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
}

// isIndex reports whether it is an index.
func (d *document) isIndex() bool { return d.MediaType.IsIndex() }

// parseDocument reads an index or a manifest. claimed is the media type that came
// with it. A document that could be read as either is none (CVE-2021-41190).
func parseDocument(data []byte, claimed string) (*document, error) {
	bad := func(format string, a ...any) (*document, error) {
		return nil, &trouble{Kind: kindServer, Message: "what came is no manifest of an image: " + fmt.Sprintf(format, a...), Fix: "see that the reference names an image; push it again with a current tool"}
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return bad("%v", err)
	}
	if base, _, err := mime.ParseMediaType(claimed); err == nil {
		claimed = base
	}
	if types.MediaType(claimed) == types.DockerManifestSchema1 || types.MediaType(claimed) == types.DockerManifestSchema1Signed || d.SchemaVersion == 1 {
		return bad("it has the format of Docker before 1.10 (schema 1)")
	}
	index, image := d.Manifests != nil, d.Config != nil || d.Layers != nil
	switch {
	case d.SchemaVersion != 2:
		return bad("its schemaVersion is %d, not 2", d.SchemaVersion)
	case index && image:
		return bad("it has manifests and layers")
	case !index && !image:
		return bad("it has neither manifests nor layers")
	}
	if d.MediaType == "" {
		d.MediaType = types.MediaType(claimed)
	}
	known := types.MediaType(claimed).IsIndex() || types.MediaType(claimed).IsImage()
	switch {
	case index && !d.MediaType.IsIndex(), image && !d.MediaType.IsImage():
		return bad("its media type is %q", d.MediaType)
	case known && types.MediaType(claimed) != d.MediaType:
		return bad("its media type is %q, and was said to be %q", d.MediaType, claimed)
	case image && d.Config == nil:
		return bad("it has no configuration")
	case len(d.Layers) > maxLayers:
		return bad("it has %d layers, more than %d", len(d.Layers), maxLayers)
	}
	return &d, nil
}

// platform is OS/ARCH[/VARIANT].
type platform struct{ os, arch, variant string }

func parsePlatform(s string) (platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return platform{}, &trouble{Kind: kindOther, Message: fmt.Sprintf("%q is no platform", s), Fix: "write OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64"}
	}
	return platform{parts[0], parts[1], strings.Join(parts[2:], "")}, nil
}

func (p platform) String() string { return strings.TrimRight(p.os+"/"+p.arch+"/"+p.variant, "/") }

// runs reports whether what is made for another platform is what was asked for.
// Where no variant was asked for, or none is said, any is taken.
func (p platform) runs(other platform) bool {
	return p.os == other.os && p.arch == other.arch && (p.variant == other.variant || p.variant == "" || other.variant == "")
}

// choose takes the manifest for a platform out of an index: the one that has the
// very variant, else the first.
func (p platform) choose(index *document, ref string) (*v1.Descriptor, error) {
	var found *v1.Descriptor
	var others []string
	for i := range index.Manifests {
		m := &index.Manifests[i]
		if m.Platform == nil || !m.MediaType.IsImage() || m.Platform.OS == "unknown" {
			continue // signatures and the like, and indexes of indexes
		}
		is := platform{m.Platform.OS, m.Platform.Architecture, m.Platform.Variant}
		switch {
		case is == p:
			return m, nil
		case p.runs(is) && found == nil:
			found = m
		case !slices.Contains(others, is.String()):
			others = append(others, is.String())
		}
	}
	if found == nil {
		return nil, p.missing(ref, others)
	}
	return found, nil
}

// missing says that there is no image for the platform, and which there are.
func (p platform) missing(ref string, others []string) error {
	if len(others) == 0 {
		return &trouble{Kind: kindPlatform, Message: fmt.Sprintf("%s has no image for %s, nor for any other platform", ref, p), Fix: "see that the reference names an image"}
	}
	return &trouble{Kind: kindPlatform, Message: fmt.Sprintf("%s has no image for %s", ref, p), Fix: "there is one for " + strings.Join(others, ", ")}
}

// fits checks that a configuration is for the platform.
func (p platform) fits(config []byte, ref string) error {
	var c struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return &trouble{Kind: kindServer, Message: fmt.Sprintf("the configuration of %s is no JSON: %v", ref, err)}
	}
	if is := (platform{c.OS, c.Architecture, c.Variant}); !p.runs(is) {
		return p.missing(ref, []string{is.String()})
	}
	return nil
}

// checkLayers refuses what no registry can be trusted to have, and sizes that
// together are more than most.
func checkLayers(d *document, most int64) error {
	sum := int64(0)
	for _, l := range append([]v1.Descriptor{*d.Config}, d.Layers...) {
		switch {
		case l.Size < 0:
			return &trouble{Kind: kindServer, Message: fmt.Sprintf("%s is said to have %d bytes", l.Digest, l.Size)}
		case l.Size > most-sum:
			return &trouble{Kind: kindOther, Message: fmt.Sprintf("the image has more than %d bytes", most), Fix: "take a smaller image, or raise the bound (kavach image pull --max-bytes)"}
		case l.MediaType == types.OCIUncompressedRestrictedLayer, l.MediaType == types.OCIRestrictedLayer, l.MediaType == types.DockerForeignLayer:
			return &trouble{Kind: kindServer, Message: fmt.Sprintf("layer %s is not in the registry but elsewhere (%s): such layers are refused", l.Digest, l.MediaType), Fix: "take an image that has all of its layers; Windows images have not"}
		}
		sum += l.Size
	}
	return nil
}

// contentType is what a registry says that an answer is.
func contentType(h http.Header) string { return h.Get("Content-Type") }
