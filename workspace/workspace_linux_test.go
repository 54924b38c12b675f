package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree is a base and an upper directory, made by hand in the format of
// overlayfs.
type tree struct {
	*testing.T
	base, upper string
	space       *Workspace
}

func newTree(t *testing.T) *tree {
	t.Helper()
	dir := t.TempDir()
	tr := &tree{T: t, base: filepath.Join(dir, "base"), upper: filepath.Join(dir, "upper")}
	t.Cleanup(func() { // an ordinary user cannot remove what is closed
		_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				return os.Chmod(name, 0o755)
			}
			return nil
		})
	})
	for _, d := range []string{tr.base, tr.upper} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// host makes a file on the host, and inside one of the upper layer.
func (tr *tree) host(path, text string)   { tr.write(filepath.Join(tr.base, path), text, 0o644) }
func (tr *tree) inside(path, text string) { tr.write(filepath.Join(tr.upper, path), text, 0o644) }

func (tr *tree) write(path, text string, mode fs.FileMode) {
	tr.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		tr.Fatal(err)
	}
}

func (tr *tree) must(err error) {
	tr.Helper()
	if err != nil {
		tr.Fatal(err)
	}
}

// whiteout says of path that it is gone. Everybody may make one (Linux 5.8).
func (tr *tree) whiteout(path string) {
	tr.Helper()
	tr.must(os.MkdirAll(filepath.Dir(filepath.Join(tr.upper, path)), 0o755))
	tr.must(unix.Mknod(filepath.Join(tr.upper, path), unix.S_IFCHR, 0))
}

// opaque makes a directory that hides what was there.
func (tr *tree) opaque(path string) {
	tr.Helper()
	tr.must(os.MkdirAll(filepath.Join(tr.upper, path), 0o755))
	tr.must(unix.Setxattr(filepath.Join(tr.upper, path), "user.overlay.opaque", []byte("y"), 0))
}

// open makes the workspace, and is where commands would begin to run.
func (tr *tree) open() {
	tr.Helper()
	time.Sleep(clockTick) // the clock of files has to be past what was made
	tr.space = &Workspace{Since: time.Now(), MaxBytes: 1 << 20}
	time.Sleep(clockTick)
	for _, f := range []struct {
		to   **os.File
		path string
	}{{&tr.space.Base, tr.base}, {&tr.space.Upper, tr.upper}} {
		fd, err := unix.Open(f.path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		tr.must(err)
		*f.to = os.NewFile(uintptr(fd), f.path)
		tr.Cleanup(func() { (*f.to).Close() })
	}
}

// clockTick is more than the granularity of the times of files (jiffies, at
// most 10 ms).
const clockTick = 20 * time.Millisecond

func (tr *tree) diff() []Change {
	tr.Helper()
	changes, err := tr.space.Diff(tr.Context())
	tr.must(err)
	return changes
}

// text is a list of changes in a form that is easy to compare.
func text(changes []Change) string {
	var lines []string
	for _, c := range changes {
		line := fmt.Sprintf("%s %s %s", c.Kind, c.Type, c.Path)
		if c.Protected != "" {
			line += " protected"
		}
		if c.Refused != "" {
			line += " refused"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// result is what a tree holds, with modes.
func result(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		line := fmt.Sprintf("%s %v", rel, info.Mode())
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			line += " " + string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestDiffAndApply(t *testing.T) {
	tests := []struct {
		why    string
		make   func(tr *tree)
		diff   string
		result string
	}{
		{"nothing", func(tr *tree) { tr.host("a", "1") }, "", "a -rw-r--r-- 1"},
		{"a file that was copied up and is as it was", func(tr *tree) {
			tr.host("a", "1")
			tr.inside("a", "1")
		}, "", "a -rw-r--r-- 1"},
		{"a new file, in a new directory", func(tr *tree) { tr.inside("d/a", "1") },
			"added dir d\nadded file d/a", "d drwxr-xr-x\nd/a -rw-r--r-- 1"},
		{"another content, of the same length", func(tr *tree) {
			tr.host("d/a", "1")
			tr.inside("d/a", "2")
		}, "modified file d/a", "d drwxr-xr-x\nd/a -rw-r--r-- 2"},
		{"another length", func(tr *tree) {
			tr.host("a", "1")
			tr.inside("a", "")
		}, "modified file a", "a -rw-r--r-- "},
		{"another mode", func(tr *tree) {
			tr.host("a", "1")
			tr.inside("a", "1")
			tr.must(os.Chmod(filepath.Join(tr.upper, "a"), 0o600))
		}, "mode file a", "a -rw------- 1"},
		{"another mode of a directory, which closes it", func(tr *tree) {
			tr.host("d/a", "1")
			tr.inside("d/b", "2")
			tr.must(os.Chmod(filepath.Join(tr.upper, "d"), 0o555))
		}, "mode dir d\nadded file d/b", "d dr-xr-xr-x\nd/a -rw-r--r-- 1\nd/b -rw-r--r-- 2"},
		{"another mode of a directory, which opens it", func(tr *tree) {
			tr.host("d/a", "1")
			tr.must(os.Chmod(filepath.Join(tr.base, "d"), 0o555))
			tr.inside("d/b", "2")
		}, "mode dir d\nadded file d/b", "d drwxr-xr-x\nd/a -rw-r--r-- 1\nd/b -rw-r--r-- 2"},
		{"files and directories that a command closed to everybody", func(tr *tree) {
			tr.inside("d/a", "1")
			tr.must(os.Chmod(filepath.Join(tr.upper, "d/a"), 0))
			tr.must(os.Chmod(filepath.Join(tr.upper, "d"), 0))
		}, "added dir d\nadded file d/a", "closed"},
		{"a deleted file", func(tr *tree) {
			tr.host("a", "1")
			tr.host("b", "2")
			tr.whiteout("a")
		}, "deleted file a", "b -rw-r--r-- 2"},
		{"a deleted directory, with all in it", func(tr *tree) {
			tr.host("d/e/a", "1")
			tr.whiteout("d")
		}, "deleted file d/e/a\ndeleted dir d/e\ndeleted dir d", ""},
		{"a whiteout of nothing", func(tr *tree) { tr.whiteout("a") }, "", ""},
		{"a directory that was made anew", func(tr *tree) {
			tr.host("d/a", "1")
			tr.host("d/b", "2")
			tr.opaque("d")
			tr.inside("d/b", "3")
		}, "deleted file d/a\nmodified file d/b", "d drwxr-xr-x\nd/b -rw-r--r-- 3"},
		{"a directory in one that was made anew, whose like was there", func(tr *tree) {
			tr.host("d/e/a", "1")
			tr.opaque("d")
			tr.inside("d/e/b", "2")
		}, "deleted file d/e/a\nadded file d/e/b", "d drwxr-xr-x\nd/e drwxr-xr-x\nd/e/b -rw-r--r-- 2"},
		{"a file in the place of a directory", func(tr *tree) {
			tr.host("d/a", "1")
			tr.inside("d", "2")
		}, "deleted file d/a\ndeleted dir d\nadded file d", "d -rw-r--r-- 2"},
		{"a directory in the place of a file", func(tr *tree) {
			tr.host("d", "1")
			tr.inside("d/a", "2")
		}, "deleted file d\nadded dir d\nadded file d/a", "d drwxr-xr-x\nd/a -rw-r--r-- 2"},
		{"a link in the place of a file", func(tr *tree) {
			tr.host("a", "1")
			tr.host("b", "2")
			tr.must(os.Symlink("b", filepath.Join(tr.upper, "a")))
		}, "modified symlink a", "a Lrwxrwxrwx -> b\nb -rw-r--r-- 2"},
		{"a file in the place of a link", func(tr *tree) {
			tr.must(os.Symlink("/etc/passwd", filepath.Join(tr.base, "a")))
			tr.inside("a", "1")
		}, "modified file a", "a -rw-r--r-- 1"},
		{"a link that leads elsewhere", func(tr *tree) {
			tr.must(os.Symlink("x", filepath.Join(tr.base, "a")))
			tr.must(os.Symlink("y", filepath.Join(tr.upper, "a")))
			tr.must(os.Symlink("z", filepath.Join(tr.base, "b")))
			tr.must(os.Symlink("z", filepath.Join(tr.upper, "b")))
		}, "modified symlink a", "a Lrwxrwxrwx -> y\nb Lrwxrwxrwx -> z"},
		{"links that lead out", func(tr *tree) {
			for i, target := range []string{"/etc/passwd", "../x", "a/../../x"} {
				tr.must(os.Symlink(target, filepath.Join(tr.upper, fmt.Sprint(i))))
			}
		}, "added symlink 0 refused\nadded symlink 1 refused\nadded symlink 2 refused", ""},
		{"hard links become files", func(tr *tree) {
			tr.inside("a", "1")
			tr.must(os.Link(filepath.Join(tr.upper, "a"), filepath.Join(tr.upper, "b")))
		}, "added file a\nadded file b", "a -rw-r--r-- 1\nb -rw-r--r-- 1"},
		{"a file of the host with two names, changed under both", func(tr *tree) {
			tr.host("a", "1")
			tr.must(os.Link(filepath.Join(tr.base, "a"), filepath.Join(tr.base, "b")))
			tr.inside("a", "2")
			tr.inside("b", "3")
		}, "modified file a\nmodified file b", "a -rw-r--r-- 2\nb -rw-r--r-- 3"},
		{"a fifo and a socket", func(tr *tree) {
			tr.must(unix.Mkfifo(filepath.Join(tr.upper, "a"), 0o644))
			tr.must(unix.Mknod(filepath.Join(tr.upper, "b"), unix.S_IFSOCK|0o644, 0))
		}, "added special a refused\nadded special b refused", ""},
		{"setuid and setgid bits", func(tr *tree) {
			tr.inside("a", "1")
			tr.must(os.Chmod(filepath.Join(tr.upper, "a"), 0o755|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
		}, "added file a", "a -rwxr-xr-x 1"},
		{"nothing but setuid", func(tr *tree) {
			tr.host("a", "1")
			tr.inside("a", "1")
			tr.must(os.Chmod(filepath.Join(tr.upper, "a"), 0o644|fs.ModeSetuid))
		}, "mode file a refused", "a -rw-r--r-- 1"},
		{"hooks and settings of git", func(tr *tree) {
			tr.host(".git/config", "1")
			tr.inside(".git/config", "2")
			tr.inside(".git/hooks/pre-commit", "3")
			tr.inside(".git/HEAD", "4")
		}, "added file .git/HEAD\nmodified file .git/config protected\nadded dir .git/hooks protected\nadded file .git/hooks/pre-commit protected",
			".git drwxr-xr-x\n.git/HEAD -rw-r--r-- 4\n.git/config -rw-r--r-- 1"},
		{".git as a file, as a link, and a link into it", func(tr *tree) {
			tr.inside("a/.git", "gitdir: ../evil")
			tr.must(os.Symlink("evil", filepath.Join(tr.upper, ".git")))
			tr.must(os.Symlink(".git/config", filepath.Join(tr.upper, "notes")))
			tr.must(os.Symlink("../.bashrc", filepath.Join(tr.upper, "a/rc")))
		}, "added symlink .git protected\nadded dir a\nadded file a/.git protected\nadded symlink a/rc protected\nadded symlink notes protected", "a drwxr-xr-x"},
		{"a repository that is not called .git", func(tr *tree) {
			for _, name := range []string{"HEAD", "config", "objects/x", "refs/y", "hooks/post-checkout"} {
				tr.inside("sub/"+name, "")
			}
		}, strings.Join([]string{"added dir sub", "added file sub/HEAD protected", "added file sub/config protected",
			"added dir sub/hooks protected", "added file sub/hooks/post-checkout protected", "added dir sub/objects protected",
			"added file sub/objects/x protected", "added dir sub/refs protected", "added file sub/refs/y protected"}, "\n"), "sub drwxr-xr-x"},
		{"the last part of a repository: settings that were harmless become ones", func(tr *tree) {
			tr.host("sub/config", "1")
			tr.host("sub/objects/x", "")
			tr.host("sub/refs/y", "")
			tr.inside("sub/HEAD", "ref: refs/heads/x")
		}, "added file sub/HEAD protected", "sub drwxr-xr-x\nsub/config -rw-r--r-- 1\nsub/objects drwxr-xr-x\nsub/objects/x -rw-r--r-- \nsub/refs drwxr-xr-x\nsub/refs/y -rw-r--r-- "},
		{"the settings of a repository that is there, and its data", func(tr *tree) {
			for _, name := range []string{"HEAD", "objects/x", "refs/y"} {
				tr.host(name, "1")
				tr.inside(name, "2")
			}
			tr.inside("config", "3")
		}, "modified file HEAD\nadded file config protected\nmodified file objects/x\nmodified file refs/y",
			"HEAD -rw-r--r-- 2\nobjects drwxr-xr-x\nobjects/x -rw-r--r-- 2\nrefs drwxr-xr-x\nrefs/y -rw-r--r-- 2"},
		{"a deleted repository stays whole", func(tr *tree) {
			tr.host("r/.git/HEAD", "1")
			tr.host("r/.git/hooks/x", "2")
			tr.host("r/a", "3")
			tr.whiteout("r")
		}, "deleted file r/.git/HEAD protected\ndeleted file r/.git/hooks/x protected\ndeleted dir r/.git/hooks protected\n" +
			"deleted dir r/.git protected\ndeleted file r/a protected\ndeleted dir r protected",
			"r drwxr-xr-x\nr/.git drwxr-xr-x\nr/.git/HEAD -rw-r--r-- 1\nr/.git/hooks drwxr-xr-x\nr/.git/hooks/x -rw-r--r-- 2\nr/a -rw-r--r-- 3"},
		{"a file that is larger than the bound, with holes", func(tr *tree) {
			tr.inside("a", "")
			tr.must(os.Truncate(filepath.Join(tr.upper, "a"), 1<<40))
		}, "added file a refused", ""},
		{"many that are larger together", func(tr *tree) {
			for _, name := range []string{"a", "b"} {
				tr.inside(name, strings.Repeat("x", 700<<10))
			}
		}, "added file a\nadded file b refused", "a -rw-r--r-- " + strings.Repeat("x", 700<<10)},
		{"names that no terminal should see", func(tr *tree) { tr.inside("a\n\x1b[31m\xff", "1") },
			"added file a\n\x1b[31m\xff", "a\n\x1b[31m\xff -rw-r--r-- 1"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			tr := newTree(t)
			tt.make(tr)
			tr.open()
			changes := tr.diff()
			if got := text(changes); got != tt.diff {
				t.Errorf("changes:\n%s\nwant:\n%s", got, tt.diff)
			}
			if again := text(tr.diff()); again != text(changes) {
				t.Errorf("asked again: %s", again)
			}
			tr.applied(changes)
			if tt.result == "closed" {
				tr.checkClosed()
				return
			}
			if got := result(t, tr.base); got != tt.result {
				t.Errorf("applied:\n%s\nwant:\n%s", got, tt.result)
			}
			for _, c := range tr.diff() {
				if c.Refused == "" && c.Protected == "" {
					t.Errorf("applied, and still a change: %+v", c)
				}
			}
		})
	}
}

// applied applies changes, and fails where something that may be is not.
func (tr *tree) applied(changes []Change) {
	tr.Helper()
	for _, o := range tr.space.Apply(tr.Context(), changes, nil) {
		if want, _ := o.Verdict(nil); o.State != want {
			tr.Errorf("%s: %s (%s), want %s", o.Path, o.State, o.Reason, want)
		}
	}
}

func (tr *tree) checkClosed() {
	tr.Helper()
	dir := filepath.Join(tr.base, "d")
	info, err := os.Stat(dir)
	if err != nil || info.Mode() != fs.ModeDir {
		tr.Errorf("%v, %v", info, err)
	}
	tr.must(os.Chmod(dir, 0o700))
	if info, err = os.Stat(filepath.Join(dir, "a")); err != nil || info.Mode() != 0 || info.Size() != 1 {
		tr.Errorf("%v, %v", info, err)
	}
}

// Protected changes are applied where they are named, and only those.
func TestApplyNamed(t *testing.T) {
	tr := newTree(t)
	tr.host(".git/HEAD", "x")
	tr.inside(".git/hooks/a", "1")
	tr.inside(".git/config", "2")
	tr.open()
	for _, o := range tr.space.Apply(t.Context(), tr.diff(), []string{".git/hooks"}) {
		want := Applied
		if o.Path == ".git/config" {
			want = Protected
		}
		if o.State != want {
			t.Errorf("%s: %s", o.Path, o.State)
		}
	}
}

// What the host did meanwhile is not overwritten: before the changes are listed,
// and after.
func TestConflicts(t *testing.T) {
	tests := []struct {
		why    string
		make   func(tr *tree)
		during func(tr *tree) // while commands run
		after  func(tr *tree) // when the changes were listed
		stays  string
	}{
		{"a file that was edited", func(tr *tree) { tr.host("a", "1"); tr.inside("a", "2") },
			func(tr *tree) { tr.host("a", "3") }, nil, "a -rw-r--r-- 3"},
		{"a file that was edited when it was listed", func(tr *tree) { tr.host("a", "1"); tr.inside("a", "2") },
			nil, func(tr *tree) { tr.host("a", "3") }, "a -rw-r--r-- 3"},
		{"a file that was made", func(tr *tree) { tr.inside("a", "2") },
			func(tr *tree) { tr.host("a", "3") }, nil, "a -rw-r--r-- 3"},
		{"a file that was made when it was listed", func(tr *tree) { tr.inside("a", "2") },
			nil, func(tr *tree) { tr.host("a", "3") }, "a -rw-r--r-- 3"},
		{"a directory that was made when it was listed", func(tr *tree) { tr.must(os.Mkdir(filepath.Join(tr.upper, "a"), 0o755)) },
			nil, func(tr *tree) { tr.host("a/b", "3") }, "a drwxr-xr-x\na/b -rw-r--r-- 3"},
		{"a deleted file that was edited", func(tr *tree) { tr.host("a", "1"); tr.whiteout("a") },
			nil, func(tr *tree) { tr.host("a", "3") }, "a -rw-r--r-- 3"},
		{"a deleted file that became another", func(tr *tree) { tr.host("a", "1"); tr.whiteout("a") },
			nil, func(tr *tree) {
				tr.host("b", "1")
				tr.must(os.Rename(filepath.Join(tr.base, "b"), filepath.Join(tr.base, "a")))
			}, "a -rw-r--r-- 1"},
		{"a deleted directory that something was put into", func(tr *tree) { tr.host("d/a", "1"); tr.whiteout("d") },
			func(tr *tree) { tr.host("d/new", "3") }, nil, "d drwxr-xr-x\nd/new -rw-r--r-- 3"},
		{"a file whose mode was changed on both sides", func(tr *tree) {
			tr.host("a", "1")
			tr.inside("a", "1")
			tr.must(os.Chmod(filepath.Join(tr.upper, "a"), 0o600))
		}, nil, func(tr *tree) { tr.must(os.Chmod(filepath.Join(tr.base, "a"), 0o640)) }, "a -rw-r----- 1"},
		{"a directory that became a link", func(tr *tree) { tr.host("d/x", "1"); tr.inside("d/a", "2") },
			nil, func(tr *tree) {
				tr.must(os.Rename(filepath.Join(tr.base, "d"), filepath.Join(tr.base, "e")))
				tr.must(os.Symlink("e", filepath.Join(tr.base, "d")))
			}, "d Lrwxrwxrwx -> e\ne drwxr-xr-x\ne/x -rw-r--r-- 1"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			tr := newTree(t)
			tt.make(tr)
			tr.open()
			if tt.during != nil {
				tt.during(tr)
			}
			changes := tr.diff()
			if tt.after != nil {
				time.Sleep(clockTick)
				tt.after(tr)
			}
			conflicts := 0
			for _, o := range tr.space.Apply(t.Context(), changes, nil) {
				if o.State == Conflict {
					conflicts++
				}
			}
			if got := result(t, tr.base); got != tt.stays || conflicts == 0 {
				t.Errorf("%d conflicts, and the host has\n%s\nwant\n%s", conflicts, got, tt.stays)
			}
		})
	}
}

// A link that reads well leads out by a link of the host's own.
func TestLinkByLink(t *testing.T) {
	for _, out := range []bool{false, true} {
		tr := newTree(t)
		target := "inside"
		if out {
			target = t.TempDir()
		}
		tr.host("inside/x", "1")
		tr.must(os.Symlink(target, filepath.Join(tr.base, "own")))
		tr.must(os.Symlink("own/x", filepath.Join(tr.upper, "a")))
		tr.open()
		want := Applied
		if out {
			want = Refused
		}
		for _, o := range tr.space.Apply(t.Context(), tr.diff(), nil) {
			if o.State != want {
				t.Errorf("own -> %s: %s (%s)", target, o.State, o.Reason)
			}
		}
	}
}

// While changes are applied, somebody swaps a directory for a link that leads
// out, as fast as can be: nothing is ever written or removed there.
func TestSwappedDirectory(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "gone"), []byte("stays"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused, applied := 0, 0
	for round := 0; round < 40 || (refused == 0 || applied == 0) && round < 2000; round++ {
		tr := newTree(t)
		tr.host("d/gone", "1")
		tr.host("d/changed", "1")
		tr.must(os.Symlink(outside, filepath.Join(tr.base, "link")))
		tr.whiteout("d/gone")
		tr.inside("d/changed", "2")
		tr.inside("d/new", "3")
		tr.inside("d/e/new", "4")
		tr.open()
		changes := tr.diff()
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
				}
				_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(tr.base, "d"), unix.AT_FDCWD, filepath.Join(tr.base, "link"), unix.RENAME_EXCHANGE)
			}
		}()
		for _, o := range tr.space.Apply(t.Context(), changes, nil) {
			if o.State == Applied {
				applied++
			} else {
				refused++
			}
		}
		close(stop)
		<-stopped
	}
	t.Logf("%d applied, %d refused", applied, refused)
	if refused == 0 || applied == 0 {
		t.Error("the swap was never seen, or always: the race was not run")
	}
	if got := result(t, outside); got != "gone -rw-r--r-- stays" {
		t.Errorf("outside there is\n%s", got)
	}
}

// What is applied is what was listed, or nothing.
func TestContentAfterList(t *testing.T) {
	tr := newTree(t)
	tr.host("a", "0")
	tr.inside("a", "1")
	tr.inside("b", "1")
	tr.open()
	changes := tr.diff()
	tr.inside("a", "2")
	tr.inside("b", "12")
	for _, o := range tr.space.Apply(t.Context(), changes, nil) {
		if o.State != Refused {
			t.Errorf("%s: %s", o.Path, o.State)
		}
	}
	if got := result(t, tr.base); got != "a -rw-r--r-- 0" {
		t.Errorf("the host has\n%s", got)
	}
}

func TestWithheldAndByHand(t *testing.T) {
	tr := newTree(t)
	tr.inside("a", "1")
	tr.inside("b", "2")
	tr.open()
	changes := tr.diff()
	changes[0].Withhold("a secret")
	made := Change{Path: "a", Kind: Added, Type: File, Size: 1, SHA256: changes[0].SHA256}
	out := tr.space.Apply(t.Context(), append(changes, made), nil)
	var states []State
	for _, o := range out {
		states = append(states, o.State)
	}
	if want := []State{Withheld, Applied, Refused}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}

func TestApplyCancelled(t *testing.T) {
	tr := newTree(t)
	tr.inside("a", "1")
	tr.open()
	changes := tr.diff()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, o := range tr.space.Apply(ctx, changes, nil) {
		if o.State != Skipped {
			t.Errorf("%s: %s", o.Path, o.State)
		}
	}
	if _, err := tr.space.Diff(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Diff: %v", err)
	}
}

func TestDiffLimits(t *testing.T) {
	tr := newTree(t)
	deep := tr.upper
	for range maxDepth + 5 {
		deep += "/d"
		tr.must(os.Mkdir(deep, 0o755))
	}
	tr.open()
	_, err := tr.space.Diff(t.Context())
	var limit *LimitError
	if !errors.As(err, &limit) {
		t.Errorf("nested deeply: %v", err)
	}
}

// Open gives what was listed, and of nothing else.
func TestOpen(t *testing.T) {
	tr := newTree(t)
	tr.host("gone", "1")
	tr.inside("a", "text")
	tr.whiteout("gone")
	tr.open()
	changes := tr.diff()
	f, err := tr.space.Open(&changes[0])
	tr.must(err)
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != "text" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := tr.space.Open(&changes[1]); err == nil {
		t.Error("opened what was deleted")
	}
}

// A file keeps its owner and group; only root can set the stage.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("files of others are made by root only")
		return
	}
	tr := newTree(t)
	tr.host("a", "1")
	tr.must(os.Chown(filepath.Join(tr.base, "a"), 1234, 4321))
	tr.inside("a", "2")
	tr.inside("b", "3")
	tr.must(os.Chown(filepath.Join(tr.upper, "a"), 9999, 9999))
	tr.must(os.Chown(filepath.Join(tr.upper, "b"), 9999, 9999))
	tr.open()
	tr.applied(tr.diff())
	for name, want := range map[string][2]uint32{"a": {1234, 4321}, "b": {0, 0}} {
		var st unix.Stat_t
		tr.must(unix.Stat(filepath.Join(tr.base, name), &st))
		if st.Uid != want[0] || st.Gid != want[1] {
			t.Errorf("%s belongs to %d:%d, want %v", name, st.Uid, st.Gid, want)
		}
	}
}

// The names in front of the workspace count as those in it do.
func TestWorkspaceInAProtectedPlace(t *testing.T) {
	for _, test := range []struct {
		at, path  string
		protected bool
	}{
		{".git/hooks", "post-commit", true},
		{".git/objects", "00/11", false},
		{".config", "git/config", true},
		{".config", "other/config", false},
		{".vscode", "a/b", true},
		{"git", "hooks/post-commit", false},
	} {
		t.Run(test.at+" "+test.path, func(t *testing.T) {
			tr := newTree(t)
			moved := filepath.Join(filepath.Dir(tr.base), test.at)
			tr.must(os.MkdirAll(filepath.Dir(moved), 0o755))
			tr.must(os.Rename(tr.base, moved))
			tr.base = moved
			tr.open()
			tr.inside(test.path, "x")
			for _, c := range tr.diff() {
				if c.Path == test.path && (c.Protected != "") != test.protected {
					t.Errorf("protected: %q", c.Protected)
				}
			}
		})
	}
}

// The mode of a file that has other names, which may be anywhere, stays.
func TestModeOfAFileWithOtherNames(t *testing.T) {
	tr := newTree(t)
	tr.host("a", "x")
	outside := filepath.Join(filepath.Dir(tr.base), "outside")
	tr.must(os.Link(filepath.Join(tr.base, "a"), outside))
	tr.write(filepath.Join(tr.upper, "a"), "x", 0o644)
	tr.must(os.Chmod(filepath.Join(tr.upper, "a"), 0o666))
	tr.open()
	changes := tr.diff()
	if len(changes) != 1 || changes[0].Kind != Mode {
		t.Fatalf("%+v", changes)
	}
	out := tr.space.Apply(t.Context(), changes, nil)
	info, err := os.Stat(outside)
	tr.must(err)
	if out[0].State != Refused || info.Mode().Perm() != 0o644 {
		t.Errorf("%s (%s); the other name has mode %v", out[0].State, out[0].Reason, info.Mode())
	}
}
