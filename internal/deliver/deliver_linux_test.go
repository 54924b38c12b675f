package deliver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put delivers a file with some content, and says what came of it.
func put(dest, base, content string, replace bool) error {
	p, err := Open(dest, base, replace)
	if err != nil {
		return err
	}
	defer p.Close()
	f, err := p.File()
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Settle(0o644)
	}
	return errors.Join(err, f.Discard())
}

// putTree delivers a directory with one file.
func putTree(dest, base string, replace bool) error {
	p, err := Open(dest, base, replace)
	if err != nil {
		return err
	}
	defer p.Close()
	tree, err := p.Tree()
	if err != nil {
		return err
	}
	err = tree.Dir("sub")
	if err == nil {
		var f *os.File
		if f, err = tree.File("sub/file"); err == nil {
			_, err = f.WriteString("new")
			err = errors.Join(err, f.Close(), tree.Settle([]string{"sub"}))
		}
	}
	return errors.Join(err, tree.Discard())
}

// nothingLeft sees that no draft is.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(dir, draftPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFile(t *testing.T) {
	tests := []struct {
		name    string
		plant   func(at string) error // at dest; nil: nothing
		suffix  string                // of dest
		replace bool
		refused bool
		why     string
	}{
		{"new", nil, "", false, false, "there is nothing in the way"},
		{"new, replacing", nil, "", true, false, "there is nothing in the way"},
		{"file", func(at string) error { return os.WriteFile(at, []byte("old"), 0o600) }, "", false, true, "nobody said that it may go"},
		{"file, replacing", func(at string) error { return os.WriteFile(at, []byte("old"), 0o600) }, "", true, false, "somebody did"},
		{"link", func(at string) error { return os.Symlink("victim", at) }, "", false, true, "what it leads to was not named"},
		{"link, replacing", func(at string) error { return os.Symlink("victim", at) }, "", true, true, "what it leads to was not named"},
		{"broken link", func(at string) error { return os.Symlink("nothing", at) }, "", true, true, "it would be made where it leads"},
		{"link to a directory", func(at string) error { return os.Symlink(".", at) }, "", true, true, "what it leads to was not named"},
		{"fifo, replacing", func(at string) error { return unix.Mkfifo(at, 0o600) }, "", true, true, "it is no file"},
		{"below a directory", func(at string) error { return os.Mkdir(at, 0o755) }, "", false, false, "it goes into it"},
		{"below nothing", nil, "/", false, true, "the directory is not there"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.WriteFile(dir+"/victim", []byte("old"), 0o600))
			dest := filepath.Join(dir, "dest")
			if test.plant != nil {
				must(t, test.plant(dest))
			}
			err := put(dest+test.suffix, "base", "new", test.replace)
			var refused *RefusedError
			if errors.As(err, &refused) != test.refused || err != nil && !test.refused {
				t.Fatalf("%v, want refused: %v: %s", err, test.refused, test.why)
			}
			if !test.refused {
				b, err := os.ReadFile(dest)
				if err != nil {
					b, err = os.ReadFile(dest + "/base")
				}
				if err != nil || string(b) != "new" {
					t.Errorf("%q, %v", b, err)
				}
			}
			if b, err := os.ReadFile(dir + "/victim"); err != nil || string(b) != "old" {
				t.Errorf("the victim holds %q, %v", b, err)
			}
			nothingLeft(t, dir)
		})
	}
}

func TestNames(t *testing.T) {
	for _, base := range []string{"", ".", "..", "/", "a/b"} {
		var refused *RefusedError
		if err := put(t.TempDir()+"/", base, "x", true); !errors.As(err, &refused) {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestTree(t *testing.T) {
	tests := []struct {
		name    string
		plant   func(at string) error
		refused bool
		why     string
	}{
		{"new", nil, false, "there is nothing in the way"},
		{"file", func(at string) error { return os.WriteFile(at, []byte("old"), 0o600) }, true, "a directory takes the place of none"},
		{"link", func(at string) error { return os.Symlink("victim", at) }, true, "what it leads to was not named"},
		{"directory", func(at string) error { return os.MkdirAll(at+"/old", 0o755) }, true, "what is in it would be lost, or mixed"},
		{"empty directory", func(at string) error { return os.Mkdir(at, 0o755) }, true, "rename(2) would replace it"},
	}
	for _, test := range tests {
		for _, replace := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, replace %v", test.name, replace), func(t *testing.T) {
				dir := t.TempDir()
				if test.plant != nil {
					must(t, test.plant(dir+"/dest"))
				}
				err := putTree(dir+"/", "dest", replace)
				var refused *RefusedError
				if errors.As(err, &refused) != test.refused || err != nil && !test.refused {
					t.Fatalf("%v, want refused: %v: %s", err, test.refused, test.why)
				}
				b, err := os.ReadFile(dir + "/dest/sub/file")
				if (err == nil && string(b) == "new") == test.refused {
					t.Errorf("%q, %v", b, err)
				}
				nothingLeft(t, dir)
			})
		}
	}
}

// TestTreeHostile: a name that the kernel would take elsewhere, and a link that
// somebody plants in what is being made.
func TestTreeHostile(t *testing.T) {
	dir := t.TempDir()
	p, err := Open(dir+"/dest", "base", false)
	must(t, err)
	defer p.Close()
	tree, err := p.Tree()
	must(t, err)
	defer func() { _ = tree.Discard() }()
	for _, name := range []string{"", ".", "..", "../x", "a/../../x", "/tmp/x", "a//b", "none/x"} {
		if f, err := tree.File(name); err == nil {
			f.Close()
			t.Errorf("made %q", name)
		}
		if err := tree.Dir(name); err == nil {
			t.Errorf("made directory %q", name)
		}
	}
	must(t, os.Symlink(dir, filepath.Join(dir, tree.name, "link")))
	if f, err := tree.File("link/planted"); err == nil {
		f.Close()
		t.Error("a link was followed")
	}
	if f, err := tree.Open("link"); err == nil {
		f.Close()
		t.Error("a link was opened")
	}
	f, err := tree.File("twice")
	must(t, err)
	must(t, f.Close())
	if _, err := tree.File("twice"); !errors.Is(err, unix.EEXIST) {
		t.Errorf("a second file of one name: %v", err)
	}
}

// TestRace: of many at once, one gets the place, whole.
func TestRace(t *testing.T) {
	for what, one := range map[string]func(dest string, i int) error{
		"file": func(dest string, i int) error { return put(dest, "b", strings.Repeat(fmt.Sprint(i), 5), false) },
		"tree": func(dest string, _ int) error { return putTree(filepath.Dir(dest)+"/", filepath.Base(dest), false) },
	} {
		dir := t.TempDir()
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 8 {
			wg.Go(func() {
				err := one(dir+"/dest", i)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if refused := (*RefusedError)(nil); !errors.As(err, &refused) {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%s: %d got the one place", what, won)
		}
		nothingLeft(t, dir)
	}
}

// TestSweep: what was left by a program that was killed goes, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	leave := func(name string, mode os.FileMode) string {
		at := filepath.Join(dir, draftPrefix+name)
		must(t, os.MkdirAll(at+"/sub", 0o700))
		must(t, os.Chmod(at, mode))
		return at
	}
	dead, open, busy := leave("dead", ownMode), leave("open", 0o755), leave("busy", ownMode)
	link := filepath.Join(dir, draftPrefix+"link")
	must(t, os.Mkdir(dir+"/other", ownMode))
	must(t, os.Symlink("other", link))
	fd, err := unix.Open(busy, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Flock(fd, unix.LOCK_EX))
	p, err := Open(dir+"/dest", "b", false)
	must(t, err)
	defer p.Close()
	p.sweep(time.Now())
	if _, err := os.Lstat(dead); err != nil {
		t.Error("one that was just made was taken for dead")
	}
	p.sweep(time.Now().Add(2 * fresh))
	for at, want := range map[string]bool{dead: false, open: true, busy: true, link: true, dir + "/other": true} {
		if _, err := os.Lstat(at); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", at, err, want)
		}
	}
}

// TestNamed is for file systems without files that have no name.
func TestNamed(t *testing.T) {
	dir := t.TempDir()
	for _, replace := range []bool{false, true} {
		p, err := Open(dir+"/dest", "b", replace)
		must(t, err)
		defer p.Close()
		f, err := p.named()
		must(t, err)
		if info, err := os.Stat(filepath.Join(dir, f.name)); err != nil || info.Mode() != closed {
			t.Errorf("a draft is open to others: %v %v", info, err)
		}
		must(t, f.Settle(0o755))
		must(t, f.Discard())
		g, err := p.named()
		must(t, err)
		must(t, g.Discard())
		must(t, g.Discard())
		nothingLeft(t, dir)
	}
	if info, err := os.Stat(dir + "/dest"); err != nil || info.Mode() != 0o755 {
		t.Errorf("%v %v", info, err)
	}
}
