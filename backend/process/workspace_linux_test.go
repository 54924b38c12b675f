package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/workspace"
)

// open makes the temporary directory of a test one that a sandbox may show,
// and returns a directory in it.
func openDir(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(testbin.TempDir(t), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mountPolicy(t *testing.T, m policy.Mount) policy.Policy {
	t.Helper()
	p, err := policy.Preset("basic")
	if err != nil {
		t.Fatal(err)
	}
	p.Filesystem.Mounts = []policy.Mount{m}
	return p
}

// applied halts a sandbox, applies everything, and returns what was not applied.
func applied(t *testing.T, sb *kavach.Sandbox) []workspace.Outcome {
	t.Helper()
	if err := sb.Halt(t.Context()); err != nil {
		t.Fatal(err)
	}
	changes, err := sb.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := sb.Apply(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	var left []workspace.Outcome
	for _, o := range outcomes {
		if o.State != workspace.Applied {
			left = append(left, o)
		}
	}
	return left
}

// operations is a script of random changes to a small tree. Left out is what
// programs themselves do otherwise where a rename is not possible, as that of a
// directory that is in the lower layer: mv then copies, into what is there; and
// copies of a directory into itself, which depend on the order of its entries;
// links that lead to themselves, which are refused.
func operations(r *rand.Rand, n int) string {
	name := func() string {
		parts := []string{"a", "b", "c", "d"}
		p := parts[r.IntN(4)]
		for range r.IntN(3) {
			p += "/" + parts[r.IntN(4)]
		}
		return p
	}
	var script strings.Builder
	for i := range n {
		switch r.IntN(13) {
		case 0, 1:
			fmt.Fprintf(&script, "mkdir -p %s\n", name())
		case 2, 3:
			fmt.Fprintf(&script, "echo %d > %s\n", i, name())
		case 4:
			fmt.Fprintf(&script, "echo %d >> %s\n", i, name())
		case 5:
			fmt.Fprintf(&script, "rm -rf %s\n", name())
		case 6:
			fmt.Fprintf(&script, "rm -f %s\n", name())
		case 7:
			if from, to := name(), name(); !strings.HasPrefix(to+"/", from+"/") {
				fmt.Fprintf(&script, "[ -e %[2]s ] || [ -L %[2]s ] || mv -T %[1]s %[2]s\n", from, to)
			}
		case 8:
			fmt.Fprintf(&script, "ln %s %s\n", name(), name())
		case 9:
			fmt.Fprintf(&script, "ln -sfn %s %s\n", []string{"none/x", "./none/y"}[r.IntN(2)], name())
		case 10:
			fmt.Fprintf(&script, "chmod %o %s\n", []int{0o644, 0o755, 0o600, 0o700, 0o640}[r.IntN(5)]|0o300, name())
		case 11:
			fmt.Fprintf(&script, "rm -rf %[1]s; mkdir %[1]s\n", name())
		case 12:
			if from, to := name(), name(); !strings.HasPrefix(to+"/", from+"/") {
				fmt.Fprintf(&script, "[ -e %[2]s ] || [ -L %[2]s ] || cp -r %[1]s %[2]s\n", from, to)
			}
		}
	}
	return script.String()
}

// shape is all of a tree that a workspace keeps.
func shape(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || name == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		fmt.Fprintf(&out, "%s %v", rel, info.Mode())
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(name)
			fmt.Fprintf(&out, " -> %s %v", target, err)
		} else if info.Mode().IsRegular() {
			text, err := os.ReadFile(name)
			fmt.Fprintf(&out, " %q %v", text, err)
		}
		out.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestRandomOperations does the same at random in a sandbox and in a plain copy
// of the tree: what is applied is what the copy has become.
func TestRandomOperations(t *testing.T) {
	const rounds, steps = 8, 60
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		// Names that one file has before the sandbox are files of their own to
		// an overlay.
		before := regexp.MustCompile(`(?m)^ln [^-].*$`).ReplaceAllString(operations(r, steps), "")
		script := operations(r, steps)
		dir, plain := openDir(t, "work"), openDir(t, "plain")
		onHost(t, dir, before)
		onHost(t, plain, before)
		sb, err := create(t, mountPolicy(t, policy.Mount{Source: dir, Access: policy.AccessWrite}))
		if err != nil {
			t.Fatal(err)
		}
		run(t, sb, "umask 022; cd "+dir+"\n"+script)
		untouched := shape(t, dir)
		onHost(t, plain, script)
		left := applied(t, sb)
		if got, want := shape(t, dir), shape(t, plain); got != want || len(left) > 0 {
			t.Fatalf("round %d: not applied: %v\nbefore:\n%s\nscript:\n%s\nwas:\n%s\ngot:\n%s\nwant:\n%s", round, left, before, script, untouched, got, want)
		}
	}
}

// onHost runs a script in a directory of the host. What it cannot do it leaves,
// as it does inside.
func onHost(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "umask 022\n"+script)
	cmd.Dir = dir
	_ = cmd.Run()
}

// TestWorkspaceOwners: what belongs to others can neither be changed nor removed
// in a user namespace (EOVERFLOW), and the rest of the workspace can.
func TestWorkspaceOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can make files of others")
		return
	}
	dir := openDir(t, "work")
	for name, uid := range map[string]int{"own": 0, "other": 1234} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte("1"), 0o666), os.Chmod(path, 0o666), os.Chown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	sb, err := create(t, mountPolicy(t, policy.Mount{Source: dir, Access: policy.AccessWrite}))
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, sb, "cd "+dir+"; cat other; echo 2 > own; echo 2 > other; echo 3 > new; rm other; mv new other"); !strings.HasPrefix(got, "1") {
		t.Error(got)
	}
	if left := applied(t, sb); len(left) > 0 {
		t.Errorf("not applied: %v", left)
	}
	for name, want := range map[string]struct {
		text string
		uid  uint32
	}{"own": {"2\n", 0}, "new": {"3\n", 0}, "other": {"1", 1234}} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		var st unix.Stat_t
		if err := errors.Join(err, unix.Stat(filepath.Join(dir, name), &st)); err != nil {
			t.Fatal(err)
		}
		if string(text) != want.text || st.Uid != want.uid {
			t.Errorf("%s is %q of %d, want %+v", name, text, st.Uid, want)
		}
	}
}

// TestWorkspaceOfOther: a directory that the caller may not write to on the host
// is not writable inside, at its top as below.
func TestWorkspaceOfOther(t *testing.T) {
	dir := "/usr/share/doc"
	if os.Geteuid() == 0 {
		dir = openDir(t, "work")
		if err := os.Chown(dir, 1234, 1234); err != nil {
			t.Fatal(err)
		}
	}
	sb, err := create(t, mountPolicy(t, policy.Mount{Source: dir, Target: "/w", Access: policy.AccessWrite}))
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, sb, "echo x > /w/new && echo written"); strings.Contains(got, "written") {
		t.Error("it was written to")
	}
}

// TestWorkspaceUser: who a command is inside does not matter for what is on the
// host.
func TestWorkspaceUser(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("for root, --user says whose files are the command's own")
		return
	}
	dir := openDir(t, "work")
	p := mountPolicy(t, policy.Mount{Source: dir, Access: policy.AccessWrite})
	p.Process.User = "0:0"
	sb, err := create(t, p)
	if err != nil {
		t.Fatal(err)
	}
	run(t, sb, "cd "+dir+"; echo x > a")
	if left := applied(t, sb); len(left) > 0 {
		t.Error(left)
	}
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Size() != 2 {
		t.Error(info, err)
	}
}

// TestWorkspaceMounts: what is mounted in a workspace is not shown, and nothing
// is applied to it; an ordinary user is refused.
func TestWorkspaceMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		sb, err := create(t, mountPolicy(t, policy.Mount{Source: "/dev", Target: "/w", Access: policy.AccessWrite}))
		if sb != nil || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "is mounted in it") {
			t.Errorf("/dev, which has mounts: %v", err)
		}
		return
	}
	dir := openDir(t, "work")
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("kavach-test", below, "tmpfs", 0, ""); err != nil {
		t.Log("no tmpfs can be mounted here:", err)
		return
	}
	t.Cleanup(func() {
		if err := unix.Unmount(below, 0); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(below, "secret"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	sb, err := create(t, mountPolicy(t, policy.Mount{Source: dir, Access: policy.AccessWrite}))
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, sb, "cd "+dir+"; cat below/secret; echo x > below/new; echo x > beside"); !strings.Contains(got, "No such file") {
		t.Error(got)
	}
	left := applied(t, sb)
	if len(left) != 1 || left[0].Path != "below" || left[0].State != workspace.Refused {
		t.Errorf("not applied: %v", left)
	}
	entries, err := os.ReadDir(below)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// What cannot be is refused, before anything is made.
func TestMountsRefused(t *testing.T) {
	dir := openDir(t, "work")
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := create(t, mountPolicy(t, policy.Mount{Source: file, Access: policy.AccessWrite})); err == nil || !strings.Contains(err.Error(), "single file") {
		t.Errorf("a file as a workspace: %v", err)
	}
	p := mountPolicy(t, policy.Mount{Source: dir, Access: policy.AccessDirect})
	p.Seccomp.Profile = policy.Off
	_, err := create(t, p)
	if root := os.Geteuid() == 0; root != errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("direct without a filter, as root %t: %v", root, err)
	}
}

// TestDirect: what commands do there is done, to files as to directories, and is
// said.
func TestDirect(t *testing.T) {
	dir := openDir(t, "work")
	file := filepath.Join(openDir(t, "files"), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p := mountPolicy(t, policy.Mount{Source: dir, Target: "/w", Access: policy.AccessDirect})
	p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: file, Access: policy.AccessDirect})
	sb, err := create(t, p)
	if err != nil {
		t.Fatal(err)
	}
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "echo 1 > /w/a; echo 22 > " + file}})
	if err != nil || res.ExitCode != 0 {
		t.Fatalf("%v, %+v", err, res)
	}
	if want := []string{dir, file}; strings.Join(res.Unscanned, " ") != strings.Join(want, " ") {
		t.Errorf("unscanned is %q, want %q", res.Unscanned, want)
	}
	if notes := sb.Score().Notes; len(notes) != 2 || !strings.HasPrefix(notes[0], "unscanned: ") {
		t.Errorf("notes of the score: %q", notes)
	}
	for path, size := range map[string]int64{filepath.Join(dir, "a"): 2, file: 3} {
		info, err := os.Stat(path)
		if err != nil || info.Size() != size || info.Sys() == nil {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}

// TestHaltPaused: what is frozen is ended as well, and the layers stay until
// Destroy.
func TestHaltPaused(t *testing.T) {
	dir := openDir(t, "work")
	sb, err := create(t, mountPolicy(t, policy.Mount{Source: dir, Access: policy.AccessWrite}))
	if err != nil {
		t.Fatal(err)
	}
	run(t, sb, "cd "+dir+"; echo x > a")
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"sleep", "60"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Pause(t.Context()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	for range 2 { // it may be called again
		if err := sb.Halt(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Wait(context.Background()); err == nil {
		t.Error("a command of a sandbox that was halted has ended by itself")
	}
	if left := applied(t, sb); len(left) > 0 {
		t.Error(left)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
		t.Error(err)
	}
	if err := sb.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	var state *kavach.StateError
	if _, err := sb.Changes(t.Context()); !errors.As(err, &state) {
		t.Errorf("changes after destroy: %v", err)
	}
}
