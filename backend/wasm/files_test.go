//go:build linux

package wasm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// stage is a directory of the host, and what is beside it.
type stage struct{ dir, secret, sibling string }

const secretText = "the host's secret"

func newStage(t testing.TB) stage {
	t.Helper()
	base, err := filepath.EvalSymlinks(testbin.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	s := stage{filepath.Join(base, "work"), filepath.Join(base, "secret"), filepath.Join(base, "sibling")}
	if err := errors.Join(
		os.Mkdir(s.dir, 0o755), os.Mkdir(s.sibling, 0o755),
		os.WriteFile(s.secret, []byte(secretText), 0o644),
		os.WriteFile(filepath.Join(s.sibling, "secret"), []byte(secretText), 0o644),
		os.WriteFile(filepath.Join(s.dir, "file"), []byte("text"), 0o644),
		os.Mkdir(filepath.Join(s.dir, "sub"), 0o755),
		os.WriteFile(filepath.Join(s.dir, "sub/file"), []byte("below"), 0o644),
		os.Symlink(s.secret, filepath.Join(s.dir, "absolute")), os.Symlink("../secret", filepath.Join(s.dir, "relative")),
		os.Symlink("..", filepath.Join(s.dir, "through")), os.Symlink("sub/file", filepath.Join(s.dir, "good")),
	); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s stage) mount(access string) func(*policy.Policy) {
	return func(p *policy.Policy) {
		p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: s.dir, Target: "/work", Access: access})
	}
}

// TestEscape: CONTAINMENT 1, 2, 40. The secret is in the worker's jail too, mounted
// beside the directory, so that what keeps the module from it is that it was not
// given: with links followed, as wazero does it, it gets there.
func TestEscape(t *testing.T) {
	s := newStage(t)
	shown := func(p *policy.Policy) {
		p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: s.dir}, policy.Mount{Source: s.sibling})
	}
	if err := errors.Join(os.Remove(filepath.Join(s.dir, "relative")), os.Symlink("../sibling/secret", filepath.Join(s.dir, "relative"))); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(s.dir, "relative")
	p := strict(t)
	shown(&p)
	sb, err := create(t, newBackend(t), p)
	if err != nil {
		t.Fatal(err)
	}
	if through, seen := attack(t, sb, "read", inside); through {
		t.Errorf("a link led out of its directory: %s", seen)
	} else if !strings.Contains(seen, "not permitted") {
		t.Errorf("refused with %q", seen)
	}
	b := newBackend(t)
	b.links = true
	loose, err := create(t, b, p)
	if err != nil {
		t.Fatal(err)
	}
	if through, seen := attack(t, loose, "read", inside); !through || seen != secretText {
		t.Errorf("with links followed it fails as well, so the test proves nothing: %s", seen)
	}
	// And what the module may go to in the jail by a name of its own, it may.
	if through, seen := attack(t, sb, "read", filepath.Join(s.sibling, "secret")); !through {
		t.Error(seen)
	}

	sb = sandbox(t, s.mount(""))
	if through, seen := attack(t, sb, "escape", "/work", s.secret); through {
		t.Errorf("CONTAINMENT 1, 2: %s", seen)
	}
	for _, path := range []string{"/", "/proc/self/environ", "/proc/1/environ", "/etc/passwd", "/dev/null", "/.kavach/worker", "/.kavach/own", "/run", "/proc", "/usr"} {
		for _, try := range []string{"read", "list", "stat"} {
			if through, seen := attack(t, sb, try, path); through {
				t.Errorf("CONTAINMENT 1, 40: %s of %s: %s", try, path, seen)
			}
		}
	}
	// Go's other sockets are within the module there, and lead nowhere.
	for _, try := range [][]string{{"dial", "tcp", "127.0.0.1:1"}, {"exec"}} {
		if through, seen := attack(t, sb, try...); through {
			t.Errorf("CONTAINMENT 29, 42: %v: %s", try, seen)
		}
	}
}

// changes are what a module may do to a directory that it may write to, and no other.
var changes = [][]string{
	{"write", "/work/new", "new"}, {"write", "/work/file", "changed"}, {"append", "/work/file", "more"}, {"shrink", "/work/file"},
	{"rename", "/work/file", "/work/moved"}, {"link", "file", "/work/link"}, {"hard", "/work/sub/file", "/work/hard"},
	{"mkdir", "/work/a/b"}, {"remove", "/work/sub/file"}, {"touch", "/work/sub"},
}

// TestReadOnly: nothing of a mount changes, and all of it can be read.
func TestReadOnly(t *testing.T) {
	s := newStage(t)
	sb := sandbox(t, s.mount(""))
	for path, want := range map[string]string{"/work/file": "text", "/work/sub/file": "below", "/work/good": "below", "/work/sub/../file": "text"} {
		if through, seen := attack(t, sb, "read", path); !through || seen != want {
			t.Errorf("%s: %q", path, seen)
		}
	}
	if _, seen := attack(t, sb, "list", "/work"); seen != "absolute L--------- "+sizeOf(t, s, "absolute")+"\nfile ---------- 4\ngood L--------- 8\nrelative L--------- 9\nsub d--------- "+sizeOf(t, s, "sub")+"\nthrough L--------- 2" {
		t.Errorf("%q", seen)
	}
	for _, try := range changes {
		if through, seen := attack(t, sb, try...); through {
			t.Errorf("%v: %s", try, seen)
		}
	}
	writable := sandbox(t, newStage(t).mount(policy.AccessDirect))
	for _, try := range changes {
		if through, seen := attack(t, writable, try...); !through && os.Geteuid() == 0 == (try[0] != "hard") {
			t.Errorf("the twin, %v: %s", try, seen)
		}
	}
}

func sizeOf(t testing.TB, s stage, name string) string {
	t.Helper()
	info, err := os.Lstat(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(info.Size())
}

// TestWorkspace: what a module changes is kept apart, listed, and applied.
func TestWorkspace(t *testing.T) {
	s := newStage(t)
	sb := sandbox(t, func(p *policy.Policy) { s.mount(policy.AccessWrite)(p); p.Filesystem.TmpSize = 16 << 20 })
	for _, try := range changes[:1] {
		if through, seen := attack(t, sb, try...); !through {
			t.Fatalf("%v: %s", try, seen)
		}
	}
	if through, seen := attack(t, sb, "append", "/work/file", " and more"); !through {
		t.Fatal(seen)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "new")); err == nil {
		t.Error("it was changed on the host before it was applied")
	}
	if err := sb.Halt(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := sb.Changes(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, err := sb.Apply(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"new": "new", "file": "text and more"} {
		if b, err := os.ReadFile(filepath.Join(s.dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// TestFileMounts: a file is seen in its directory, alone.
func TestFileMounts(t *testing.T) {
	s := newStage(t)
	one := func(target string) func(*policy.Policy) {
		return func(p *policy.Policy) {
			p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: s.secret, Target: target})
		}
	}
	sb := sandbox(t, one("/data/one"))
	if through, seen := attack(t, sb, "read", "/data/one"); !through || seen != secretText {
		t.Error(seen)
	}
	if _, seen := attack(t, sb, "list", "/data"); seen != "one ---------- 17" {
		t.Errorf("%q", seen)
	}
	p := strict(t)
	one("/one")(&p)
	var wrong *policy.FieldError
	if _, err := create(t, newBackend(t), p); !errors.As(err, &wrong) || wrong.Field != "filesystem.mounts[1]" {
		t.Errorf("a file in /: %v", err)
	}
}

// TestRefused: what modules have no use for is said, and not passed over.
func TestRefused(t *testing.T) {
	for field, change := range map[string]func(*policy.Policy){
		"filesystem.root":   func(p *policy.Policy) { p.Filesystem.Root = "/usr" },
		"filesystem.mounts": func(p *policy.Policy) { p.Filesystem.Mounts[0].Target = "/.kavach/worker" },
	} {
		p := strict(t)
		change(&p)
		var wrong *policy.FieldError
		if _, err := create(t, newBackend(t), p); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	b := newBackend(t)
	b.Worker = "/nowhere/kavach-wasm"
	var unavailable *backend.UnavailableError
	if _, err := create(t, b, strict(t)); !errors.As(err, &unavailable) {
		t.Errorf("no worker: %v", err)
	}
	p := strict(t)
	p.Wasm.Modules = []string{"sha256:" + strings.Repeat("0", 64)}
	rt := &kavach.Runtime{Backends: []backend.Backend{other{}}}
	var unsupported *backend.UnsupportedError
	if _, err := rt.Create(t.Context(), kavach.Config{Policy: p, Backend: "process"}); !errors.As(err, &unsupported) || unsupported.Control != policy.ImageVerified {
		t.Errorf("another backend for a policy with modules: %v", err)
	}
}

// other is a backend that must not be asked.
type other struct{ backend.Backend }

func (other) Name() string { return "process" }

// TestQuota: CONTAINMENT 52, and 51 for files.
func TestQuota(t *testing.T) {
	sb := sandbox(t, func(p *policy.Policy) { p.Filesystem.TmpSize = 4 << 20 })
	if through, seen := attack(t, sb, "fill", "/tmp", "2"); !through {
		t.Error(seen)
	}
	if through, seen := attack(t, sb, "fill", "/tmp", "100"); through {
		t.Error(seen)
	}
	if through, seen := attack(t, sb, "inodes", "/tmp", "100000"); through {
		t.Error(seen)
	}
}

// TestOddFiles: what is no file of data is opened as the kernel lets it be, and no
// host is held up by it.
func TestOddFiles(t *testing.T) {
	s := newStage(t)
	if err := unix.Mkfifo(filepath.Join(s.dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	sb := sandbox(t, s.mount(""))
	names := []string{"/work/fifo", "/work/sub", "/work/absent", "/work/file/x", "/work/" + strings.Repeat("n", 300)}
	for _, name := range slices.Concat(names, []string{"/work/absolute", "/work/relative", "/work/file"}) {
		_, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{name}})
		var refused *backend.ExecError
		if !errors.As(err, &refused) {
			t.Errorf("%s as a module: %v", name, err)
		}
	}
}
