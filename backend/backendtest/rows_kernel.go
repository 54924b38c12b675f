//go:build linux

package backendtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/policy"
)

// seccompOnly are calls that the kernel would answer to anybody, and to whom it
// would answer something else than EPERM: the filter alone refuses them.
var (
	seccompOnly = []policy.Control{policy.SeccompOn}

	// unprivileged is what stands in the way of calls that want a capability of
	// the host's root: an ordinary user has none to leave on.
	unprivileged = []policy.Control{policy.SeccompOn, policy.CapsNone, policy.NSUser}
)

// kernelRows are CONTAINMENT 43 to 46.
var kernelRows = append([]Row{
	refusedCall(43, "io_uring_setup", "requests in a ring are no system calls, and pass by a filter", seccompOnly),
	refusedCall(43, "io_uring_enter", "a ring that came from elsewhere is as good as one's own", seccompOnly),
	refusedCall(43, "io_uring_register", "a ring that came from elsewhere is as good as one's own", seccompOnly),
	{
		Number: 43, Name: "io_uring_setup with a bit in the upper half of the number",
		Why:    "the kernel drops the upper half of the register, and a filter must as well (CVE-2019-10063 was that in an argument)",
		Layers: seccompOnly,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("upper")
		},
	},
	{
		Number: 44, Name: "a system call of i386 by int 0x80",
		Why:    "another architecture numbers its calls otherwise: a list of numbers means nothing there",
		Layers: seccompOnly,
		NoTwin: notAMD64,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("int80")
		},
	},
	{
		Number: 44, Name: "a system call of x32",
		Why:    "x32 reaches the same calls by numbers that are in no list",
		Layers: seccompOnly,
		NoTwin: noX32(),
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("x32")
		},
	},
	{
		Number: 45, Name: "out-of-band data over a local socket",
		Why:    "MSG_OOB on AF_UNIX was a way out of a sandbox (CVE-2025-38236)",
		Layers: seccompOnly,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("oob")
		},
	},
	{
		Number: 45, Name: "a program for the kernel on a socket",
		Why:    "classic BPF on a socket sprays the kernel's executable memory",
		Layers: seccompOnly,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("bpfsocket")
		},
	},
	everyThread("Seccomp", "2", seccompOnly, nil),
	everyThread("NoNewPrivs", "1", []policy.Control{policy.NoNewPrivs}, nil),
	everyThread("Seccomp", "2", seccompOnly, loopback),
	everyThread("NoNewPrivs", "1", []policy.Control{policy.NoNewPrivs}, loopback),
	everyThread("NoNewPrivs", "1", []policy.Control{policy.NoNewPrivs}, func(p *policy.Policy) { p.Seccomp.Profile = policy.Off }),
	everyThread("CapEff", "0000000000000000", []policy.Control{policy.CapsNone}, nil),
}, refusedCalls()...)

// refusedCalls are the calls of CONTAINMENT 45, and others that an attacker
// would try when those fail, each by itself.
func refusedCalls() []Row {
	var rows []Row
	for _, c := range []struct {
		call, why string
		layers    []policy.Control
	}{
		{"bpf", "programs in the kernel (CVE-2021-3490)", seccompOnly},
		{"perf_event_open", "probes in the kernel (CVE-2013-2094)", seccompOnly},
		{"userfaultfd", "stops the kernel at a page of choice, which makes races easy to win", seccompOnly},
		{"keyctl", "keys are not separated by namespaces (CVE-2016-0728)", seccompOnly},
		{"add_key", "keys are not separated by namespaces", seccompOnly},
		{"request_key", "keys are not separated, and a helper of the host is run", seccompOnly},
		{"init_module", "code for the kernel", unprivileged},
		{"finit_module", "code for the kernel", unprivileged},
		{"delete_module", "code of the kernel", unprivileged},
		{"kexec_load", "another kernel", unprivileged},
		{"kexec_file_load", "another kernel", unprivileged},
		{"modify_ldt", "segments of the processor (CVE-2017-17053)", seccompOnly},
		{"iopl", "ports of the processor", seccompOnly},
		{"ioperm", "ports of the processor", seccompOnly},

		{"setns", "other namespaces", seccompOnly},
		{"fanotify_init", "watches files of others", seccompOnly},
		{"fanotify_mark", "watches files of others", seccompOnly},
		{"kcmp", "tells where the kernel keeps things", seccompOnly},
		{"open_by_handle_at", "opens files past mounts and the root (Shocker, 2014)", unprivileged},
		{"mount_setattr", "takes a mount's read-only off", []policy.Control{policy.SeccompOn, policy.CapsNone}},
		{"reboot", "kills the PID namespace, or the machine", []policy.Control{policy.SeccompOn, policy.CapsNone}},
		{"syslog", "the kernel's log tells addresses", unprivileged},
		{"clock_adjtime", "clocks of the machine", seccompOnly},
		{"quotactl", "quota of the machine", seccompOnly},
		{"lsm_set_self_attr", "the security module's label", seccompOnly},

		{"set_mempolicy", "strict: NUMA (CVE-2022-34918 and others start from rare calls)", seccompOnly},
		{"move_pages", "strict: NUMA", seccompOnly},
		{"io_setup", "strict: asynchronous I/O of old", seccompOnly},
		{"vmsplice", "strict: pages of one's own in a pipe (CVE-2020-29374)", seccompOnly},
		{"shmget", "strict: System V IPC", seccompOnly},
		{"msgget", "strict: System V IPC (CVE-2021-22555 sprayed with it)", seccompOnly},
		{"mq_open", "strict: POSIX message queues (CVE-2017-11176)", seccompOnly},
		{"personality", "strict: READ_IMPLIES_EXEC and others", seccompOnly},
		{"seccomp", "strict: a second filter hides what the first refuses", seccompOnly},
		{"memfd_secret", "strict: pages that the kernel itself does not see", seccompOnly},
		{"cachestat", "strict: the page cache tells what others do", seccompOnly},
		{"prctl-seccomp", "strict: a second filter by the older way", seccompOnly},
		{"prctl-core", "strict: takes the processor's siblings from others", seccompOnly},
		{"clone3", "namespace flags that a filter cannot see; ENOSYS makes libraries call clone", seccompOnly},
	} {
		if notAMD64 != "" && (c.call == "modify_ldt" || c.call == "iopl" || c.call == "ioperm") {
			continue
		}
		rows = append(rows, refusedCall(45, c.call, c.why, c.layers))
	}
	return rows
}

func refusedCall(number int, name, why string, layers []policy.Control) Row {
	return Row{
		Number: number, Name: "the system call " + name, Why: why, Layers: layers,
		RootTwin: len(layers) > 2, // the namespace of its own that an ordinary user needs is one of them
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("call", name)
		},
	}
}

// notAMD64 says why int 0x80 has no twin here.
var notAMD64 = func() string {
	if runtime.GOARCH == "amd64" {
		return ""
	}
	return "only amd64 has int 0x80"
}()

// noX32 asks the kernel, by a call that does nothing, whether it has x32.
func noX32() string {
	if notAMD64 != "" {
		return "only amd64 has x32"
	}
	const bit, getpid = 0x4000_0000, 39
	if _, _, errno := unix.RawSyscall(bit|getpid, 0, 0, 0); errno == unix.ENOSYS {
		return "this kernel is built without x32, and answers as the filter does"
	}
	return ""
}

// everyThread looks from the host at each thread of the guest and of all that it
// started, and gets through where one of them is without what field says.
func everyThread(field, want string, layers []policy.Control, change func(*policy.Policy)) Row {
	name := field + " of each thread"
	if change != nil {
		var p policy.Policy
		change(&p)
		name += map[bool]string{true: ", with a network", false: ", without a filter"}[p.Network.Loopback]
	}
	return Row{
		Number: 46, Name: name, Layers: layers, Policy: change,
		Why: "a thread without the filter lends what it may do to all others (an agent's sandbox lost its filter where network was allowed)",
		Attempt: func(e *Env) (bool, string) {
			const many = 4
			if _, ended := e.startIn(e.Sandbox, "ready", "threads", strconv.Itoa(many)); ended != nil {
				e.Fatalf("it ended: %+v", ended)
			}
			if e.inside {
				through, seen := e.Attack("each-status", field, want, strconv.Itoa(many+2)) // main thread, guest
				if through || field == "CapEff" {                                           // the gofer has some in the keeper's user namespace
					return through, seen
				}
			}
			checked := 0
			for _, pid := range processesOf(e, e.Sandbox.ID()) {
				tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
				if err != nil {
					e.Fatal(err)
				}
				for _, file := range tasks {
					b, err := os.ReadFile(file)
					if err != nil {
						continue // it has ended
					}
					checked++
					if got := statusField(string(b), field); got != want {
						return true, fmt.Sprintf("%s: %s is %q (%s)", file, field, got, statusField(string(b), "Name"))
					}
				}
			}
			if least := many + 3; checked < least { // main thread, child, guest
				e.Fatalf("only %d threads were there to look at", checked)
			}
			return false, fmt.Sprintf("%s is %s on each of %d threads", field, want, checked)
		},
	}
}

func statusField(status, field string) string {
	for _, line := range strings.Split(status, "\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// processesOf lists, as the host sees them, the guest of a sandbox and all that
// descends from it. An orphan inside becomes the guest's child.
func processesOf(e *Env, id string) []int {
	e.Helper()
	return innermost(descendants(e, id))
}

// descendants lists the first process of a sandbox on the host, and all that
// descends from it.
func descendants(e *Env, id string) []int {
	e.Helper()
	records, err := jail.List()
	if err != nil {
		e.Fatal(err)
	}
	var all []int
	for _, r := range records {
		if r.ID == id {
			all = append(all, r.Guest)
		}
	}
	if len(all) != 1 {
		e.Fatalf("%d records of sandbox %s", len(all), id)
	}
	for i := 0; i < len(all); i++ {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		if err != nil {
			e.Fatal(err)
		}
		for _, file := range files {
			b, _ := os.ReadFile(file) // it may have ended
			for _, f := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil {
					all = append(all, pid)
				}
			}
		}
	}
	return all
}

// innermost are those that are in the most PID namespaces: where a runtime was run
// in a jail, the processes of its container.
func innermost(pids []int) []int {
	deepest := 0
	at := make(map[int]int)
	for _, pid := range pids {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
		at[pid] = len(strings.Fields(statusField(string(b), "NSpid")))
		deepest = max(deepest, at[pid])
	}
	return slices.DeleteFunc(pids, func(pid int) bool { return at[pid] < deepest })
}
