package seccomp

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// loaded is a program as the kernel would get it; nil: none.
func loaded(t testing.TB, b []byte) []Instruction {
	t.Helper()
	if b == nil {
		return nil
	}
	p, err := Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newFilters(t testing.TB, c Config) *Filters {
	t.Helper()
	if c.Arch == "" {
		c.Arch = here.Arch
	}
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// calls runs do for each call of a machine with many arguments.
func calls(m machine, words []uint64, do func(c syscall, d data)) {
	for _, c := range m.calls {
		for range 100 {
			d := data{nr: c.nr, arch: m.audit}
			for i := range d.args {
				d.args[i] = words[rand.IntN(len(words))]
			}
			do(c, d)
		}
	}
}

// The guard has nothing that a profile lets pass, so that the profiles need it
// not beside them.
func TestProfilesHoldWhatTheGuardHolds(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		m, _ := machineOf(arch)
		g := guardList(m, retAllow)
		words := interesting()
		for _, in := range []profiles{inDefault, inStrict} {
			l := listOf(in, m)
			calls(m, words, func(c syscall, d data) {
				i := slices.Index(m.calls, c)
				if !passes(g.calls[i].eval(d.args)) && passes(l.calls[i].eval(d.args)) {
					t.Fatalf("%s: the guard refuses %s%#x, and a profile does not", arch, c.name, d.args)
				}
			})
		}
	}
}

func TestGuard(t *testing.T) {
	m, _ := machineOf("amd64")
	g := guardList(m, retErrno|errENOSYS)
	for _, row := range []struct {
		call string
		args [6]uint64
		ok   bool
	}{
		{"prlimit64", [6]uint64{0, 4, pointer}, false},
		{"prlimit64", [6]uint64{77, high | 4, pointer}, false},
		{"prlimit64", [6]uint64{0, 4, 0, pointer}, true},
		{"prlimit64", [6]uint64{77, 7, pointer}, true},
		{"setrlimit", [6]uint64{high | 4, pointer}, false},
		{"ioctl", [6]uint64{0, high | tiocsti}, false},
		{"ioctl", [6]uint64{0, 0x5413}, true},
		{"keyctl", [6]uint64{}, false},
		{"add_key", [6]uint64{}, false},
		{"request_key", [6]uint64{}, false},
		{"socket", [6]uint64{high | afVsock, 1}, false},
		{"socket", [6]uint64{afQipcrtr, 2}, false},
		{"socket", [6]uint64{38, 5}, true},
		{"mount", [6]uint64{}, true},
	} {
		i := slices.IndexFunc(m.calls, func(c syscall) bool { return c.name == row.call })
		if got := passes(g.calls[i].eval(row.args)); got != row.ok {
			t.Errorf("%s%#x passes the guard: %v", row.call, row.args[:3], got)
		}
	}
}

// With files, what the guest's filter says never hides from the listener what
// the filter of commands asks it: of both answers the lower one counts.
func TestStackedFiltersTellTheListener(t *testing.T) {
	m, _ := machineOf(here.Arch)
	dock := read(t, dockerProfile(t), here)
	for _, profile := range []string{"strict", "default", off} {
		f := newFilters(t, Config{Profile: profile, Files: []*File{dock}})
		outer, inner := newVM(t, loaded(t, f.Guest)), newVM(t, loaded(t, f.Command))
		all := f.combined()
		asked := 0
		calls(m, interesting(), func(c syscall, d data) {
			want := notify(all.calls[slices.Index(m.calls, c)].eval(d.args))
			if want == retUserNotif {
				asked++
			}
			if got := stricter(inner.run(t, d), outer.run(t, d)); got != want {
				t.Fatalf("%s: %s%#x: %#x, want %#x", profile, c.name, d.args, got, want)
			}
		})
		if asked == 0 {
			t.Errorf("%s: the listener is never asked", profile)
		}
		if got := outer.run(t, data{nr: numberOf(t, m, "seccomp"), arch: m.audit}); got != retAllow {
			t.Errorf("%s: the guest may not install the second filter: %#x", profile, got)
		}
		for _, v := range []vm{outer, inner} {
			if got := v.run(t, data{nr: 20, arch: auditI386}); got != retKillProcess {
				t.Errorf("%s: i386 is answered %#x", profile, got)
			}
		}
	}
}

func TestEveryProfileStartsCommands(t *testing.T) {
	dock := read(t, dockerProfile(t), here)
	for _, l := range []list{listOf(inStrict, mustMachine(t)), listOf(inDefault, mustMachine(t)), guardList(mustMachine(t), retAllow), dock.list} {
		if err := (&Filters{machine: mustMachine(t)}).mustStart([]*File{{Name: "x", list: l}}); err != nil {
			t.Error(err)
		}
	}
	few := read(t, profile(allowRead), here)
	_, err := New(Config{Arch: here.Arch, Profile: off, Files: []*File{few}})
	if err == nil || !strings.Contains(err.Error(), "p.json: it refuses what Kavach starts commands with: clone futex") {
		t.Errorf("a profile with read alone: %v", err)
	}
}

func mustMachine(t *testing.T) machine {
	t.Helper()
	m, err := machineOf(here.Arch)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLog(t *testing.T) {
	m := mustMachine(t)
	dock := read(t, dockerProfile(t), here)
	for _, c := range []Config{{Profile: off}, {Profile: "default"}, {}, {Profile: off, Files: []*File{dock}}} {
		c.Arch, c.Log = here.Arch, true
		f := newFilters(t, c)
		outer, inner := newVM(t, loaded(t, f.Guest)), newVM(t, loaded(t, f.Command))
		names := []string{"strict", "default"}
		var judges []vm
		for i, j := range f.Judges {
			judges = append(judges, newVM(t, loaded(t, j.Program)))
			if i < len(names) && j.Name != names[i] {
				t.Errorf("judge %d is %s", i, j.Name)
			}
		}
		if len(judges) != len(names)+len(c.Files) {
			t.Fatalf("%d judges", len(judges))
		}
		guards := guardList(m, retAllow)
		calls(m, interesting(), func(call syscall, d data) {
			want := uint32(retAllow)
			for _, j := range judges {
				if !passes(j.run(t, d)) {
					want = retUserNotif
				}
			}
			if !passes(guards.calls[slices.Index(m.calls, call)].eval(d.args)) {
				want = retUserNotif // and the listener refuses it
				if judge := newVM(t, loaded(t, f.Guard)); judge.run(t, d) != retErrno|errEPERM {
					t.Fatalf("%s%#x: the listener's guard lets it pass", call.name, d.args)
				}
			}
			if got := stricter(inner.run(t, d), outer.run(t, d)); got != want {
				t.Fatalf("%s%#x: %#x, want %#x", call.name, d.args, got, want)
			}
		})
		for nr, want := range map[uint32]uint32{5000: retUserNotif, x32 | 39: retErrno | errENOSYS} {
			if got := stricter(inner.run(t, data{nr: nr, arch: m.audit}), outer.run(t, data{nr: nr, arch: m.audit})); got != want {
				t.Errorf("number %#x: %#x, want %#x", nr, got, want)
			}
		}
		if got := stricter(inner.run(t, data{arch: auditI386}), retAllow); got != retKillProcess {
			t.Errorf("i386 is answered %#x", got)
		}
	}
}

func TestFiltersOfNothing(t *testing.T) {
	f := newFilters(t, Config{Profile: off})
	if f.Guest != nil || f.Command != nil || f.AllowList {
		t.Errorf("off makes filters: %+v", f)
	}
	if f := newFilters(t, Config{Profile: "strict"}); f.Command != nil || f.Guest == nil || !f.AllowList || f.Kills {
		t.Errorf("strict alone: command %v, allow-list %v, kills %v", f.Command != nil, f.AllowList, f.Kills)
	}
	opens := read(t, `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["bpf"], "action": "SCMP_ACT_KILL"}]}`, here)
	if f := newFilters(t, Config{Profile: off, Files: []*File{opens}}); f.AllowList || !f.Kills {
		t.Errorf("a deny-list: allow-list %v, kills %v", f.AllowList, f.Kills)
	}
	if f := newFilters(t, Config{Profile: "default", Files: []*File{opens}}); !f.AllowList || !f.Kills {
		t.Errorf("a deny-list beside default: allow-list %v, kills %v", f.AllowList, f.Kills)
	}
	if _, err := New(Config{Arch: here.Arch, Profile: "none"}); err == nil {
		t.Error("any name is a profile")
	}
}

func TestRefusedBy(t *testing.T) {
	file := read(t, profile(allowRead), here)
	f := &Filters{machine: mustMachine(t)}
	if err := f.gather(Config{Profile: "default", Files: []*File{file}}); err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]string{"bpf": "seccomp.default, seccomp p.json", "write": "seccomp p.json", "read": "", "clone3": "seccomp p.json", "syscall_9": ""} {
		if got := f.RefusedBy(call); got != want {
			t.Errorf("%s is refused by %q, want %q", call, got, want)
		}
	}
}

func BenchmarkDocker(b *testing.B) {
	text := []byte(dockerProfile(b))
	b.ReportAllocs()
	for b.Loop() {
		file, err := ReadFile("docker.json", text, here)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := New(Config{Arch: here.Arch, Profile: off, Files: []*File{file}}); err != nil {
			b.Fatal(err)
		}
	}
}

// A sandbox that writes to the host's own files makes none of them setuid,
// whatever its profile, and in a log as well.
func TestNoSetIDInEveryFilter(t *testing.T) {
	m := mustMachine(t)
	dock := read(t, dockerProfile(t), here)
	for _, c := range []Config{{}, {Profile: off, Files: []*File{dock}}, {Files: []*File{dock}}, {Log: true}, {Profile: off, Log: true}} {
		c.Arch, c.NoSetID = here.Arch, true
		f := newFilters(t, c)
		for _, row := range []struct {
			call    string
			args    arguments
			refused bool
		}{
			{"fchmod", arguments{3, 0o4755}, true}, {"fchmod", arguments{3, 0o755}, false},
			{"openat", arguments{3, pointer, oCreat, 0o2755}, true}, {"openat", arguments{3, pointer, 0, 0o2755}, false},
		} {
			d := data{nr: numberOf(t, m, row.call), arch: m.audit, args: row.args}
			got := newVM(t, loaded(t, f.Guest)).run(t, d)
			if f.Command != nil {
				got = stricter(newVM(t, loaded(t, f.Command)).run(t, d), got)
			}
			if (got != retAllow) != row.refused || c.Log && got == retUserNotif {
				t.Errorf("%+v: %s%o: %#x", c, row.call, row.args[:4], got)
			}
		}
		d := data{nr: numberOf(t, m, "openat2"), arch: m.audit}
		program := f.Guest
		if f.Command != nil {
			program = f.Command
		}
		if got := newVM(t, loaded(t, program)).run(t, d); got != retErrno|errENOSYS {
			t.Errorf("%+v: openat2: %#x, want ENOSYS", c, got)
		}
	}
}
