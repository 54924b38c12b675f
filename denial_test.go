package kavach

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

func TestPathDenials(t *testing.T) {
	dir := t.TempDir()
	cwd := filepath.Join(dir, "work")
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Preset("basic")
	if err != nil {
		t.Fatal(err)
	}
	failed := backend.Exit{Code: 1}
	for _, row := range []struct {
		why, stderr, target, hint string
		exit                      backend.Exit
	}{
		{"coreutils", "cat: " + secret + ": No such file or directory", secret, "--volume " + secret, failed},
		{"python", "FileNotFoundError: [Errno 2] No such file or directory: '" + secret + "'", secret, "--volume", failed},
		{"node", "Error: ENOENT: no such file or directory, open '" + secret + "'", secret, "--volume", failed},
		{"a full stop is not the path's", "cannot find " + secret + ".", secret, "--volume", failed},
		{"refused, and there", "cat: " + secret + ": Permission denied", secret, "owner and mode", failed},
		{"read-only needs no file on the host", "touch: cannot touch '/nothing-here/x': Read-only file system", "/nothing-here/x", "/tmp", failed},
		{"a path that the host has not either", "cat: /nothing-here: No such file or directory", "", "", failed},
		{"a path that is not refused", "wrote " + secret, "", "", failed},
		{"a command that was well", "cat: " + secret + ": No such file or directory", "", "", backend.Exit{}},
		{"relative, cat", "cat: ../secret: No such file or directory", secret, "--volume " + secret, failed},
		{"relative, ls by its path", "/bin/ls: cannot access '../secret': No such file or directory", secret, "--volume", failed},
		{"relative, python", "FileNotFoundError: [Errno 2] No such file or directory: '../secret'", secret, "--volume", failed},
		{"relative, node", "Error: ENOENT: no such file or directory, open '../secret'", secret, "--volume", failed},
		{"relative, sh", "sh: 1: cannot open ../secret: No such file", "", "", failed},
		{"relative, bash", "bash: line 1: ../secret: No such file or directory\r", secret, "--volume", failed},
		{"relative and read-only", "touch: cannot touch 'new/x': Read-only file system", cwd + "/new/x", "/tmp", failed},
		{"a part of a relative path is no absolute one", "cat: ./usr" + secret + ": No such file or directory", "", "", failed},
		{"a word of the message is no path", "secret or ../secret is missing: file not there: permission denied", "", "", failed},
		{"the program that complains is visible", "/bin/ls: cannot access 'x': No such file or directory", "", "", failed},
	} {
		got := pathDenials(&p, row.exit, cwd, []byte(row.stderr))
		switch {
		case row.target == "" && len(got) > 0:
			t.Errorf("%s: got %+v, want nothing", row.why, got)
		case row.target != "" && (len(got) != 1 || got[0].Target != row.target || !strings.Contains(got[0].Hint, row.hint)):
			t.Errorf("%s: got %+v, want %s with a hint of %q", row.why, got, row.target, row.hint)
		}
	}
}

// TestPathDenialsBounded: what is read was written by code that nobody trusts.
func TestPathDenialsBounded(t *testing.T) {
	dir := t.TempDir()
	var stderr strings.Builder
	for i := range 1000 {
		name := filepath.Join(dir, strings.Repeat("x", 1+i%200)+string(rune('a'+i%26)))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		stderr.WriteString(name + ": Permission denied\n")
	}
	p, err := policy.Preset("basic")
	if err != nil {
		t.Fatal(err)
	}
	if got := pathDenials(&p, backend.Exit{Code: 1}, dir, []byte(stderr.String())); len(got) != maxPathDenials {
		t.Errorf("got %d denials, want %d", len(got), maxPathDenials)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("KAVACH_TEST_SECRET", "of the caller")
	p := &policy.Policy{Process: policy.Process{Env: map[string]string{"A": "policy", "HOME": "/policy"}}}
	got := strings.Join(environment(p, []string{"A=first", "A=call", "B="}), "\n")
	want := "A=call\nB=\nHOME=/policy\nLANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
