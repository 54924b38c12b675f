package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/imagetest"
	"github.com/kavach-dev/kavach/internal/tarfile"
)

var isRoot = os.Geteuid() == 0

// unpackInto unpacks an archive into a new directory beside a canary.
func unpackInto(t testing.TB, dir string, archive []byte, budget *Budget) (Dropped, error) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	if budget == nil {
		budget = &Budget{MaxBytes: 1 << 30, MaxFiles: 1 << 20}
	}
	return Unpack(fd, bytes.NewReader(archive), Options{Budget: budget, Squash: !isRoot})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// show describes a tree, in the same words for each: what tests compare.
func show(t testing.TB, dir string) []string {
	t.Helper()
	list, err := describe(dir)
	must(t, err)
	return list
}

func describe(dir string) ([]string, error) {
	var list []string
	first := make(map[uint64]string) // hard links
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); errors.Is(err, unix.ENOENT) {
			return nil // overlayfs lists a deletion that nothing is below, and has it not
		} else if err != nil {
			return err
		}
		kind := st.Mode & unix.S_IFMT
		s := fmt.Sprintf("%q mode %06o owner %d:%d time %d.%09d", rel, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch kind {
		case unix.S_IFREG:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			s += fmt.Sprintf(" size %d %s", len(b), imagetest.Digest(b))
			if st.Nlink > 1 {
				if first[st.Ino] == "" {
					first[st.Ino] = rel
				}
				s += " same as " + first[st.Ino]
			}
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			s += fmt.Sprintf(" -> %q", target)
		case unix.S_IFCHR:
			s += fmt.Sprintf(" device %d", st.Rdev)
		}
		if kind == unix.S_IFREG || kind == unix.S_IFDIR {
			names := make([]byte, 4096)
			n, _ := unix.Llistxattr(path, names)
			for _, name := range strings.FieldsFunc(string(names[:max(n, 0)]), func(r rune) bool { return r == 0 }) {
				value := make([]byte, 4096)
				n, err := unix.Lgetxattr(path, name, value)
				if err == nil && strings.HasPrefix(name, "user.") {
					s += fmt.Sprintf(" %s=%q", name, value[:n])
				}
			}
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

func compare(t *testing.T, what string, have, want []string) {
	t.Helper()
	for i := range max(len(have), len(want)) {
		if i >= len(have) || i >= len(want) || have[i] != want[i] {
			t.Errorf("%s: entry %d\nhave: %.300s\nwant: %.300s", what, i, have[min(i, len(have)):], want[min(i, len(want)):])
			return
		}
	}
}

// entry makes an entry of the archive.
func entry(h tar.Header) imagetest.Entry { return imagetest.Entry{Header: h} }

func xattr(name, key, value string) imagetest.Entry {
	return imagetest.Entry{Header: tar.Header{Name: name, PAXRecords: map[string]string{"SCHILY.xattr." + key: value}}}
}

// TestHostile has what no honest archive has, beside what an honest one has in
// its place. refused "": it unpacks, and inside has lines that contain has.
func TestHostile(t *testing.T) {
	file, dir, link, hard := imagetest.File, imagetest.Dir, imagetest.Link, imagetest.HardLink
	type row struct {
		why     string
		entries []imagetest.Entry
		refused string   // a part of the error
		has     []string // parts of lines of show
		hasNot  []string
	}
	outside := "../outside" // beside the directory that is unpacked into
	long := strings.Repeat("d/", 2000)
	rows := []row{
		{why: "a plain file is unpacked", entries: []imagetest.Entry{file("a", "A")}, has: []string{`"a" mode 100644`}},
		{why: "a name that leads upwards", entries: []imagetest.Entry{file("../outside/x", "evil")}, refused: "leads upwards"},
		{why: "a name that leads upwards in its middle", entries: []imagetest.Entry{file("a/../../outside/x", "evil")}, refused: "leads upwards"},
		{why: "upwards and down again is not needed by anybody", entries: []imagetest.Entry{file("a/../b", "")}, refused: "leads upwards"},
		{why: "an absolute name is below the image's root", entries: []imagetest.Entry{file("/etc/x", "")}, has: []string{`"etc/x"`}},
		{why: "an empty name for a file", entries: []imagetest.Entry{file(".", "x")}, refused: "no name"},
		{why: "the root may have attributes", entries: []imagetest.Entry{{Header: tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o711}}}, has: []string{`"." mode 040711`}},
		{why: "a root that is a link", entries: []imagetest.Entry{link(".", outside)}, refused: "no name"},
		{why: "a name with a dot in it is that name", entries: []imagetest.Entry{file("./a/./b", "")}, has: []string{`"a/b"`}},
		{why: "a name may have a newline, or be no UTF-8", entries: []imagetest.Entry{entry(tar.Header{Name: "n\n\x1b[31m", Format: tar.FormatGNU}), entry(tar.Header{Name: "\xff\xfe", Format: tar.FormatGNU})}, has: []string{`"n\n\x1b[31m"`, `"\xff\xfe"`}},
		{why: "directories nested too deeply", entries: []imagetest.Entry{entry(tar.Header{Name: long[:2*maxDepth] + "f"})}, refused: "nested deeper"},
		{why: "directories nested deeply", entries: []imagetest.Entry{entry(tar.Header{Name: long[:2*maxDepth-2] + "f"})}, has: []string{`/f"`}},
		{why: "a part of a name that no file system takes", entries: []imagetest.Entry{entry(tar.Header{Name: strings.Repeat("n", 256)})}, refused: "too long"},
		{why: "a name longer than a path", entries: []imagetest.Entry{entry(tar.Header{Name: strings.Repeat("nnnnnnnnn/", 410) + "n"})}, refused: "4095 are possible"},

		{why: "a link to anywhere is data", entries: []imagetest.Entry{link("l", "/etc/shadow"), link("m", outside)}, has: []string{`-> "/etc/shadow"`, `-> "../outside"`}},
		{why: "writing through a link out", entries: []imagetest.Entry{link("l", outside), file("l/canary", "evil")}, refused: "something else than a directory"},
		{why: "writing through a link inside: packers do not agree on what it means", entries: []imagetest.Entry{dir("d/"), link("l", "d"), file("l/x", "x")}, refused: "something else than a directory"},
		{why: "writing through an absolute link", entries: []imagetest.Entry{link("l", "/tmp"), file("l/kavach-evil", "evil")}, refused: "something else than a directory"},
		{why: "a link to itself", entries: []imagetest.Entry{link("l", "l"), file("l/x", "x")}, refused: "something else than a directory"},
		{why: "a file that takes the place of a link is written beside what the link leads to", entries: []imagetest.Entry{link("l", outside+"/canary"), file("l", "mine")}, has: []string{`"l" mode 100644`}},
		{why: "a directory that takes the place of a link", entries: []imagetest.Entry{link("l", outside), dir("l"), file("l/canary", "mine")}, has: []string{`"l/canary"`}},
		{why: "a parent that is exchanged for a link while it is kept open", entries: []imagetest.Entry{dir("d/"), file("d/a", ""), link("d", outside), file("d/canary", "evil")}, refused: "something else than a directory"},
		{why: "a parent that is exchanged for a directory", entries: []imagetest.Entry{dir("d/"), file("d/a", ""), file("d", ""), dir("d/"), file("d/b", "")}, has: []string{`"d/b"`}, hasNot: []string{`"d/a"`}},
		{why: "a directory below a file", entries: []imagetest.Entry{file("f", ""), dir("f/d")}, refused: "something else than a directory"},
		{why: "attributes of a directory, through a link that took its place", entries: []imagetest.Entry{dir("d/"), link("d", outside)}, has: []string{`"d" mode 120777`}},
		{why: "an opaque mark through a link", entries: []imagetest.Entry{link("l", outside), file("l/.wh..wh..opq", "")}, refused: "something else than a directory"},
		{why: "a deletion through a link", entries: []imagetest.Entry{link("l", outside), file("l/.wh.canary", "")}, refused: "something else than a directory"},

		{why: "a hard link in the layer", entries: []imagetest.Entry{file("a", "A"), hard("b", "a"), hard("c", "./a")}, has: []string{`"b" mode 100644`, "same as a"}},
		{why: "a hard link upwards", entries: []imagetest.Entry{hard("b", "../outside/canary")}, refused: "leads upwards"},
		{why: "an absolute hard link is below the root", entries: []imagetest.Entry{hard("b", "/etc/passwd")}, refused: "not in the same layer"},
		{why: "a hard link through a link", entries: []imagetest.Entry{link("l", outside), hard("b", "l/canary")}, refused: "something else than a directory"},
		{why: "a hard link to a link is the link", entries: []imagetest.Entry{link("l", outside+"/canary"), hard("b", "l"), file("b", "mine")}, has: []string{`"b" mode 100644`}},
		{why: "a hard link to a directory", entries: []imagetest.Entry{dir("d/"), hard("b", "d")}, refused: "the directory"},
		{why: "a hard link to itself", entries: []imagetest.Entry{file("a", ""), hard("a", "a")}, refused: "cannot be linked to"},
		{why: "a hard link to a deletion", entries: []imagetest.Entry{file(".wh.a", ""), hard("b", ".wh.a")}, refused: "cannot be linked to"},
		{why: "a hard link in the place of what it leads to", entries: []imagetest.Entry{file("d/a", ""), hard("d", "d/a")}, refused: "not in the same layer"},
		{why: "writing to one name of a file after the other changes a new file", entries: []imagetest.Entry{file("a", "A"), hard("b", "a"), file("b", "BB")}, has: []string{`"a" mode 100644`}, hasNot: []string{"same as"}},

		{why: "a device is not made", entries: []imagetest.Entry{imagetest.Device("dev/mem", tar.TypeChar, 1, 1), imagetest.Device("dev/sda", tar.TypeBlock, 8, 0), hard("x", "dev/mem")}, hasNot: []string{"mem", "sda", "device", `"x"`}},
		{why: "a file in the place of a device is a file, and can be linked to", entries: []imagetest.Entry{imagetest.Device("a", tar.TypeChar, 1, 1), file("a", ""), hard("b", "a")}, has: []string{`"b" mode 100644`}},
		{why: "a device in the place of a directory", entries: []imagetest.Entry{file("d/a", ""), imagetest.Device("d", tar.TypeChar, 1, 1)}, hasNot: []string{`"d"`}},
		{why: "a device that would be a deletion to overlayfs", entries: []imagetest.Entry{imagetest.Device("etc", tar.TypeChar, 0, 0)}, hasNot: []string{"etc"}},
		{why: "a fifo is made", entries: []imagetest.Entry{entry(tar.Header{Name: "p", Typeflag: tar.TypeFifo})}, has: []string{`"p" mode 010644`}},
		{why: "setuid and setgid bits are dropped, the sticky bit is not", entries: []imagetest.Entry{
			entry(tar.Header{Name: "su", Mode: 0o6755}), entry(tar.Header{Name: "t", Typeflag: tar.TypeDir, Mode: 0o1777}), entry(tar.Header{Name: "g", Typeflag: tar.TypeDir, Mode: 0o2755})},
			has: []string{`"su" mode 100755`, `"t" mode 041777`, `"g" mode 040755`}},
		{why: "overlayfs is told nothing by an image", entries: []imagetest.Entry{
			xattr("o", "user.overlay.opaque", "y"), xattr("r", "user.overlay.redirect", "/etc"), xattr("c", "security.capability", "\x01\x00\x00\x02"), xattr("t", "trusted.overlay.opaque", "y")},
			has: []string{`"o"`, `"r"`, `"c"`, `"t"`}, hasNot: []string{"user.", "overlay."}},
		{why: "an attribute of the user's is kept", entries: []imagetest.Entry{xattr("a", "user.note", "zero\x00 and all")}, has: []string{`user.note="zero\x00 and all"`}},

		{why: "a deletion", entries: []imagetest.Entry{file("etc/.wh.gone", ""), file(".wh.odd\nname", ""), file(".wh.\xff", "")}, has: []string{`"etc/gone" mode 020000`, `"odd\nname" mode 020000`, `"\xff" mode 020000`}, hasNot: []string{".wh."}},
		{why: "an opaque directory", entries: []imagetest.Entry{dir("d/"), file("d/.wh..wh..opq", ""), file("d/a", "")}, has: []string{`user.overlay.opaque="y"`, `"d/a"`}, hasNot: []string{".wh."}},
		{why: "a deletion and a file of one name: the file, in any order", entries: []imagetest.Entry{file("a", ""), file(".wh.a", ""), file(".wh.b", ""), file("b", "")}, has: []string{`"a" mode 100644`, `"b" mode 100644`}},
		{why: "a deletion and a directory of one name: a directory that hides", entries: []imagetest.Entry{file(".wh.d", ""), file("d/a", "")}, has: []string{`"d" mode 040755`, `user.overlay.opaque="y"`}},
		{why: "a deletion of nothing", entries: []imagetest.Entry{file(".wh.", "")}, refused: "no name"},
		{why: "a deletion of the directory itself", entries: []imagetest.Entry{file("a/.wh..", "")}, refused: "no name"},
		{why: "a deletion of what is above", entries: []imagetest.Entry{file("a/.wh...", "")}, refused: "no name"},
		{why: "something in a deletion", entries: []imagetest.Entry{file(".wh.a/b", "")}, refused: "means a deletion"},
		{why: "a deletion in a directory with nothing below it would be seen", entries: []imagetest.Entry{file("d/.wh..wh..opq", ""), file("d/.wh.a", "")}, has: []string{"opaque"}, hasNot: []string{`"d/a"`}},
		{why: "the files of aufs are about nothing", entries: []imagetest.Entry{file(".wh..wh.aufs", ""), dir(".wh..wh.plnk")}, hasNot: []string{"aufs", "plnk"}},

		{why: "the last of several entries counts", entries: []imagetest.Entry{file("a", "first"), link("a", "x"), file("a", "last one")}, has: []string{`"a" mode 100644`, "size 8"}},
		{why: "a directory twice keeps what is in it", entries: []imagetest.Entry{dir("d/"), file("d/a", ""), entry(tar.Header{Name: "d", Typeflag: tar.TypeDir, Mode: 0o700})}, has: []string{`"d" mode 040700`, `"d/a"`}},
		{why: "a link without a target", entries: []imagetest.Entry{link("l", "")}, refused: "link to nothing"},
	}
	if isRoot {
		rows = append(rows,
			row{why: "an owner that no sandbox maps", entries: []imagetest.Entry{entry(tar.Header{Name: "a", Uid: 65536})}, refused: "not mapped"},
			row{why: "an owner below zero", entries: []imagetest.Entry{entry(tar.Header{Name: "a", Uid: -1, Format: tar.FormatGNU})}, refused: "not mapped"},
			row{why: "an owner is kept", entries: []imagetest.Entry{entry(tar.Header{Name: "a", Uid: 65535, Gid: 12})}, has: []string{"owner 65535:12"}})
	} else {
		rows = append(rows,
			row{why: "every owner is the user", entries: []imagetest.Entry{entry(tar.Header{Name: "a", Uid: 65536})}, has: []string{fmt.Sprintf("owner %d:%d", os.Geteuid(), os.Getegid())}},
			row{why: "what the user could not read is made readable to them, as to root inside", entries: []imagetest.Entry{entry(tar.Header{Name: "d", Typeflag: tar.TypeDir, Mode: 0o070}), entry(tar.Header{Name: "d/a", Mode: 0o040})}, has: []string{`"d" mode 040770`, `"d/a" mode 100440`}})
	}
	for _, r := range rows {
		t.Run(strings.ReplaceAll(r.why, "/", "-"), func(t *testing.T) {
			base := t.TempDir()
			must(t, os.MkdirAll(filepath.Join(base, "outside"), 0o755))
			must(t, os.WriteFile(filepath.Join(base, "outside/canary"), []byte("canary"), 0o600))
			before := show(t, filepath.Join(base, "outside"))
			_, err := unpackInto(t, filepath.Join(base, "in"), imagetest.Tar(t, r.entries...), nil)
			compare(t, "outside", show(t, filepath.Join(base, "outside")), before)
			if all, _ := os.ReadDir(base); len(all) != 2 {
				t.Errorf("something new is beside the directory: %v", all)
			}
			switch {
			case r.refused == "" && err != nil:
				t.Fatal(err)
			case r.refused != "" && (err == nil || !strings.Contains(err.Error(), r.refused)):
				t.Fatalf("%v, want an error with %q", err, r.refused)
			case r.refused != "":
				return
			}
			all := strings.Join(show(t, filepath.Join(base, "in")), "\n")
			for _, s := range r.has {
				if !strings.Contains(all, s) {
					t.Errorf("%s is missing in\n%s", s, all)
				}
			}
			for _, s := range r.hasNot {
				if strings.Contains(all, s) {
					t.Errorf("%s is in\n%s", s, all)
				}
			}
		})
	}
}

// TestDropped: what is left out is counted.
func TestDropped(t *testing.T) {
	su := imagetest.Program("su", "")
	su.Mode = 0o4755
	dropped, err := unpackInto(t, t.TempDir(), imagetest.Tar(t, su, imagetest.Device("null", tar.TypeChar, 1, 3), xattr("x", "security.capability", "x")), nil)
	if want := (Dropped{Devices: 1, Setuid: 1, Xattrs: 1}); err != nil || dropped != want {
		t.Errorf("%+v, %v, want %+v", dropped, err, want)
	}
}

// TestBudget: a bomb stops early, and what fits does not.
func TestBudget(t *testing.T) {
	bomb := imagetest.Tar(t, imagetest.File("a", strings.Repeat("x", 1<<20)), imagetest.File("b", ""), imagetest.File("c/d/e", ""))
	for _, row := range []struct {
		why    string
		budget Budget
		what   string
	}{
		{"enough", Budget{MaxBytes: int64(len(bomb)), MaxFiles: 5}, ""},
		{"too many bytes", Budget{MaxBytes: int64(len(bomb)) - 1, MaxFiles: 5}, "bytes"},
		{"too many bytes at the beginning", Budget{MaxBytes: 4096, MaxFiles: 5}, "bytes"},
		{"too many files, directories that are only implied among them", Budget{MaxBytes: int64(len(bomb)), MaxFiles: 4}, "files"},
	} {
		_, err := unpackInto(t, t.TempDir(), bomb, &row.budget)
		var limit *LimitError
		if errors.As(err, &limit) != (row.what != "") || limit != nil && limit.What != row.what {
			t.Errorf("%s: %v", row.why, err)
		}
	}
}

// TestCutAndDamaged: an archive that is cut or damaged anywhere is an error.
func TestCutAndDamaged(t *testing.T) {
	whole := imagetest.Tar(t, imagetest.File("a", strings.Repeat("x", 700)), imagetest.Link("l", "a"))
	for _, cut := range []int{1, 511, 513, 700, 1300} {
		if _, err := unpackInto(t, t.TempDir(), whole[:cut], nil); !errors.Is(err, tarfile.ErrFormat) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	if _, err := unpackInto(t, t.TempDir(), append(bytes.Clone(whole), 'x'), nil); !errors.Is(err, tarfile.ErrFormat) {
		t.Errorf("something after the end: %v", err)
	}
	if _, err := unpackInto(t, t.TempDir(), whole, nil); err != nil {
		t.Error(err)
	}
}

// makeTree makes a directory of everything that a layer can have.
func makeTree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "sub", strings.Repeat("long", 40)), 0o750))
	for name, body := range map[string]string{
		"file": "some data", "empty": "", "sub/deep": strings.Repeat("x", 300000), "new\nline": "n", "\xff\xfe": "not UTF-8",
		"sub/" + strings.Repeat("long", 40) + "/" + strings.Repeat("n", 150): "long", "glob*?[a]": "g", " ": "space",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(body), 0o640))
	}
	must(t, os.Symlink("../nowhere", filepath.Join(dir, "link")))
	must(t, os.Symlink(strings.Repeat("../", 60)+"etc", filepath.Join(dir, "sub/long link")))
	must(t, os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "sub/hard")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(t, unix.Lsetxattr(filepath.Join(dir, "file"), "user.note", []byte("kept"), 0))
	must(t, os.Mkdir(filepath.Join(dir, "tmp"), 0o700))
	must(t, unix.Chmod(filepath.Join(dir, "tmp"), 0o1777))
	must(t, os.Truncate(filepath.Join(dir, "sub/deep"), 3<<20))
	if isRoot {
		must(t, os.Lchown(filepath.Join(dir, "link"), 7, 8))
		must(t, os.Lchown(filepath.Join(dir, "sub"), 1000, 100))
		must(t, os.Lchown(filepath.Join(dir, "file"), 65534, 65534))
	}
	must(t, os.Chtimes(filepath.Join(dir, "sub"), time.Now(), time.Unix(1000000000, 123456789)))
	return dir
}

// TestEqualsWhatGNUTarPacked: a tree, packed by GNU tar and unpacked here, is the
// same tree.
func TestEqualsWhatGNUTarPacked(t *testing.T) {
	dir := makeTree(t)
	want := show(t, dir)
	for _, format := range [][]string{
		{"--format=posix", "--xattrs"}, {"--format=posix", "--xattrs", "--sparse"},
		{"--format=posix", "--xattrs", "--sparse", "--sparse-version=0.1"}, {"--format=gnu", "--sparse"}, {"--format=gnu"},
	} {
		cmd := exec.CommandContext(t.Context(), "tar", append(append([]string{"-C", dir, "--numeric-owner", "-c"}, format...), ".")...)
		cmd.Stderr = os.Stderr
		archive, err := cmd.Output()
		must(t, err)
		to := t.TempDir()
		_, err = unpackInto(t, to, archive, nil)
		must(t, err)
		expect := want
		if format[0] == "--format=gnu" { // has neither fractions of seconds nor attributes
			expect = roughly(want)
			compare(t, strings.Join(format, " "), roughly(show(t, to)), expect)
			continue
		}
		compare(t, strings.Join(format, " "), show(t, to), expect)
		if strings.Contains(strings.Join(format, " "), "sparse") {
			var st unix.Stat_t
			must(t, unix.Stat(filepath.Join(to, "sub/deep"), &st))
			if st.Blocks*512 >= 3<<20 {
				t.Errorf("%s: the hole takes %d bytes", format, st.Blocks*512)
			}
		}
	}
}

// roughly takes away what GNU's own format cannot say.
func roughly(lines []string) []string {
	out := slices.Clone(lines)
	for i, s := range out {
		at := strings.Index(s, " time ")
		dot := at + strings.IndexByte(s[at:], '.')
		s = s[:dot] + s[dot+10:]
		out[i], _, _ = strings.Cut(s, " user.")
	}
	return out
}
