package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The keeper is what Kavach's jail is for the runtime: PID 1 of new namespaces,
// with a root of its own ids, in which everything that the container needs is
// mounted. Here it is this test's own program.

const (
	envKeeper = "KAVACH_TEST_KEEPER"
	envKavach = "KAVACH_TEST_BIN" // beside it is kavach-runsc, where it was built before

	place  = "/mnt" // in the keeper's mount namespace only
	bundle = place + "/bundle"
	logTo  = place + "/log"
	pidTo  = place + "/pid"

	channelFD, programFD = 3, 4

	inside = 1000 // the uid and gid in the container
)

// job is what a keeper does.
type job struct {
	Runsc  string
	Flags  []string // of kavach-runsc
	Args   []string // of the program in the container
	Sealed string   // the file of a program that comes by descriptor; empty: it is busybox, of the image
	Detach bool
}

// outcome is what came of it.
type outcome struct {
	Log, Status string // of the runtime; /proc/PID/status of the sentry and the gofer
	Exit        int
}

func TestMain(m *testing.M) {
	if text := os.Getenv(envKeeper); text != "" {
		if err := keep(text); err != nil {
			fmt.Fprintln(os.Stderr, "keeper:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if built != "" {
		os.RemoveAll(filepath.Dir(built))
	}
	os.Exit(code)
}

var built string

// program is kavach-runsc as it is installed: without cgo.
func program(t *testing.T) string {
	t.Helper()
	if kavach := os.Getenv(envKavach); kavach != "" {
		return filepath.Join(filepath.Dir(kavach), "kavach-runsc")
	}
	if built != "" {
		return built
	}
	dir, err := os.MkdirTemp("", "kavach-runsc-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the keeper is another user
		t.Fatal(err)
	}
	built = filepath.Join(dir, "kavach-runsc")
	cmd := exec.Command("go", "build", "-o", built, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return built
}

// startKeeper starts a keeper, which inherits a socket and a program for the container.
func startKeeper(t *testing.T, j job) (*exec.Cmd, *os.File, io.ReadCloser) {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	t.Cleanup(func() { ours.Close() })
	defer theirs.Close()

	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envKeeper+"="+string(text))
	cmd.ExtraFiles = []*os.File{theirs}
	if j.Sealed != "" {
		sealed := seal(t, j.Sealed)
		defer sealed.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, sealed)
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = namespaces()
	out, err := cmd.StdoutPipe() // gVisor writes to files at an offset of its own
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, ours, out
}

// firstID is the first of the host's ids that a root's keeper has: nobody's.
const firstID = 0x78000000

func namespaces() *syscall.SysProcAttr {
	uids := []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	gids := []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	if os.Getuid() == 0 {
		uids = []syscall.SysProcIDMap{{HostID: firstID, Size: 1 << 16}}
		gids = uids
	}
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET |
			unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
		UidMappings: uids, GidMappings: gids, GidMappingsEnableSetgroups: os.Getuid() == 0,
		Credential: &syscall.Credential{NoSetGroups: true},
		Pdeathsig:  unix.SIGKILL,
	}
}

// seal makes a copy of a program that nobody can write to.
func seal(t *testing.T, name string) *os.File {
	t.Helper()
	program, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.MemfdCreate("program", unix.MFD_ALLOW_SEALING|unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "program")
	defer f.Close()
	if _, err := f.Write(program); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); err != nil {
		t.Fatal(err)
	}
	readOnly, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		t.Fatal(err)
	}
	return readOnly
}

// keep is the keeper's life. What came of it is the last line of its output.
func keep(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	if err := build(j.Sealed == ""); err != nil {
		return err
	}
	spec, err := json.Marshal(specification(j.Args))
	if err != nil {
		return err
	}
	if err := os.WriteFile(bundle+"/config.json", spec, 0o644); err != nil {
		return err
	}
	args := append([]string{"--root", place + "/state", "--log", logTo}, j.Flags...)
	args = append(args, "run", "--bundle", bundle, "--pid-file", pidTo,
		fmt.Sprintf("--pass-fd=%d:%d", channelFD, channelFD))
	pass := []*os.File{os.NewFile(channelFD, "channel")}
	if j.Sealed != "" {
		args = append(args, fmt.Sprintf("--exec-fd=%d", programFD))
		pass = append(pass, os.NewFile(programFD, "program"))
	}
	if j.Detach {
		args = append(args, "--detach")
	}
	cmd := exec.Command(j.Runsc, append(args, "test")...)
	cmd.Env = []string{}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	cmd.ExtraFiles = pass
	o := outcome{}
	if err := cmd.Run(); err != nil {
		o.Exit = cmd.ProcessState.ExitCode()
	}
	unix.Close(channelFD)
	log, _ := os.ReadFile(logTo) // not there: nothing was logged
	o.Log = string(log)
	o.Status = statuses()
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n", line)
	for j.Detach {
		if _, err := unix.Wait4(-1, nil, unix.WALL, nil); err == unix.ECHILD {
			break
		}
	}
	return nil
}

// statuses are those of all processes but the keeper, those that are gone
// meanwhile left out.
func statuses() string {
	var all strings.Builder
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right
	for _, dir := range dirs {
		name, _ := os.ReadFile(dir + "/cmdline")
		status, err := os.ReadFile(dir + "/status")
		if err == nil && dir != "/proc/"+strconv.Itoa(os.Getpid()) {
			before, _, _ := strings.Cut(string(name), "\x00")
			fmt.Fprintf(&all, "process %s\n%s", before, status)
		}
	}
	return all.String()
}

// build mounts the place: an image that has no directory /proc, /sys or /dev, and
// a program only where it is asked for; in it a directory that may be written to,
// and one that may not.
func build(busybox bool) error {
	root := bundle + "/rootfs"
	stage := place + "/stage"
	steps := []func() error{
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("tmpfs", place, "tmpfs", 0, "mode=755") },
		func() error { return unix.Mount("proc", "/proc", "proc", 0, "") },
		func() error { return unix.Mount("tmpfs", "/sys", "tmpfs", 0, "") },
		func() error { return os.MkdirAll("/sys/fs/cgroup", 0o755) },
		func() error { return unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, "") },
		func() error { return os.MkdirAll(place+"/state", 0o755) },
	}
	for _, dir := range []string{"/work", "/fixed", "/tmp"} {
		steps = append(steps,
			func() error { return os.MkdirAll(root+dir, 0o755) },
			func() error { return os.MkdirAll(stage+dir, 0o755) },
			func() error { return os.WriteFile(stage+dir+"/file", []byte("of the host\n"), 0o666) },
			func() error { return chmod(0o777, stage+dir, stage+dir+"/file") },
			func() error { return unix.Mount(stage+dir, root+dir, "", unix.MS_BIND, "") },
		)
	}
	steps = append(steps, func() error {
		return unix.Mount("", root+"/fixed", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	})
	if busybox {
		steps = append(steps,
			func() error { return os.Mkdir(root+"/bin", 0o755) },
			func() error { return exec.Command("cp", "/bin/busybox", root+"/bin/busybox").Run() },
		)
		for _, applet := range strings.Fields("sh echo cat grep tr uname id stat mv ln rm mkdir mkfifo") {
			steps = append(steps, func() error { return os.Symlink("busybox", root+"/bin/"+applet) })
		}
	}
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func chmod(mode os.FileMode, names ...string) error {
	for _, name := range names {
		if err := os.Chmod(name, mode); err != nil {
			return err
		}
	}
	return nil
}

// specification is that of a container as Kavach's gvisor backend writes it.
func specification(args []string) *specs.Spec {
	s := &specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{
			User: specs.User{UID: inside, GID: inside}, Args: args, Cwd: "/", NoNewPrivileges: true,
			Env: []string{"PATH=/bin"}, Capabilities: &specs.LinuxCapabilities{},
		},
		Root: &specs.Root{Path: "rootfs"},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/sys", Type: "tmpfs", Source: "tmpfs", Options: []string{"ro", "size=4k"}},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.IPCNamespace},
			{Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
		}},
	}
	if lone, _ := os.ReadFile("/proc/self/uid_map"); strings.Fields(string(lone))[2] == "1" {
		one := []specs.LinuxIDMapping{{ContainerID: inside, HostID: inside, Size: 1}}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings, s.Linux.GIDMappings = one, one
	}
	return s
}

// finish waits for a keeper's outcome, which is its last line, and returns what
// was printed before.
func finish(t *testing.T, cmd *exec.Cmd, out io.Reader) (printed string, o outcome) {
	t.Helper()
	const patience = time.Minute // a runtime that hangs; no time is asserted
	hung := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer hung.Stop()
	all, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(all)), "\n")
	last := lines[len(lines)-1]
	if err := json.Unmarshal([]byte(last), &o); err != nil {
		t.Fatalf("no outcome in %q: %v", all, err)
	}
	return strings.TrimSpace(strings.Join(lines[:len(lines)-1], "\n")), o
}
