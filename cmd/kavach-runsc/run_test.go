package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/kavach-dev/kavach/cmd/kavach-runsc/internal/confine"
)

var closed = []string{"--network=sandbox", "--ignore-cgroups", "--overlay2=none", "--directfs=false"}

// A container is started in a keeper, as root and as an ordinary user alike.
func TestRun(t *testing.T) {
	loopback := append([]string{"--network=none"}, closed[1:]...)
	for _, c := range []struct {
		why    string
		flags  []string
		script string
		want   string
	}{
		{"another kernel answers", closed, "uname -v | grep -c Jan", "1"},
		{"the user is that of the specification, mapped or not", closed, "id -u; id -g", "1000\n1000"},
		{"the root is the bundle's", closed, "cd /; echo *", "bin dev fixed proc sys tmp work"},
		{"a mount in the root is seen, and can be written to", closed, "cat /work/file; echo mine >/work/new; stat -c %u /work/new", "of the host\n1000"},
		{"one that is read-only cannot be", closed, "echo mine 2>&- >/fixed/new || echo refused; cat /fixed/file", "refused\nof the host"},
		{"files can be moved, linked and removed", closed, "cd /work; mkdir d; echo a >b; mv b d/b; ln d/b c; ln -s c e; mkfifo f; cat e; rm -r d c e f; echo *", "a\nfile"},
		{"no capability", closed, "grep CapEff /proc/self/status | tr -d '\t'", "CapEff:0000000000000000"},
		{"no interface where loopback is down outside", closed, "grep -c lo: /proc/net/dev", "0"},
		{"loopback where it was asked for", loopback, "grep -c lo: /proc/net/dev", "1"},
		{"nothing of the machine in /sys", closed, "echo /sys/*", "/sys/*"},
		{"the descriptor that was passed", closed, "echo over it >&3", ""},
		{"an exit status", closed, "exit 3", ""},
	} {
		t.Run(c.why, func(t *testing.T) {
			j := job{Runsc: program(t), Flags: c.flags, Args: []string{"/bin/sh", "-c", c.script}}
			keeper, channel, out := startKeeper(t, j)
			printed, o := finish(t, keeper, out)
			if printed != c.want {
				t.Errorf("%s: printed %q, want %q\n%s", c.script, printed, c.want, o.Log)
			}
			if strings.Contains(c.script, ">&3") {
				if got, _ := bufio.NewReader(channel).ReadString('\n'); got != "over it\n" {
					t.Errorf("over the channel came %q", got)
				}
			}
			if strings.HasPrefix(c.script, "exit") != (o.Exit == 3) {
				t.Errorf("%s: exit status %d", c.script, o.Exit)
			}
		})
	}
}

// The first program comes by descriptor, from memory that nobody can write to: the
// image has none.
func TestSealedProgram(t *testing.T) {
	j := job{Runsc: program(t), Flags: closed, Sealed: program(t), Args: []string{"/proc/self/fd/4", "--version"}}
	keeper, _, out := startKeeper(t, j)
	if printed, o := finish(t, keeper, out); !strings.HasPrefix(printed, "kavach-runsc version v0") || o.Exit != 0 {
		t.Errorf("printed %q, exit status %d\n%s", printed, o.Exit, o.Log)
	}
}

// Every platform that needs no device runs something.
func TestPlatforms(t *testing.T) {
	for _, platform := range []string{"systrap", "ptrace"} {
		j := job{Runsc: program(t), Flags: append([]string{"--platform=" + platform}, closed...), Args: []string{"/bin/echo", "it runs"}}
		keeper, _, out := startKeeper(t, j)
		if printed, o := finish(t, keeper, out); printed != "it runs" || o.Exit != 0 {
			t.Errorf("%s: printed %q, exit status %d\n%s", platform, printed, o.Exit, o.Log)
		}
	}
}

// What a container's processes are confined by is told in the log, and seen from
// outside.
func TestConfinement(t *testing.T) {
	j := job{Runsc: program(t), Flags: closed, Args: []string{"/bin/sh", "-c", "read x <&3"}, Detach: true}
	keeper, channel, out := startKeeper(t, j)
	lines := bufio.NewReader(out)
	var o outcome
	for o.Status == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(line), &o) // an empty line is none
	}
	for _, process := range []string{"sentry", "gofer"} {
		r := reportOf(t, process, o.Log)
		if r.Landlock != confine.ABI() || (r.Landlock >= 4 && len(r.Refused) != 2) {
			t.Errorf("%s: %+v, on a kernel with Landlock %d", process, r, confine.ABI())
		}
	}
	for _, c := range []struct{ process, want string }{
		{"runsc-sandbox", "CapEff:\t0000000000000000"},
		{"runsc-sandbox", "CapBnd:\t0000000000000000"},
		{"runsc-sandbox", "NoNewPrivs:\t1"},
		{"runsc-sandbox", "Seccomp:\t2"},
		{"runsc-gofer", "CapEff:\t000000000004001f"},
		{"runsc-gofer", "NoNewPrivs:\t1"},
		{"runsc-gofer", "Seccomp:\t2"},
	} {
		_, status, ok := strings.Cut(o.Status, "process "+c.process+"\n")
		status, _, _ = strings.Cut(status, "process ")
		if !ok || !slices.Contains(strings.Split(status, "\n"), c.want) {
			t.Errorf("%s has no %q:\n%s", c.process, c.want, status)
		}
	}
	// The container ends with its first process, and all else with that.
	channel.Close()
	if err := keeper.Wait(); err != nil {
		t.Errorf("the keeper, which waits for all its children: %v", err)
	}
}

func reportOf(t *testing.T, process, log string) (r confine.Report) {
	t.Helper()
	for line := range strings.Lines(log) {
		if err := json.Unmarshal([]byte(line), &r); err == nil && r.Process == process {
			return r
		}
	}
	t.Errorf("no report of the %s in the log: %s", process, log)
	return confine.Report{}
}

// With its keeper, all of a sandbox ends at once.
func TestKeeperKilled(t *testing.T) {
	j := job{Runsc: program(t), Flags: closed, Args: []string{"/bin/sh", "-c", "echo up >&3; read x <&3"}, Detach: true}
	keeper, channel, _ := startKeeper(t, j)
	if got, err := bufio.NewReader(channel).ReadString('\n'); got != "up\n" {
		t.Fatalf("over the channel came %q, %v", got, err)
	}
	if err := keeper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The end of the channel is open in the sentry, and in nobody else.
	if n, err := channel.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v, from a sandbox that was killed", n, err)
	}
}

// A sentry that is not in its domain does not serve: the same attempts get
// through there.
func TestUnconfinedSentryStops(t *testing.T) {
	if confine.ABI() == 0 {
		t.Fatal("this kernel has no Landlock")
	}
	const refusal = "the sentry is not confined"
	for _, c := range []struct {
		why string
		env []string
		is  bool
	}{
		{"it says that it has been confined, and has not", []string{"KAVACH_RUNSC_ENTERED=1"}, true},
		{"it has been", []string{}, false},
	} {
		cmd := exec.Command(program(t), "--directfs=false", "--network=none", "boot", "--setup-root=false", "test")
		cmd.Env = c.env
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%s: it ended well, without a specification", c.why)
		}
		if strings.Contains(string(out), refusal) != c.is {
			t.Errorf("%s: %q", c.why, out)
		}
	}
}

// Nor does one that was started without the root directory that gVisor builds.
func TestSentryWithoutRootStops(t *testing.T) {
	out, err := exec.Command(program(t), "--directfs=false", "--network=none", "boot", "test").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "a root directory of its own") {
		t.Errorf("%v, %q", err, out)
	}
}

// What weakens the confinement is refused, with what to do; TestRun has what is not.
func TestRefusedFlags(t *testing.T) {
	for _, c := range []struct{ flag, want string }{
		{"--directfs=true", "give --directfs=false"},
		{"--rootless", "leave it out"},
		{"--network=host", "use none or sandbox"},
		{"--profile", "leave it out"},
		{"--TESTONLY-unsafe-nonroot", "leave it out"},
		{"--allow-flag-override", "leave it out"},
		{"--host-uds=open", "leave it out"},
		{"--host-fifo=open", "leave it out"},
		{"--character-device-policy=passthrough", "leave it out"},
	} {
		flags := append(slices.Clone(closed), c.flag)
		j := job{Runsc: program(t), Flags: flags, Args: []string{"/bin/echo", "it runs"}}
		keeper, _, out := startKeeper(t, j)
		if printed, o := finish(t, keeper, out); o.Exit == 0 || !strings.Contains(printed, c.want) {
			t.Errorf("%s: exit status %d, %q", c.flag, o.Exit, printed)
		}
		sentry := exec.CommandContext(t.Context(), program(t), append(flags, "boot", "--setup-root=false", "test")...)
		if out, err := sentry.CombinedOutput(); err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s, of a sentry: %v, %q", c.flag, err, out)
		}
	}
}

// A user namespace is made where the one of the specification asks for an id that
// is not there; one that cannot be made is an error, not another sandbox.
func TestMustNest(t *testing.T) {
	id := func(inside, outside, size uint32) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: inside, HostID: outside, Size: size}}
	}
	spec := func(m []specs.LinuxIDMapping) *specs.Spec {
		return &specs.Spec{Linux: &specs.Linux{
			Namespaces:  []specs.LinuxNamespace{{Type: specs.UserNamespace}},
			UIDMappings: m, GIDMappings: m,
		}}
	}
	root := os.Geteuid() == 0
	for _, c := range []struct {
		why     string
		spec    *specs.Spec
		needed  bool
		refused bool
	}{
		{"no user namespace", &specs.Spec{Linux: &specs.Linux{}}, false, false},
		{"one id, which is not there", spec(id(inside, inside, 1)), root, false},
		{"one id that is another there, uid 0 inside", spec(id(0, inside, 1)), root, false},
		{"one id that is root's outside", spec(id(inside, 0, 1)), false, root},
		{"many", spec(id(inside, inside, 2)), false, root},
		{"none", spec(nil), false, root},
	} {
		got, needed, err := mustNest(c.spec)
		if needed != c.needed || (err != nil) != c.refused {
			t.Errorf("%s: needed is %v, error %v", c.why, needed, err)
		}
		if needed && got != (owner{inside, inside}) {
			t.Errorf("%s: owner is %+v", c.why, got)
		}
	}
}

func TestVersion(t *testing.T) {
	out, err := exec.Command(program(t), "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "kavach-runsc version v0.0.0-") {
		t.Errorf("%q, %v", out, err)
	}
}
