package container

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// TestMounts: what is mounted in /tmp, which the sandbox has of its own, is there
// as elsewhere.
func TestMounts(t *testing.T) {
	dir := testbin.TempDir(t)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, path := range runtimes(t) {
		t.Run(name, func(t *testing.T) {
			for _, target := range []string{"/tmp/at", "/tmp/deep/er", "/opt/at", "/tmp"} {
				p := asRootInside(t)
				p.Filesystem.Mounts = []policy.Mount{{Source: dir, Target: target}}
				sb, err := create(t, &Backend{Guest: testbin.Kavach(t), Runtime: path}, p)
				if err != nil {
					t.Fatalf("%s: %v", target, err)
				}
				res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "cat " + target + "/file; touch " + target + "/new"}})
				if err != nil || string(res.Stdout) != "text\n" || res.ExitCode == 0 {
					t.Errorf("%s: %+v, %v\n%s", target, res, err, res.Stderr)
				}
			}
		})
	}
}
