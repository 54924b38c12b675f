package container

import (
	"context"
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

func TestCreate(t *testing.T) {
	for name, path := range runtimes(t) {
		t.Run(name, func(t *testing.T) {
			sb, err := create(t, &Backend{Guest: testbin.Kavach(t), Runtime: path}, strict(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range sb.Score().Controls {
				t.Logf("%+v", c)
			}
			res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "id -u; cat /proc/1/comm; ls /"}})
			if err != nil || res.ExitCode != 0 || !strings.Contains(string(res.Stdout), "usr") {
				t.Errorf("%+v, %v", res, err)
			}
			t.Logf("%s %s", res.Stdout, res.Stderr)
		})
	}
}
