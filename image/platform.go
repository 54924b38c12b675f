package image

import (
	"fmt"
	"strings"
)

// PlatformError says that an image is for other machines.
type PlatformError struct {
	Want Platform
	Have []Platform
}

func (e *PlatformError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("the image has nothing for %s", e.Want)
	}
	have := make([]string, len(e.Have))
	for i, p := range e.Have {
		have[i] = short(p.String())
	}
	return fmt.Sprintf("the image is for %s, and this machine is %s; name another image, or one that is built for several", strings.Join(have, ", "), e.Want)
}

// variants are what a program that was compiled for an architecture counts on,
// the best first (OCI image-spec, image-index.md, "Platform Variants"). Whether
// the processor can more is not asked: it could be another one tomorrow.
var variants = map[string][]string{
	"amd64": {"", "v1"},
	"arm64": {"v8", ""},
	"arm":   {"v7", "v6", "v5", ""},
}

// rank is how well an image for have runs where p is wanted, the lower the
// better, or -1: not at all.
func (p Platform) rank(have Platform) int {
	if have.OS != p.OS || have.Architecture != p.Architecture {
		return -1
	}
	if p.Variant != "" {
		if have.Variant == p.Variant {
			return 0
		}
		return -1
	}
	list, known := variants[p.Architecture]
	if !known {
		list = []string{""}
	}
	for i, v := range list {
		if have.Variant == v {
			return i
		}
	}
	return -1
}

// choose finds the manifest of an index that is the best for a platform.
func (p Platform) choose(manifests []descriptor) (*descriptor, error) {
	var best *descriptor
	bestRank := -1
	none := &PlatformError{Want: p}
	for i := range manifests {
		d := &manifests[i]
		if d.Platform == nil {
			continue // an index of an index, or for no machine
		}
		have := d.Platform.platform()
		if have.OS == "unknown" { // attestations of BuildKit
			continue
		}
		none.Have = append(none.Have, have)
		if r := p.rank(have); r >= 0 && (best == nil || r < bestRank) {
			best, bestRank = d, r
		}
	}
	// One without a platform is for any, or its own parts say for which.
	for i := range manifests {
		if d := &manifests[i]; best == nil && d.Platform == nil && (len(manifests) == 1 || d.isIndex()) {
			return d, nil
		}
	}
	if best == nil {
		return nil, none
	}
	return best, nil
}
