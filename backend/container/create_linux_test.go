package container

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// create makes a sandbox of a backend, which is destroyed with the test.
func create(t testing.TB, b *Backend, p policy.Policy) (*kavach.Sandbox, error) {
	t.Helper()
	rt := &kavach.Runtime{Backends: []backend.Backend{b}}
	sb, err := rt.Create(t.Context(), kavach.Config{Policy: p, Backend: b.Name()})
	if err == nil {
		t.Cleanup(func() {
			if err := sb.Destroy(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return sb, err
}

func strict(t testing.TB) policy.Policy {
	t.Helper()
	p, err := policy.Preset("strict")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCreate: what is proven, and what the proofs name, for another user inside
// than the keeper's as well.
func TestCreate(t *testing.T) {
	for name, path := range runtimes(t) {
		for _, uid := range []string{"0", "1000"} {
			if name == "runc" && uid != "0" && os.Geteuid() != 0 {
				continue // see TestWrongIDs
			}
			t.Run(name+" as "+uid, func(t *testing.T) {
				p := bestEffort(t)
				p.Process.User = uid + ":" + uid
				sb, err := create(t, &Backend{Guest: testbin.Kavach(t), Runtime: path}, p)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range sb.Score().Controls {
					want := backend.Enforced
					switch {
					case c.Name == policy.ImageVerified:
						want = backend.Missing
					case c.Name == policy.Limits && os.Geteuid() != 0:
						want = backend.Partial
					}
					if c.State != want {
						t.Errorf("%+v, want %s", c, want)
					}
					if c.Name == policy.NSPid && !strings.Contains(c.Proof, path+" says that its container is process ") {
						t.Errorf("no word of the runtime: %s", c.Proof)
					}
				}
				res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "id -u; cat /proc/1/comm"}})
				if err != nil || string(res.Stdout) != uid+"\n4\n" {
					t.Errorf("%+v, %v: %s", res, err, res.Stdout)
				}
			})
		}
	}
}

// TestImageVerified: a digest is what the proof needs, and names.
func TestImageVerified(t *testing.T) {
	for _, tt := range []struct {
		image *backend.Image
		want  backend.State
		words string
	}{
		{nil, backend.Missing, "not that of an image"},
		{&backend.Image{Ref: "rootfs:/srv"}, backend.Missing, "no digest"},
		{&backend.Image{Ref: "alpine", Digest: "sha256:12", Layers: []string{"/a", "/b"}}, backend.Enforced, "alpine is sha256:12, against which its 2 layers were checked: /a, /b"},
	} {
		if got := imageProof(tt.image); got.State != tt.want || !strings.Contains(got.Outside, tt.words) {
			t.Errorf("%+v is %+v", tt.image, got)
		}
	}
}
