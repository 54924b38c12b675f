package layer

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/imagetest"
	"github.com/kavach-dev/kavach/internal/tarfile"
)

const envOverlay = "KAVACH_TEST_OVERLAY"

// overlayJob is what the test asks itself to do, in a mount namespace of its own.
type overlayJob struct {
	Layers []string
	Flat   string
	Mount  string
}

func fifoHeader(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeFifo} }

func TestMain(m *testing.M) {
	if job := os.Getenv(envOverlay); job != "" {
		if err := showOverlay(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// showOverlay mounts layers, and shows what the kernel makes of them, and what
// the copy is.
func showOverlay(text string) error {
	var job overlayJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	var lower []string
	for _, l := range job.Layers {
		lower = append([]string{l}, lower...)
	}
	if err := unix.Mount("overlay", job.Mount, "overlay", unix.MS_RDONLY, "userxattr,lowerdir="+strings.Join(lower, ":")); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	overlay, err1 := describe(job.Mount)
	flat, err2 := describe(job.Flat)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string][]string{"overlay": overlay, "flat": flat})
}

// TestTreeEqualsOverlay: what a Tree has is what overlayfs shows.
func TestTreeEqualsOverlay(t *testing.T) {
	file, dir, link := imagetest.File, imagetest.Dir, imagetest.Link
	tree := makeTree(t)
	pack := exec.CommandContext(t.Context(), "tar", "-C", tree, "--numeric-owner", "--xattrs", "--format=posix", "-c", ".")
	real, err := pack.Output()
	must(t, err)
	base := imagetest.Tar(t, dir("./"),
		dir("etc/"), file("etc/gone", ""), file("etc/stays", "s"), file("etc/changed", "first"), file("odd\nname", ""),
		dir("opaque/"), file("opaque/below", ""), dir("opaque/dir/"), file("opaque/dir/x", ""),
		dir("dir-to-file/"), file("dir-to-file/x", ""), file("file-to-dir", ""), link("link-to-dir", "etc"), dir("dir-to-link/"), file("dir-to-link/x", ""),
		dir("whole/"), file("whole/x", ""), dir("replaced/"), file("replaced/old", ""))
	second := imagetest.Tar(t, dir("./"),
		dir("etc/"), file("etc/.wh.gone", ""), file("etc/changed", "second"), file(".wh.odd\nname", ""),
		dir("opaque/"), file("opaque/.wh..wh..opq", ""), file("opaque/above", ""), dir("opaque/dir/"), file("opaque/dir/y", ""),
		file("dir-to-file", "f"), dir("file-to-dir/"), file("file-to-dir/x", ""), dir("link-to-dir/"), file("link-to-dir/x", ""), link("dir-to-link", "etc"),
		file(".wh.whole", ""), file(".wh.replaced", ""), dir("replaced/"), file("replaced/new", ""))
	third := imagetest.Tar(t, dir("./"),
		dir("etc/"), file("etc/gone", "is back"), dir("whole/"), file("whole/y", ""), dir("opaque/"), file("opaque/.wh.above", ""))
	hides := imagetest.Tar(t, file(".wh..wh..opq", ""), dir("etc/"), file("etc/only", ""), dir("new/"), file("new/.wh.none", ""))
	for name, archives := range map[string][][]byte{
		"an opaque root": {base, second, hides, third}, "a deletion of nothing": {base, imagetest.Tar(t, dir("./"), dir("new/"), file("new/x", ""), file("new/.wh.none", ""), file("etc/.wh.none", ""))},
		"one": {real}, "two": {base, second}, "three": {base, second, third}, "a real tree on top": {base, second, real}, "and below": {real, base, second},
	} {
		t.Run(name, func(t *testing.T) {
			job := overlayJob{Flat: t.TempDir(), Mount: t.TempDir()}
			for _, archive := range archives {
				job.Layers = append(job.Layers, t.TempDir())
				_, err := unpackInto(t, job.Layers[len(job.Layers)-1], archive, nil)
				must(t, err)
			}
			must(t, flatten(t.Context(), job.Layers, job.Flat, !isRoot))
			if job.Layers = Visible(job.Layers); len(job.Layers) == 1 { // overlayfs wants two where nothing is above
				job.Layers = append([]string{t.TempDir()}, job.Layers...)
			}
			out := runOverlay(t, job)
			compare(t, "the copy beside overlayfs", withoutInodes(out["flat"]), withoutInodes(out["overlay"]))
			if len(out["overlay"]) < 5 {
				t.Errorf("only %q", out["overlay"])
			}
		})
	}
}

// withoutInodes takes away which files are one: overlayfs without an index does
// not tell (it shows the number of links, as it is).
func withoutInodes(lines []string) []string {
	out := make([]string, len(lines))
	for i, s := range lines {
		out[i], _, _ = strings.Cut(s, " same as ")
	}
	return out
}

func runOverlay(t *testing.T, job overlayJob) map[string][]string {
	t.Helper()
	text, err := json.Marshal(job)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	args := []string{"-m", self}
	if !isRoot {
		args = []string{"-Urm", self}
	}
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), envOverlay+"="+string(text))
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	must(t, err)
	var out map[string][]string
	must(t, json.Unmarshal(b, &out))
	return out
}

// TestReadFile: a file is found in the highest layer that has it, and links lead
// nowhere but inside.
func TestReadFile(t *testing.T) {
	file, dir, link := imagetest.File, imagetest.Dir, imagetest.Link
	outside := imagetest.WriteFile(t, "secret", []byte("secret"))
	layers := make([]string, 2)
	for i, archive := range [][]byte{
		imagetest.Tar(t, dir("etc/"), file("etc/passwd", "below"), file("etc/group", "group"), file("etc/gone", ""), file("secret", "inside"),
			dir("opaque/"), file("opaque/x", ""), dir("d/"), file("d/x", "x"),
			link("out", outside), link("up", "../../../../../../.."+outside), link("loop", "loop2"), link("loop2", "loop"),
			link("abs", "/etc/group"), link("etc/rel", "../d/./x"), link("e", "etc"), link("many", "e/../e/../e/passwd"),
			imagetest.Entry{Header: fifoHeader("fifo")}),
		imagetest.Tar(t, dir("etc/"), file("etc/passwd", "above"), file("etc/.wh.gone", ""), dir("opaque/"), file("opaque/.wh..wh..opq", ""), file("d", "a file")),
	} {
		layers[i] = t.TempDir()
		_, err := unpackInto(t, layers[i], archive, nil)
		must(t, err)
	}
	tree, err := OpenTree(layers)
	must(t, err)
	defer tree.Close()
	for _, row := range []struct {
		why, path, want string
		err             error // nil: want
	}{
		{"the highest layer wins", "/etc/passwd", "above", nil},
		{"lower layers show through", "/etc/group", "group", nil},
		{"a deletion", "/etc/gone", "", os.ErrNotExist},
		{"below an opaque directory", "/opaque/x", "", os.ErrNotExist},
		{"below a file that has replaced a directory", "/d/x", "", unix.ENOTDIR},
		{"an absolute link begins at the image's root", "/abs", "group", nil},
		{"a relative link that a higher layer has cut", "/etc/rel", "", unix.ENOTDIR},
		{"a link in the middle", "/many", "above", nil},
		{"a link to a file of the host leads into the image", "/out", "", os.ErrNotExist},
		{"upwards ends at the root", "/up", "", os.ErrNotExist},
		{"upwards by the path itself", "/../../etc/passwd", "above", nil},
		{"a loop", "/loop", "", unix.ELOOP},
		{"a directory is no file", "/etc", "", errAny},
		{"a fifo is not waited for", "/fifo", "", errAny},
	} {
		b, err := tree.ReadFile(row.path, 100)
		if row.err == nil && (err != nil || string(b) != row.want) || row.err != nil && (err == nil || row.err != errAny && !errors.Is(err, row.err)) {
			t.Errorf("%s: %q, %v", row.why, b, err)
		}
	}
	if _, err := tree.ReadFile("/etc/group", 4); err == nil {
		t.Error("a file that is too long was read")
	}
}

var errAny = errors.New("any")

// FuzzUnpack: nothing outside changes, whatever the archive is, and what was
// unpacked can be removed and copied.
func FuzzUnpack(f *testing.F) {
	file, dir, link, hard := imagetest.File, imagetest.Dir, imagetest.Link, imagetest.HardLink
	f.Add(imagetest.Tar(f, dir("d/"), file("d/a", "A"), link("l", "../outside"), hard("d/b", "d/a"), file("d/.wh.x", ""), file("d/.wh..wh..opq", "")))
	f.Add(imagetest.Tar(f, link("d", "../outside"), file("d/canary", "evil")))
	f.Add(imagetest.Tar(f, dir("d/"), file("d/x", ""), link("d", "../outside"), file("d/canary", "evil"), xattr("x", "user.overlay.opaque", "y")))
	f.Add(imagetest.Tar(f, imagetest.Entry{Header: fifoHeader("p")}, imagetest.Device("c", '3', 1, 3), file(strings.Repeat("long/", 60)+"f", "x")))
	f.Fuzz(func(t *testing.T, archive []byte) {
		archive = imagetest.FixChecksums(archive)
		base := t.TempDir()
		must(t, os.Mkdir(filepath.Join(base, "outside"), 0o755))
		must(t, os.WriteFile(filepath.Join(base, "outside/canary"), []byte("canary"), 0o600))
		before := show(t, filepath.Join(base, "outside"))
		in := filepath.Join(base, "in")
		_, err := unpackInto(t, in, archive, &Budget{MaxBytes: 1 << 20, MaxFiles: 1000})
		compare(t, "outside", show(t, filepath.Join(base, "outside")), before)
		if all, _ := os.ReadDir(base); len(all) != 2 {
			t.Errorf("something new is beside the directory: %v", all)
		}
		if err != nil {
			return
		}
		if _, err := tarfile.NewReader(bytes.NewReader(archive)).Next(); err != nil && len(show(t, in)) > 1 {
			t.Errorf("it unpacked although it cannot be read: %v", err)
		}
		must(t, os.Mkdir(filepath.Join(base, "flat"), 0o700))
		must(t, flatten(t.Context(), []string{in}, filepath.Join(base, "flat"), !isRoot))
	})
}
