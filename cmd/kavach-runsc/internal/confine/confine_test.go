package confine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A domain cannot be left, so that each is entered by a process of its own, which
// is this test's program, with its own user and mount namespaces.
const envInside = "KAVACH_TEST_GOFER"

func TestMain(m *testing.M) {
	if how := os.Getenv(envInside); how != "" {
		if err := asGofer(how == "confined"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// attempts are what a gofer may do, and may not, when it has come into its root.
var attempts = []struct {
	what string
	free bool // in the domain
	try  func(g *Gofer) error
}{
	{"write a file below the root", true, func(*Gofer) error { return os.WriteFile("/dir/file", []byte("x"), 0o600) }},
	{"move it to another directory", true, func(*Gofer) error { return os.Rename("/dir/file", "/file") }},
	{"truncate it", true, func(*Gofer) error { return os.Truncate("/file", 0) }},
	{"make a link and a pipe", true, func(*Gofer) error {
		return errors.Join(os.Symlink("file", "/link"), unix.Mkfifo("/dir/pipe", 0o600))
	}},
	{"remove it", true, func(*Gofer) error { return os.Remove("/file") }},
	{"list what is outside", false, func(g *Gofer) error { return g.lookOutside() }},
	{"write outside", false, func(g *Gofer) error {
		fd, err := unix.Openat(g.outside, "tmp/written", unix.O_CREAT|unix.O_WRONLY, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}},
	{"execute a file of the root", false, func(*Gofer) error {
		_, err := syscall.ForkExec("/program", []string{"program"}, nil)
		if errors.Is(err, unix.ENOEXEC) {
			return nil // it was looked at: it is empty
		}
		return err
	}},
	{"connect to a TCP port", false, func(*Gofer) error {
		r := Report{Landlock: abiNet}
		if err := r.tryTCP(); errors.Is(err, ErrNotConfined) {
			return nil
		}
		return unix.EACCES
	}},
}

// asGofer is what a gofer's end of its set-up is.
func asGofer(confined bool) error {
	const root = "/mnt"
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""),
		unix.Mount("tmpfs", root, "tmpfs", 0, ""),
		os.Mkdir(root+"/dir", 0o755),
		os.WriteFile(root+"/program", nil, 0o755),
	); err != nil {
		return err
	}
	g, err := NewGofer()
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Chroot(root), os.Chdir("/")); err != nil {
		return err
	}
	again := *g
	if again.outside, err = unix.Dup(g.outside); err != nil { // Enter closes it
		return err
	}
	if confined {
		if _, err := g.Enter(); err != nil {
			return err
		}
	}
	for _, a := range attempts {
		err := a.try(&again)
		if free := a.free || !confined; free != (err == nil) || (!free && !errors.Is(err, unix.EACCES)) {
			fmt.Printf("%s: %v\n", a.what, err)
		}
	}
	return nil
}

func TestGofer(t *testing.T) {
	if ABI() < abiNet {
		t.Fatalf("this kernel's Landlock is too old: ABI %d", ABI())
	}
	for _, how := range []string{"confined", "as it is without a domain, where all of it gets through"} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), envInside+"="+how)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", how, err, out)
		}
	}
}

// Only the answer of Landlock is taken for its refusal.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		why  string
		err  error
		want bool
	}{
		{"Landlock answers so", unix.EACCES, true},
		{"it was allowed", nil, false},
		{"it failed for another reason", unix.ENOENT, false},
	} {
		r := Report{Process: "sentry"}
		err := r.refused("open a file", c.err)
		if (err == nil) != c.want || len(r.Refused) == 1 != c.want || errors.Is(err, ErrNotConfined) == c.want {
			t.Errorf("%s: %v, %+v", c.why, err, r)
		}
	}
}

func TestIsSentry(t *testing.T) {
	for _, c := range []struct {
		why  string
		args string
		want bool
	}{
		{"executed again", "runsc-sandbox --directfs=false boot --bundle=/b --setup-root=false id", true},
		{"the first time", "runsc-sandbox --directfs=false boot --bundle=/b --setup-root id", false},
		{"a gofer", "runsc-gofer gofer --setup-root=false id", false},
		{"a container of that name", "kavach-runsc run boot", false},
		{"nothing", "kavach-runsc", false},
	} {
		if got := IsSentry(strings.Fields(c.args)); got != c.want {
			t.Errorf("%s: %v", c.why, got)
		}
	}
}

func TestReportWrite(t *testing.T) {
	var b bytes.Buffer
	in := Report{Process: "gofer", Landlock: 7, Refused: []string{"open what is \"outside\"\n"}}
	if err := in.Write(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "\n") != 1 {
		t.Errorf("not one line: %q", b.String())
	}
	var out struct {
		Report
		Level string
		Msg   string
	}
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || out.Msg != "confined" || out.Process != in.Process || out.Refused[0] != in.Refused[0] {
		t.Errorf("%q: %+v, %v", b.String(), out, err)
	}
}
