package image

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	someHex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	someSum = "sha256:" + someHex
)

func TestParseReference(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ why, ref, want, wrong string }{
		{"a plain name is Docker's", "busybox", "docker.io/library/busybox:latest", ""},
		{"with a tag", "busybox:1.36", "docker.io/library/busybox:1.36", ""},
		{"of a user of Docker's registry", "user/name", "docker.io/user/name:latest", ""},
		{"the old name of that registry", "index.docker.io/library/busybox", "docker.io/library/busybox:latest", ""},
		{"a host has a dot", "ghcr.io/a/b:c", "ghcr.io/a/b:c", ""},
		{"or a port", "host:5000/x", "host:5000/x:latest", ""},
		{"or is localhost", "localhost/x", "localhost/x:latest", ""},
		{"localhost with a port", "localhost:5000/x:y", "localhost:5000/x:y", ""},
		{"or has upper-case letters", "Host/x", "Host/x:latest", ""},
		{"an address", "127.0.0.1:5000/x", "127.0.0.1:5000/x:latest", ""},
		{"an address of version 6", "[::1]:5000/x", "[::1]:5000/x:latest", ""},
		{"a digest needs no tag", "busybox@" + someSum, "docker.io/library/busybox@" + someSum, ""},
		{"a digest beside a tag", "busybox:1@" + someSum, "docker.io/library/busybox:1@" + someSum, ""},
		{"a longer digest", "busybox@sha512:" + someHex + someHex, "docker.io/library/busybox@sha512:" + someHex + someHex, ""},
		{"separators in a name", "a.b/c__d/e---f", "a.b/c__d/e---f:latest", ""},
		{"a layout", "oci-layout:/a/b", "oci-layout:/a/b", ""},
		{"a layout with a tag", "oci-layout:/a/b:1.0", "oci-layout:/a/b:1.0", ""},
		{"a layout with a digest", "oci-layout:/a/b@" + someSum, "oci-layout:/a/b@" + someSum, ""},
		{"a relative path", "oci-layout:x", "oci-layout:" + here + "/x", ""},
		{"a path is made clean", "rootfs:/a/../b/", "rootfs:/b", ""},
		{"a directory may have a colon", "oci-layout:/a:b/c", "oci-layout:/a:b/c", ""},
		{"a directory may have an @", "rootfs:/a@b:c", "rootfs:/a@b:c", ""},
		{"an archive", "docker-archive:/a.tar", "docker-archive:/a.tar", ""},
		{"an archive with a name", "docker-archive:/a.tar:busybox:1", "docker-archive:/a.tar:docker.io/library/busybox:1", ""},
		{"nothing", "", "", "empty"},
		{"upper-case letters", "busyBox", "", "upper-case"},
		{"no name", ":tag", "", "no name"},
		{"no tag", "busybox:", "", "no tag"},
		{"a tag with a slash is a host with no port", "busybox:a/b", "", "no host"},
		{"a tag that begins with a dot", "busybox:.x", "", "no tag"},
		{"a tag that is too long", "busybox:" + strings.Repeat("t", 129), "", "no tag"},
		{"a digest that is too short", "busybox@sha256:abc", "", "64 lower-case"},
		{"a digest in upper case", "busybox@sha256:" + strings.ToUpper(someHex), "", "64 lower-case"},
		{"a digest of another kind", "busybox@md5:" + someHex, "", "another kind"},
		{"a digest that is a path", "busybox@sha256:..", "", "64 lower-case"},
		{"an empty part", "a//b", "", "empty part"},
		{"upwards", "host.x/../b", "", "no part of a name"},
		{"a separator at the end", "a-/b.", "", "no part of a name"},
		{"two dots", "a..b", "", "no part of a name"},
		{"a host that ends in a dash", "host-.x/a", "", "no host"},
		{"a port that is none", "host:x1/a", "", "no host"},
		{"a zero byte", "a\x00b", "", "zero byte"},
		{"too long", strings.Repeat("a", 10000), "", "longer than"},
		{"a layout without a path", "oci-layout:", "", "names no path"},
		{"a layout of a wrong tag", "oci-layout:/a:b c", "", "no tag"},
		{"an archive of a wrong name", "docker-archive:/a.tar:B", "", "not the name of an image"},
		{"a transport of others", "docker-daemon:./x", "", "none of the transports"},
		{"an address of the web", "https://ghcr.io/a/b", "", "none of the transports"},
	} {
		r, err := ParseReference(row.ref)
		if row.want == "" {
			var re *ReferenceError
			if !errors.As(err, &re) || !strings.Contains(err.Error(), row.wrong) || re.Form == "" {
				t.Errorf("%s: %q: %v, %v, want an error with %q", row.why, row.ref, r, err, row.wrong)
			}
			continue
		}
		if err != nil || r.String() != row.want {
			t.Errorf("%s: %q: %v, %v, want %s", row.why, row.ref, r, err, row.want)
		}
		if again, err := ParseReference(r.String()); err != nil || again != r {
			t.Errorf("%s: %q again: %+v, %v, want %+v", row.why, r, again, err, r)
		}
	}
}

// FuzzParseReference: what parses is safe to use, and parses to itself.
func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"busybox", "localhost:5000/a/b:c@" + someSum, "oci-layout:/a:b", "oci-layout:yout:/", "docker-archive:a.tar:x:y", "rootfs:.", "[::1]:5/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseReference(s)
		if err != nil {
			var re *ReferenceError
			if !errors.As(err, &re) {
				t.Fatalf("%v is no ReferenceError", err)
			}
			return
		}
		again, err := ParseReference(r.String())
		if err != nil || again != r {
			t.Fatalf("%q is %+v, and its String %q is %+v, %v", s, r, r, again, err)
		}
		if r.Kind == KindRegistry && (r.Path != "" || strings.Contains(r.Repository, "..") || r.Registry == "" || strings.ContainsAny(r.Name(), " \\\"'\n%?#@")) {
			t.Fatalf("%q is %+v", s, r)
		}
		if r.Kind != KindRegistry && !filepath.IsAbs(r.Path) {
			t.Fatalf("%q has the path %q", s, r.Path)
		}
	})
}

// FuzzDocument: documents of registries are refused or bounded, and never panic.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"`+mediaOCIIndex+`","manifests":[{"mediaType":"`+mediaOCIManifest+`","digest":"`+someSum+`","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}`), mediaOCIIndex)
	f.Add([]byte(`{"schemaVersion":2,"config":{"mediaType":"`+mediaOCIConfig+`","digest":"`+someSum+`","size":1},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"`+someSum+`","size":1}]}`), mediaOCIManifest)
	f.Add([]byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["`+someSum+`"]},"config":{"User":"a:b","Env":["A=b"],"Cmd":["x"]}}`), "")
	f.Fuzz(func(t *testing.T, b []byte, media string) {
		if doc, err := parseDocument(b, media); err == nil {
			for i := range doc.Manifests {
				if _, err := ParseDigest(string(doc.Manifests[i].Digest)); err != nil {
					t.Fatal(err)
				}
			}
			_, _ = (Platform{}).orDefault().choose(doc.Manifests)
		}
		if doc, err := parseManifest(b, media); err == nil && len(doc.Layers) > MaxLayers {
			t.Fatal("too many layers")
		}
		want := Platform{OS: "linux", Architecture: "amd64"}
		if c, err := parseConfig(b, want); err == nil && (c.OS != "linux" || strings.Contains(c.Config.dir(), "..") && strings.Contains(c.Config.dir(), "/../")) {
			t.Fatalf("%+v", c)
		}
	})
}
