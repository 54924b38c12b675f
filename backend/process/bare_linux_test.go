//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// bareEnvVar says that this process is on a machine that refuses namespaces.
const bareEnvVar = "KAVACH_TEST_BARE"

// TestWithoutNamespaces runs the tests TestBare… as on machines that refuse what
// namespaces take.
func TestWithoutNamespaces(t *testing.T) {
	refusals := []testbin.Refusal{testbin.RefuseUserNS, testbin.RefusePower}
	if os.Geteuid() == 0 {
		refusals = append(refusals, testbin.RefuseContainer)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refusals {
		t.Run(string(r), func(t *testing.T) {
			cmd := testbin.Refusing(t, r, self, "-test.run=^TestBare", "-test.v", "-test.timeout=5m")
			cmd.Env = append(cmd.Env, bareEnvVar+"=1", testbin.EnvKavach+"="+testbin.Kavach(t), testbin.EnvAttack+"="+testbin.Attack(t))
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestBareRows") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// refused reports whether this process is where namespaces are refused, which
// the tests below are for.
func refused(t *testing.T) bool {
	t.Helper()
	if os.Getenv(bareEnvVar) == "" {
		t.Log("run by TestWithoutNamespaces")
		return false
	}
	const needed = 3 // ABI, Linux 6.2
	if guest.LandlockABI() >= needed {
		return true
	}
	var unsupported *backend.UnsupportedError
	if _, err := createWith(t, &Backend{Guest: testbin.Kavach(t)}, barePolicy(t, "")); !errors.As(err, &unsupported) || !strings.Contains(unsupported.Reason, "Landlock") {
		t.Errorf("Landlock ABI %d does not restrict truncation, and the tier is not refused for it: %v", guest.LandlockABI(), err)
	}
	return false
}

// bareEnv is what an attempt works with.
type bareEnv struct {
	*testing.T
	sandbox     *kavach.Sandbox
	dir, secret string
}

func (e *bareEnv) run(args ...string) *kavach.Result {
	e.Helper()
	res, err := e.sandbox.Run(e.Context(), kavach.Cmd{Args: args, Env: []string{"KAVACH_ATTACK_TWIN=1"}})
	if err != nil {
		e.Fatalf("run %v: %v", args, err)
	}
	return res
}

// sh reports whether a shell could do something.
func (e *bareEnv) sh(script string) (bool, string) {
	res := e.run("/bin/sh", "-c", script)
	return res.ExitCode == 0 && res.Signal == 0, string(res.Stdout) + string(res.Stderr)
}

func (e *bareEnv) attack(args ...string) (bool, string) {
	res := e.run(append([]string{e.dir + "/attack"}, args...)...)
	if res.ExitCode > 1 {
		e.Fatalf("attack %v: exit %d: %s", args, res.ExitCode, res.Stderr)
	}
	return res.ExitCode == 0 && res.Signal == 0, string(res.Stdout) + string(res.Stderr)
}

// barePolicy lets all that namespaces are be missing.
func barePolicy(t *testing.T, dir string) policy.Policy {
	p := strict(t)
	p.BestEffort = append(p.BestEffort, policy.Namespaces)
	p.Resources.Timeout = policy.Duration(2 * time.Minute)
	if dir != "" {
		p.Filesystem.Mounts = []policy.Mount{{Source: dir}}
	}
	return p
}

func newBare(t *testing.T, without ...policy.Control) *bareEnv {
	t.Helper()
	base, err := filepath.EvalSymlinks(testbin.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	e := &bareEnv{T: t, dir: filepath.Join(base, "work"), secret: filepath.Join(base, "secret")}
	program, err := os.ReadFile(testbin.Attack(t))
	if err := errors.Join(err, os.Mkdir(e.dir, 0o755), os.WriteFile(filepath.Join(e.dir, "attack"), program, 0o755),
		os.WriteFile(e.secret, []byte("the host's secret"), 0o644), os.WriteFile(filepath.Join(e.dir, "shared"), []byte("before"), 0o666),
		os.Chmod(filepath.Join(e.dir, "shared"), 0o666), os.Mkdir(filepath.Join(base, "open"), 0o777), os.Chmod(filepath.Join(base, "open"), 0o777)); err != nil {
		t.Fatal(err)
	}
	p := barePolicy(t, e.dir)
	if without != nil {
		p.BestEffort = policy.Controls()
	}
	if e.sandbox, err = createWith(t, &Backend{Guest: testbin.Kavach(t), without: without}, p); err != nil {
		t.Fatal(err)
	}
	return e
}

// listen answers on a socket of the host.
func listen(t *testing.T, network, address string) string {
	t.Helper()
	answer := func(c net.Conn) {
		_, _ = c.Write([]byte("pong")) // who asked may be gone
		c.Close()
	}
	if network == "udp" {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			for buf := make([]byte, 16); ; {
				_, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				_, _ = c.WriteTo([]byte("pong"), from)
			}
		}()
		return c.LocalAddr().String()
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answer(c)
		}
	}()
	return l.Addr().String()
}

var (
	byLandlock = []policy.Control{policy.LandlockOn}
	byFilter   = []policy.Control{policy.SeccompOn}
	byBoth     = []policy.Control{policy.LandlockOn, policy.SeccompOn}
)

// bareRows are what must hold without namespaces, with what holds it.
var bareRows = []struct {
	name    string
	without []policy.Control // the twin's
	noTwin  string           // why there is none
	ofUser  bool             // the twin needs the uid of the host's processes, so not root
	try     func(e *bareEnv) (through bool, seen string)
}{
	{"read a file that was not named", byLandlock, "", false, func(e *bareEnv) (bool, string) {
		return e.attack("read", e.secret, "the host's secret")
	}},
	{"list a directory that was not named", byLandlock, "", false, func(e *bareEnv) (bool, string) {
		return e.attack("holds", filepath.Dir(e.dir))
	}},
	{"write a file of a mount", byLandlock, "", false, func(e *bareEnv) (bool, string) {
		return e.attack("write", e.dir+"/shared", "changed")
	}},
	{"truncate a file of a mount", byLandlock, "", false, func(e *bareEnv) (bool, string) {
		return e.sh(": >" + e.dir + "/shared")
	}},
	{"make a file where everybody may", byLandlock, "", false, func(e *bareEnv) (bool, string) {
		return e.sh("echo x >" + filepath.Dir(e.dir) + "/open/new")
	}},
	{"make a file in the host's /tmp", byLandlock, "", false, func(e *bareEnv) (bool, string) {
		name := fmt.Sprintf("/tmp/kavach-bare-%d", os.Getpid())
		e.Cleanup(func() { os.Remove(name) })
		return e.sh("echo x >" + name)
	}},
	{"change the mode of a file of one's own", byFilter, "", false, func(e *bareEnv) (bool, string) {
		return e.sh(`echo >"$TMPDIR/x" && chmod 600 "$TMPDIR/x"`)
	}},
	{"change the times of a file of one's own", byFilter, "", false, func(e *bareEnv) (bool, string) {
		return e.sh(`echo >"$TMPDIR/x" && touch -d 2001-01-01 "$TMPDIR/x"`)
	}},
	{"connect by TCP", byBoth, "", false, func(e *bareEnv) (bool, string) {
		return e.attack("dial", "tcp", listen(e.T, "tcp", "127.0.0.1:0"))
	}},
	{"connect by MPTCP, which Landlock does not look at", byFilter, "", false, func(e *bareEnv) (bool, string) {
		return e.attack("dial", "mptcp", listen(e.T, "tcp", "127.0.0.1:0"))
	}},
	{"send by UDP, which Landlock does not look at", byFilter, "", false, func(e *bareEnv) (bool, string) {
		return e.attack("dial", "udp", listen(e.T, "udp", "127.0.0.1:0"))
	}},
	{"connect to an abstract socket", byBoth, "", false, func(e *bareEnv) (bool, string) {
		name := fmt.Sprintf("@kavach-bare-%d-%s", os.Getpid(), filepath.Base(filepath.Dir(e.dir)))
		return e.attack("dial", "unix", listen(e.T, "unix", name))
	}},
	{"connect to a socket in a mount", byFilter, "", false, func(e *bareEnv) (bool, string) {
		path := listen(e.T, "unix", filepath.Join(e.dir, "s"))
		if err := os.Chmod(path, 0o777); err != nil {
			e.Fatal(err)
		}
		return e.attack("dial", "unix", path)
	}},
	{"read the environment of a process of the host", byLandlock, "", true, func(e *bareEnv) (bool, string) {
		return e.sh(fmt.Sprintf("grep -q PATH /proc/%d/environ", hostProcess(e.T)))
	}},
	{"read the command line of a process of the host", byLandlock, "", false, func(e *bareEnv) (bool, string) {
		return e.sh(fmt.Sprintf("grep -q sleep /proc/%d/cmdline", hostProcess(e.T)))
	}},
	{"signal a process of the host", byLandlock, "", true, func(e *bareEnv) (bool, string) {
		return e.sh(fmt.Sprintf("kill -9 %d", hostProcess(e.T)))
	}},
	{"signal everybody", byLandlock, "it would be everybody", false, func(e *bareEnv) (bool, string) {
		pid := hostProcess(e.T)
		_, seen := e.sh("kill -9 -1")
		return unix.Kill(pid, 0) != nil, seen
	}},
	{"kill the guest", byBoth, "", false, func(e *bareEnv) (bool, string) { return e.killsGuest(guestOf(e.T, e.sandbox)) }},
	{"kill the guest by its launcher, which is in the domain", byFilter, "", false, func(e *bareEnv) (bool, string) {
		return e.killsGuest(launcherOf(e.T, e.sandbox))
	}},
	{"read the memory of the guest", byLandlock, "the guest is not dumpable, whatever Landlock says", false, func(e *bareEnv) (bool, string) {
		return e.sh(fmt.Sprintf("head -c 1 /proc/%d/mem", guestOf(e.T, e.sandbox)))
	}},
	{"inherit a variable", []policy.Control{policy.EnvClean}, "", false, func(e *bareEnv) (bool, string) {
		return e.sh("test -n \"$" + bareEnvVar + "\"")
	}},
	{"make System V shared memory", byFilter, "", false, func(e *bareEnv) (bool, string) { return e.attack("call", "shmget") }},
	{"make a user namespace", byFilter, "this machine refuses it as well", false, func(e *bareEnv) (bool, string) {
		return e.sh("unshare -U true")
	}},
	{"write more than one file may hold", []policy.Control{policy.Limits}, "", false, func(e *bareEnv) (bool, string) {
		return e.sh(`head -c 80m /dev/zero >"$TMPDIR/big"`)
	}},
}

// hostProcess starts a process of the host.
func hostProcess(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have been killed
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func guestOf(t *testing.T, sb *kavach.Sandbox) int {
	t.Helper()
	r, ok := recordOf(t, sb.ID())
	if !ok {
		t.Fatal("no record")
	}
	return r.Guest
}

// launcherOf finds the thread of the guest whose filter list is that of commands
// and which has children.
func launcherOf(t *testing.T, sb *kavach.Sandbox) int {
	t.Helper()
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"/bin/sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = p.Signal(syscall.SIGKILL) // it may have ended
		_, _ = p.Wait(context.Background())
	}()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", guestOf(t, sb)))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tasks {
		if b, _ := os.ReadFile(file); len(strings.TrimSpace(string(b))) > 0 {
			tid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			return tid
		}
	}
	t.Fatal("no thread of the guest has a child")
	return 0
}

// killsGuest reports whether the sandbox ends when a command kills that task.
func (e *bareEnv) killsGuest(task int) (bool, string) {
	e.Helper()
	var out strings.Builder
	p, err := e.sandbox.Start(e.Context(), kavach.Cmd{Args: []string{"/bin/sh", "-c", fmt.Sprintf("kill -9 %d; sleep 0.1", task)}, Stderr: &out})
	if err == nil {
		_, err = p.Wait(e.Context())
	}
	if err == nil {
		_, err = e.sandbox.Run(e.Context(), kavach.Cmd{Args: []string{"/bin/true"}})
	}
	return err != nil, fmt.Sprint(out.String(), err)
}

// TestBareRows: each attempt fails, and gets through without what holds it.
func TestBareRows(t *testing.T) {
	if !refused(t) {
		return
	}
	for _, row := range bareRows {
		t.Run(row.name, func(t *testing.T) {
			if through, seen := row.try(newBare(t)); through {
				t.Errorf("it got through: %s", seen)
			} else {
				t.Log(seen)
			}
			if row.noTwin != "" || row.ofUser && os.Geteuid() == 0 {
				t.Log("no twin:", row.noTwin, "(or: commands have no process of the host for their user's)")
				return
			}
			if through, seen := row.try(newBare(t, row.without...)); !through {
				t.Errorf("without %v it fails as well, so the row proves nothing: %s", row.without, seen)
			}
		})
	}
}
