//go:build linux

package process

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/testbin"
)

// TestBareExport: without namespaces /tmp is a directory of the sandbox's own, and
// what Landlock grants a command is all that can be exported.
func TestBareExport(t *testing.T) {
	if !refused(t) {
		return
	}
	base := testbin.TempDir(t)
	if err := os.WriteFile(filepath.Join(base, "secret"), []byte("the host's"), 0o644); err != nil {
		t.Fatal(err)
	}
	sb, err := createWith(t, &Backend{Guest: testbin.Kavach(t)}, barePolicy(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", `mkdir "$TMPDIR"/d; echo out > "$TMPDIR"/d/file; ln -s /etc/passwd "$TMPDIR"/d/link`}})
	if err != nil || res.ExitCode != 0 {
		t.Fatalf("%+v %v", res, err)
	}
	to := t.TempDir()
	for _, test := range []struct {
		path    string
		through bool
	}{
		{"/tmp/d", true}, {"/tmp/d/file", true}, {"/tmp/d/link", false}, {filepath.Join(base, "secret"), false},
		{"/proc/1/environ", false}, {"/proc/self/environ", false}, {"/etc/shadow", false}, {"/etc/passwd", false},
	} {
		out, err := sb.Export(t.Context(), []kavach.Export{{Path: test.path, Dest: to + "/"}})
		if err != nil {
			t.Fatalf("%s: %v", test.path, err)
		}
		if through := out[0].State == kavach.Exported; through != test.through {
			t.Errorf("%+v, want through: %v", out, test.through)
		}
	}
	if b, err := os.ReadFile(to + "/d/file"); err != nil || string(b) != "out\n" {
		t.Errorf("%q %v", b, err)
	}
}
