package main

import (
	"strings"
	"testing"
)

// FuzzDocument: what is taken for an index or a manifest is one, is bounded, and
// is nothing else.
func FuzzDocument(f *testing.F) {
	for _, doc := range []string{
		`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		`{"schemaVersion":2,"config":{"size":1},"layers":[{"size":-1}]}`,
		`{"schemaVersion":2,"manifests":[],"layers":[]}`,
	} {
		for _, kind := range strings.Split(accepted, ", ") {
			f.Add([]byte(doc), kind)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, claimed string) {
		d, err := parseDocument(data, claimed)
		if err != nil {
			return
		}
		if d.isIndex() == (d.Config != nil || d.Layers != nil) || d.isIndex() != (d.Manifests != nil) {
			t.Errorf("it is both, or neither: %+v", d)
		}
		want, _ := parsePlatform("linux/amd64")
		if d.isIndex() {
			if m, err := want.choose(d, "x"); err == nil && (m.Platform == nil || m.Platform.OS != "linux" || m.Platform.Architecture != "amd64") {
				t.Errorf("%+v was chosen", m)
			}
			return
		}
		if checkLayers(d, 1000) != nil {
			return
		}
		sum := d.Config.Size
		for _, l := range d.Layers {
			sum += l.Size
		}
		if sum < 0 || sum > 1000 || len(d.Layers) > maxLayers {
			t.Errorf("%d layers of %d bytes", len(d.Layers), sum)
		}
	})
}
