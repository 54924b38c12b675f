package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestWhatIsNoImageOfOurs(t *testing.T) {
	layer := func(f *fake, change func(*v1.Descriptor)) v1.Descriptor {
		m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
		m.Config = f.blob(`{"os":"linux","architecture":"amd64"}`, types.OCIConfigJSON)
		l := f.blob("x", types.OCILayer)
		change(&l)
		m.Layers = []v1.Descriptor{l}
		return f.put(m, types.OCIManifestSchema1)
	}
	raw := func(doc string) func(f *fake) v1.Descriptor {
		return func(f *fake) v1.Descriptor {
			d := f.put(v1.Manifest{}, types.OCIManifestSchema1)
			d.Digest = digestOf([]byte(doc))
			f.things["manifests/"+d.Digest.String()] = []byte(doc)
			return d
		}
	}
	const empty = `{"digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1}`
	tests := []struct {
		made func(f *fake) v1.Descriptor
		kind kind
		says string
		why  string
	}{
		{func(f *fake) v1.Descriptor {
			return layer(f, func(l *v1.Descriptor) { l.MediaType = types.DockerForeignLayer })
		}, kindServer, "not in the registry", "a foreign layer"},
		{func(f *fake) v1.Descriptor {
			return layer(f, func(l *v1.Descriptor) { l.MediaType = types.OCIRestrictedLayer })
		}, kindServer, "not in the registry", "a restricted layer"},
		{func(f *fake) v1.Descriptor { return layer(f, func(l *v1.Descriptor) { l.Size = -1 }) }, kindServer, "-1 bytes", "a negative size"},
		{func(f *fake) v1.Descriptor { return layer(f, func(l *v1.Descriptor) { l.Size = 1 << 60 }) }, kindOther, "more than", "a layer that fills every disk"},
		{func(f *fake) v1.Descriptor { return f.image("linux", "amd64", make([]string, maxLayers+1)...) }, kindServer, "layers, more than", "too many layers"},
		{raw(`{"schemaVersion":1,"fsLayers":[]}`), kindServer, "schema 1", "Docker's old format"},
		{raw(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[` + empty + `],"layers":[` + empty + `]}`), kindServer, "manifests and layers", "a document that is both"},
		{raw(`{"schemaVersion":2}`), kindServer, "neither", "a document that is neither"},
		{raw(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","layers":[]}`), kindServer, "media type", "a manifest that says it is an index"},
		{raw(`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","layers":[]}`), kindServer, "was said to be", "another type than the registry's word"},
		{raw(`{"schemaVersion":2,"layers":[]}`), kindServer, "no configuration", "no configuration"},
		{raw(`{"schemaVersion":2,"config":` + empty + `,"layers":[{"digest":"sha256:../../etc"}]}`), kindServer, "no manifest", "a digest that is a path"},
		{raw(`<html>`), kindServer, "no manifest", "a page"},
		{raw(``), kindServer, "no manifest", "nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			f := newFake(t)
			f.tag("latest", tt.made(f))
			if got := refused(t, f.job()); got.Kind != tt.kind || !strings.Contains(got.Message, tt.says) {
				t.Errorf("got %+v, want %s and %q", got, tt.kind, tt.says)
			}
		})
	}
	f := newFake(t)
	f.tag("latest", layer(f, func(*v1.Descriptor) {}))
	fetched(t, f.job())
}

func TestPlatforms(t *testing.T) {
	f := newFake(t)
	for tag, list := range map[string][]string{
		"several": {"linux/arm64/v8", "linux/amd64", "windows/amd64", "unknown/unknown"},
		"arms":    {"linux/arm/v6", "linux/arm/v7"},
		"strange": {"unknown/unknown"},
	} {
		var all []v1.Descriptor
		for _, p := range list {
			is, _ := parsePlatform(p)
			d := f.image(is.os, is.arch, p)
			d.Platform = &v1.Platform{OS: is.os, Architecture: is.arch, Variant: is.variant}
			all = append(all, d)
		}
		f.tag(tag, f.index(all...))
	}
	tests := []struct{ tag, platform, layer, says string }{
		{"several", "linux/amd64", "linux/amd64", ""},
		{"several", "linux/arm64", "linux/arm64/v8", ""},
		{"several", "linux/s390x", "", "there is one for linux/arm64/v8, linux/amd64, windows/amd64"},
		{"several", "unknown/unknown", "", "there is one for"},
		{"arms", "linux/arm/v7", "linux/arm/v7", ""},
		{"arms", "linux/arm/v5", "", "linux/arm/v6, linux/arm/v7"},
		{"strange", "linux/amd64", "", "names an image"},
		{"latest", "linux/amd64", "one layer", ""},
		{"latest", "linux/arm64", "", "there is one for linux/amd64"},
	}
	for _, tt := range tests {
		j := f.job()
		j.ref, j.platform = f.host()+"/app:"+tt.tag, tt.platform
		if tt.layer == "" {
			if got := refused(t, j); got.Kind != kindPlatform || !strings.Contains(got.Fix, tt.says) {
				t.Errorf("%s for %s: got %+v, want %q", tt.tag, tt.platform, got, tt.says)
			}
			continue
		}
		s := fetched(t, j)
		if _, err := os.Stat(filepath.Join(j.dir, "blobs", "sha256", digestOf([]byte(tt.layer)).Hex)); err != nil {
			t.Errorf("%s for %s: %v", tt.tag, tt.platform, err)
		}
		if s.Digest != digestOf(f.things["manifests/"+tt.tag]).String() {
			t.Errorf("%s for %s: the digest is %s", tt.tag, tt.platform, s.Digest)
		}
	}
}
