package imagetest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// busyboxPath is where Debian's busybox-static is. It is linked statically.
const busyboxPath = "/bin/busybox"

// BusyboxImage is a small image with a shell and the usual tools, in three
// layers: the second deletes /etc/deleted and all of /opaque, and changes
// /etc/motd; the third adds the user "app" (uid 1000, gid 1001), and a program
// with a setuid bit. Its commands run as app, in /home/app, with NAME=busybox in
// their environment; its command is "sh".
func BusyboxImage(t testing.TB) Image {
	t.Helper()
	program, err := os.ReadFile(busyboxPath)
	if err != nil {
		t.Fatalf("%v: install busybox-static", err)
	}
	list, err := exec.CommandContext(t.Context(), busyboxPath, "--list").Output()
	must(t, err)
	base := []Entry{
		Dir("bin/"), Program("bin/busybox", string(program)),
		Dir("etc/"), File("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), File("etc/group", "root:x:0:\n"),
		File("etc/motd", "first\n"), File("etc/deleted", "deleted\n"),
		Dir("opaque/"), File("opaque/below", "below\n"), Dir("opaque/dir/"),
		Dir("proc/"), Dir("sys/"), Dir("dev/"), Dir("root/"),
		{tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, ""},
	}
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			base = append(base, Link("bin/"+applet, "busybox"))
		}
	}
	second := []Entry{
		Dir("etc/"), File("etc/.wh.deleted", ""), File("etc/motd", "second\n"),
		Dir("opaque/"), File("opaque/.wh..wh..opq", ""), File("opaque/above", "above\n"),
	}
	home := Dir("home/app/")
	home.Uid, home.Gid = 1000, 1001
	setuid := Program("bin/setuid", "#!/bin/sh\nid -u\n")
	setuid.Mode = 0o4755
	third := []Entry{
		Dir("etc/"), File("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n"),
		File("etc/group", "root:x:0:\napp:x:1001:\n"), Dir("home/"), home, Dir("bin/"), setuid,
	}
	return Image{
		Layers: [][]byte{Tar(t, base...), Tar(t, second...), Tar(t, third...)},
		Config: Config{User: "app", WorkingDir: "/home/app", Env: []string{"PATH=/bin", "NAME=busybox"}, Cmd: []string{"sh"}},
	}
}

// Busybox writes BusyboxImage as an OCI layout, for any user to read, and
// returns a reference to it, "oci-layout:DIR:latest".
func Busybox(t testing.TB) string {
	t.Helper()
	return OCI(t, BusyboxImage(t))
}

// Static is an image with nothing in it but a program, "/program", which is that
// of the host at path: no shell, no libc, no directories to mount on.
func Static(t testing.TB, path string) string {
	t.Helper()
	program, err := os.ReadFile(path)
	must(t, err)
	return OCI(t, Image{Layers: [][]byte{Tar(t, Program("program", string(program)))}, Config: Config{Entrypoint: []string{"/program"}}})
}

// EnvCache names the directory that keeps what takes long to make.
const EnvCache = "KAVACH_TEST_CACHE"

// debianName changes with what Debian makes, so that an older one is not taken.
const debianName = "debian-bookworm-python-1"

// Debian is a real image, of Debian 12 with Python, in two layers, as an OCI
// layout, and returns a reference to it. debootstrap makes it once, as root, and
// takes a minute or two; it is kept for later runs and for every user, in the
// directory that EnvCache names, else in /var/tmp/kavach-test.
func Debian(t testing.TB) string {
	t.Helper()
	cache := os.Getenv(EnvCache)
	if cache == "" {
		cache = "/var/tmp/kavach-test"
	}
	done := filepath.Join(cache, debianName)
	if !isThere(t, done) {
		makeDebian(t, cache, done)
	}
	return "oci-layout:" + done + ":latest"
}

// isThere fails the test where somebody else could have made the directory.
func isThere(t testing.TB, dir string) bool {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(dir, &st); err != nil {
		return false
	}
	if st.Uid != 0 && st.Uid != uint32(os.Getuid()) {
		t.Fatalf("%s belongs to uid %d: remove it, or set %s", dir, st.Uid, EnvCache)
	}
	return true
}

func makeDebian(t testing.TB, cache, done string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skipf("debootstrap needs root: run this test as root first, which makes %s", done)
	}
	must(t, os.MkdirAll(cache, 0o755))
	lock, err := os.OpenFile(done+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	must(t, err)
	defer lock.Close()
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	if isThere(t, done) {
		return
	}
	root := filepath.Join(t.TempDir(), "root")
	// debootstrap mounts /proc in there: in a mount namespace of its own.
	run(t, "unshare", "-m", "debootstrap", "--variant=minbase", "--include=python3-minimal", "bookworm", root)
	run(t, "rm", "-rf", filepath.Join(root, "var/cache/apt/archives"), filepath.Join(root, "var/lib/apt/lists"))
	var base bytes.Buffer
	pack := exec.CommandContext(t.Context(), "tar", "-C", root, "--numeric-owner", "--xattrs", "-c", ".")
	pack.Stdout, pack.Stderr = &base, os.Stderr
	must(t, pack.Run())
	// What packagers of images do: documentation goes, and somebody to run as comes.
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	must(t, err)
	second := Tar(t,
		Dir("usr/"), Dir("usr/share/"), Dir("usr/share/doc/"), File("usr/share/doc/.wh..wh..opq", ""), File("usr/share/.wh.man", ""),
		Dir("etc/"), File("etc/passwd", string(passwd)+"app:x:1000:1000::/tmp:/bin/sh\n"))
	l := &Layout{Dir: done + ".new"}
	must(t, os.RemoveAll(l.Dir))
	l.Tag(t, l.Image(t, Image{Layers: [][]byte{base.Bytes(), second}, Config: Config{
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Cmd: []string{"/bin/sh"},
	}}), "latest")
	must(t, os.Rename(l.Dir, done))
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out))
	}
}
