package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	docker "github.com/moby/profiles/seccomp"
	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// profileFile writes a profile for a test.
func profileFile(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// dockerFile is Docker's own profile, but for what change does to its text.
func dockerFile(t testing.TB, change func(string) string) string {
	t.Helper()
	b, err := json.Marshal(docker.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if change != nil {
		if text = change(text); text == string(b) {
			t.Fatal("nothing was changed")
		}
	}
	return profileFile(t, text)
}

// rest is a profile that lets pass what rules do not name, but not what the
// proof tries.
func rest(rules string) string {
	return `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["io_uring_setup", "bpf", "perf_event_open", "userfaultfd", "setns"], "action": "SCMP_ACT_ERRNO"}, ` + rules + `]}`
}

// under makes a sandbox of the strict preset with other filters, and with the
// directory of the attack program.
func under(t testing.TB, s policy.Seccomp) (*kavach.Sandbox, error) {
	t.Helper()
	p := strict(t)
	p.Filesystem.Mounts = []policy.Mount{{Source: filepath.Dir(testbin.Attack(t))}}
	p.Seccomp = s
	return runtimeOf(testbin.Kavach(t)).Create(t.Context(), kavach.Config{Policy: p, Backend: Name})
}

func mustUnder(t testing.TB, s policy.Seccomp) *kavach.Sandbox {
	t.Helper()
	sb, err := under(t, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sb.Destroy(t.Context()); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	return sb
}

// link is a program that makes one call, symlink or symlinkat.
var link = []string{"ln", "-s", "to", "/tmp/link"}

const linkNames = `"names": ["symlink", "symlinkat"]`

func TestSeccompFiles(t *testing.T) {
	errno := func(n int) string {
		return fmt.Sprintf(`{%s, "action": "SCMP_ACT_ERRNO", "errnoRet": %d}`, linkNames, n)
	}
	act := func(action string) string { return `{` + linkNames + `, "action": "SCMP_ACT_` + action + `"}` }
	for _, row := range []struct {
		why     string
		profile string
		files   []string
		stderr  string
		signal  syscall.Signal
		denied  string // by which rule, in short
	}{
		{"it is allowed", policy.Off, []string{rest(act("ALLOW"))}, "", 0, ""},
		{"it is logged by the kernel", policy.Off, []string{rest(act("LOG"))}, "", 0, ""},
		{"EPERM is told", policy.Off, []string{rest(act("ERRNO"))}, "Operation not permitted", 0, "seccomp 0"},
		{"another errno is plain", policy.Off, []string{rest(errno(28))}, "No space left on device", 0, ""},
		{"killed", policy.Off, []string{rest(act("KILL_PROCESS"))}, "", syscall.SIGSYS, ""},
		{"killed as a thread, of which there is one", policy.Off, []string{rest(act("KILL"))}, "", syscall.SIGSYS, ""},
		{"trapped", policy.Off, []string{rest(act("TRAP"))}, "", syscall.SIGSYS, ""},
		{"beside a profile of ours", policy.SeccompDefault, []string{rest(act("ERRNO"))}, "Operation not permitted", 0, "seccomp 0"},
		{"beside the zero profile", "", []string{rest(act("ERRNO"))}, "Operation not permitted", 0, "seccomp 0"},
		{"the strictest of two", policy.Off, []string{rest(errno(28)), rest(act("KILL_PROCESS"))}, "", syscall.SIGSYS, ""},
		{"the first errno of two", policy.Off, []string{rest(errno(28)), rest(act("ERRNO"))}, "No space left on device", 0, ""},
		{"an argument that does not hold", policy.Off, []string{rest(`{` + linkNames + `, "action": "SCMP_ACT_ERRNO",
			"args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]}`)}, "", 0, ""},
		{"an argument that holds", policy.Off, []string{rest(`{` + linkNames + `, "action": "SCMP_ACT_ERRNO",
			"args": [{"index": 0, "value": 4096, "op": "SCMP_CMP_GT"}]}`)}, "Operation not permitted", 0, "seccomp 0"},
	} {
		t.Run(row.why, func(t *testing.T) {
			s := policy.Seccomp{Profile: row.profile}
			for _, text := range row.files {
				s.Files = append(s.Files, profileFile(t, text))
			}
			res := runIn(t, mustUnder(t, s), link...)
			ok := row.stderr == "" && row.signal == 0
			if (res.ExitCode == 0) != ok || res.Signal != row.signal || !strings.Contains(string(res.Stderr), row.stderr) {
				t.Errorf("exit %d, %v, %s", res.ExitCode, res.Signal, res.Stderr)
			}
			var rules []string
			for _, d := range res.Denials {
				if strings.HasPrefix(d.Target, "symlink") {
					rules = append(rules, d.Rule)
				}
			}
			want := []string(nil)
			if row.denied != "" {
				want = []string{"seccomp " + s.Files[0]}
			}
			if !slices.Equal(rules, want) {
				t.Errorf("denied by %q, want %q", rules, want)
			}
		})
	}
}

func seccompLine(sb *kavach.Sandbox) score.Line {
	for _, l := range sb.Score().Controls {
		if l.Name == policy.SeccompOn {
			return l
		}
	}
	return score.Line{}
}

// What the control is worth is what was seen, not what a file is called.
func TestSeccompScore(t *testing.T) {
	const allow = `{"names": ["io_uring_setup"], "action": "SCMP_ACT_ALLOW"}`
	for _, row := range []struct {
		why     string
		seccomp policy.Seccomp
		state   backend.State
		words   []string
	}{
		{"our own", policy.Seccomp{}, backend.Enforced, []string{"Seccomp 2, Seccomp_filters 1", "bpf: EPERM"}},
		{"Docker's", policy.Seccomp{Profile: policy.Off, Files: []string{dockerFile(t, nil)}}, backend.Enforced, []string{"Seccomp_filters 2", "setns: EPERM"}},
		{"Docker's beside our own", policy.Seccomp{Files: []string{dockerFile(t, nil)}}, backend.Enforced, []string{"Seccomp_filters 2"}},
		{"Docker's, killing", policy.Seccomp{Profile: policy.Off, Files: []string{dockerFile(t, func(s string) string {
			return strings.Replace(s, `"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1`, `"defaultAction":"SCMP_ACT_KILL_PROCESS"`, 1)
		})}}, backend.Enforced, []string{"bpf: killed", "io_uring_setup: killed"}},
		{"Docker's with one hole", policy.Seccomp{Profile: policy.Off, Files: []string{dockerFile(t, func(s string) string {
			return strings.Replace(s, `"syscalls":[`, `"syscalls":[`+allow+`,`, 1)
		})}}, backend.Partial, []string{"io_uring_setup: EFAULT, the kernel's own answer"}},
		{"a hole that our own closes", policy.Seccomp{Profile: policy.SeccompDefault, Files: []string{dockerFile(t, func(s string) string {
			return strings.Replace(s, `"syscalls":[`, `"syscalls":[`+allow+`,`, 1)
		})}}, backend.Enforced, nil},
		{"a list of what is refused", policy.Seccomp{Profile: policy.Off, Files: []string{profileFile(t, rest(allow))}}, backend.Partial, []string{"lets pass what it does not list"}},
		{"a log", policy.Seccomp{Mode: policy.SeccompLog}, backend.Missing, []string{"let pass"}},
		{"none", policy.Seccomp{Profile: policy.Off}, backend.Missing, []string{"no filter"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			line := seccompLine(mustUnder(t, row.seccomp))
			if line.State != row.state {
				t.Errorf("it is %s, want %s: %s", line.State, row.state, line.Proof)
			}
			for _, words := range row.words {
				if !strings.Contains(line.Proof, words) {
					t.Errorf("%q does not say %q", line.Proof, words)
				}
			}
		})
	}
	_, err := under(t, policy.Seccomp{Profile: policy.Off, Files: []string{profileFile(t, `{"defaultAction": "SCMP_ACT_ALLOW"}`)}})
	var unsupported *backend.UnsupportedError
	if !errors.As(err, &unsupported) || unsupported.Control != policy.SeccompOn {
		t.Errorf("a profile that refuses nothing: %v, want that seccomp is missing", err)
	}
}

func TestSeccompFilesRefused(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, name := range map[string]string{
		"no such file":           filepath.Join(dir, "nothing"),
		"not a regular file":     fifo,
		"it is not a regular":    dir,
		"larger than":            profileFile(t, strings.Repeat(" ", seccomp.MaxFile+1)),
		":2:3: unknown key":      profileFile(t, "{\n  \"default\": 1}"),
		"starts commands with":   profileFile(t, `{"defaultAction": "SCMP_ACT_ERRNO"}`),
		"the kernel takes 4096":  profileFile(t, long()),
		"no SCMP_ACT_NOTIFY":     profileFile(t, `{"defaultAction": "SCMP_ACT_NOTIFY"}`),
		"not valid JSON: unexpe": profileFile(t, `{`),
	} {
		sb, err := under(t, policy.Seccomp{Profile: policy.Off, Files: []string{name}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) && want != "the kernel takes 4096" {
			t.Errorf("%v, want %q of %s", err, want, name)
		}
		if sb != nil {
			_ = sb.Destroy(t.Context())
		}
	}
}

// long is a profile that makes too long a filter.
func long() string {
	var rules []string
	for i := range 2000 {
		rules = append(rules, fmt.Sprintf(`{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": %d, "op": "SCMP_CMP_EQ"}]}`, i<<33|i))
	}
	return rest(strings.Join(rules, ","))
}

// What other layers rely on is refused where a file decides alone; the twins,
// without any filter, get through.
func TestSeccompGuard(t *testing.T) {
	attack := testbin.Attack(t)
	guarded := mustUnder(t, policy.Seccomp{Profile: policy.Off, Files: []string{profileFile(t, rest(`{"names": ["quotactl"], "action": "SCMP_ACT_ERRNO"}`))}})
	bare := mustUnder(t, policy.Seccomp{Profile: policy.Off})
	const sti = `import fcntl, os; m, s = os.openpty(); fcntl.ioctl(s, 0x5412, b"x")`
	for _, row := range []struct {
		why  string
		args []string
		twin bool // it gets through where there is no filter
	}{
		{"keys of the caller's session", []string{attack, "call", "keyctl"}, true},
		{"keys of the caller's session", []string{attack, "call", "add_key"}, true},
		{"the limit of cores", []string{"sh", "-c", "ulimit -c 0"}, true},
		{"the limit of cores, by prlimit", []string{"prlimit", "--core=0", "true"}, true},
		{"typing on a terminal", []string{"/usr/bin/python3", "-c", sti}, false}, // not one's own controlling terminal
		{"AF_VSOCK", []string{"/usr/bin/python3", "-c", `import errno, socket
try: socket.socket(40, 1)
except OSError as e: exit(e.errno == errno.EPERM)`}, true},
	} {
		if res := runIn(t, guarded, row.args...); res.ExitCode == 0 {
			t.Errorf("%s: %v gets through: %s", row.why, row.args, res.Stdout)
		}
		if res := runIn(t, bare, row.args...); row.twin && res.ExitCode != 0 {
			t.Errorf("%s: %v does not get through without a filter: %s%s", row.why, row.args, res.Stdout, res.Stderr)
		}
	}
}

func TestSeccompLog(t *testing.T) {
	attack := testbin.Attack(t)
	calls := []string{attack, "call", "shmget", "bpf"}
	enforced := runIn(t, mustUnder(t, policy.Seccomp{}), calls...)
	if enforced.ExitCode != 1 || len(enforced.Needed) != 0 || len(enforced.Denials) != 2 {
		t.Errorf("enforced: exit %d, needed %+v, denials %+v", enforced.ExitCode, enforced.Needed, enforced.Denials)
	}
	file := profileFile(t, rest(`{"names": ["shmget"], "action": "SCMP_ACT_KILL_PROCESS"}`))
	sb := mustUnder(t, policy.Seccomp{Profile: policy.Off, Files: []string{file}, Mode: policy.SeccompLog})
	res := runIn(t, sb, calls...)
	if res.ExitCode != 0 || len(res.Denials) != 0 {
		t.Errorf("logged: exit %d, %s, denials %+v", res.ExitCode, res.Stdout, res.Denials)
	}
	want := map[string][]string{"shmget": {"strict", file}, "bpf": {"strict", "default", file}}
	for _, n := range res.Needed {
		if by, ok := want[n.Call]; ok && slices.Equal(by, n.RefusedBy) && n.Count == 1 {
			delete(want, n.Call)
		} else if len(n.RefusedBy) > 0 {
			t.Errorf("%+v was not needed", n)
		}
	}
	if len(want) > 0 {
		t.Errorf("not logged: %v of %+v", want, res.Needed)
	}

	// What is ENOSYS for libraries is there, and told apart.
	res = runIn(t, sb, attack, "call", "clone3")
	if res.ExitCode != 0 || len(res.Needed) != 1 || res.Needed[0].Call != "clone3" ||
		!slices.Equal(res.Needed[0].AbsentFrom, []string{"strict", "default"}) || len(res.Needed[0].RefusedBy) != 0 {
		t.Errorf("clone3: exit %d %s, needed %+v", res.ExitCode, res.Stdout, res.Needed)
	}

	// A log refuses what the guard refuses, and code of another architecture.
	for _, args := range [][]string{{attack, "call", "keyctl"}, {"sh", "-c", "ulimit -c 0"}} {
		if res := runIn(t, sb, args...); res.ExitCode == 0 || len(res.Needed) == 0 {
			t.Errorf("%v gets through a log: needed %+v", args, res.Needed)
		}
	}
	if res := runIn(t, sb, attack, "int80"); res.ExitCode == 0 {
		t.Errorf("i386 gets through a log: %s", res.Stdout)
	}
}

// storm makes refused calls, many of them, while signals come as fast as they
// can. A signal that comes before the listener has taken the call makes it EINTR,
// and uncounted.
const storm = `
import ctypes, os, signal
libc, refused = ctypes.CDLL(None, use_errno=True), 0
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while refused < 2000:
    if libc.unshare(0x20000) != -1 or ctypes.get_errno() not in (1, 4): os._exit(9)
    refused += ctypes.get_errno() == 1
print("done")
`

// Each refused call is counted once, whatever interrupts it; and who does
// nothing else keeps nobody from anything.
func TestSeccompStorm(t *testing.T) {
	sb := mustUnder(t, policy.Seccomp{})
	res := runIn(t, sb, "/usr/bin/python3", "-c", storm)
	if string(res.Stdout) != "done\n" {
		t.Fatalf("exit %d: %s", res.ExitCode, res.Stderr)
	}
	if len(res.Denials) != 1 || res.Denials[0].Target != "unshare" || res.Denials[0].Count != 2000 {
		t.Errorf("denials %+v, want unshare 2000 times", res.Denials)
	}

	// Threads, and a child in a session of its own, are their command's.
	const many = `
import ctypes, os, threading
libc = ctypes.CDLL(None)
work = lambda: [libc.unshare(0x20000) for _ in range(50)]
ts = [threading.Thread(target=work) for _ in range(4)]
for t in ts: t.start()
for t in ts: t.join()
if os.fork() == 0: os.setsid(); work(); os._exit(0)
os.wait()
`
	res = runIn(t, sb, "/usr/bin/python3", "-c", many)
	if res.ExitCode != 0 || len(res.Denials) != 1 || res.Denials[0].Count != 250 {
		t.Errorf("exit %d, denials %+v, want unshare 250 times", res.ExitCode, res.Denials)
	}

	// Four daemons, which are in no command's session, at it for ever.
	const forever = `
import ctypes, os, signal
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        while True: ctypes.CDLL(None).unshare(0x20000)
signal.pause()
`
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"/usr/bin/python3", "-c", forever}})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if res := runIn(t, sb, "sh", "-c", "echo a | cat"); string(res.Stdout) != "a\n" {
			t.Fatalf("beside the storm: exit %d %s", res.ExitCode, res.Stderr)
		}
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// A thread of the guest without a filter would lend what it may do to all.
func TestSeccompEveryThread(t *testing.T) {
	for _, s := range []policy.Seccomp{
		{Profile: policy.Off, Files: []string{dockerFile(t, nil)}}, {Files: []string{dockerFile(t, nil)}}, {Mode: policy.SeccompLog},
	} {
		sb := mustUnder(t, s)
		runIn(t, sb, "true")
		record, ok := recordOf(t, sb.ID())
		if !ok {
			t.Fatal("no record")
		}
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", record.Guest))
		if err != nil || len(tasks) < 2 {
			t.Fatalf("%d threads, %v", len(tasks), err)
		}
		launchers := 0
		for _, file := range tasks {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(b), "Seccomp:\t2\n") {
				t.Errorf("%s: no filter:\n%s", file, b)
			}
			if strings.Contains(string(b), "Seccomp_filters:\t2\n") {
				launchers++
			}
		}
		if launchers != 1 {
			t.Errorf("%d threads have the filter of commands, want the launcher", launchers)
		}
	}
}
