package seccomp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	docker "github.com/moby/profiles/seccomp"
)

var here = Machine{Arch: "amd64", Kernel: "6.18.4-test"}

// read reads a profile that must be right.
func read(t testing.TB, text string, on Machine) *File {
	t.Helper()
	f, err := ReadFile("p.json", []byte(text), on)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// says is what a profile, compiled, answers to a call.
func says(t testing.TB, f *File, call string, args ...uint64) uint32 {
	t.Helper()
	m, _ := machineOf(here.Arch)
	p, err := compile(f.list, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := data{arch: m.audit, nr: numberOf(t, m, call)}
	copy(d.args[:], args)
	return newVM(t, p).run(t, d)
}

func numberOf(t testing.TB, m machine, call string) uint32 {
	t.Helper()
	i := slices.IndexFunc(m.calls, func(c syscall) bool { return c.name == call })
	if i < 0 {
		t.Fatalf("there is no call %s", call)
	}
	return m.calls[i].nr
}

// profile is one with a default of ERRNO and these rules.
func profile(rules string) string {
	return `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [` + rules + `]}`
}

const allowRead = `{"names": ["read"], "action": "SCMP_ACT_ALLOW"}`

func TestReadFileRefuses(t *testing.T) {
	rule := func(more string) string {
		return profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", ` + more + `}`)
	}
	arg := func(cond string) string { return rule(`"args": [` + cond + `]`) }
	for _, row := range []struct{ text, want, why string }{
		{``, "p.json:1:1: not valid JSON", "nothing"},
		{`{"defaultAction": "SCMP_ACT_ERRNO",}`, "p.json:1:36: not valid JSON", "a comma too many"},
		{`{"defaultAction": "SCMP_ACT_ERRNO"} {}`, "not valid JSON", "two values"},
		{`[]`, "expected an object, found a list", "no object"},
		{`null`, "expected an object, found null", "null would be no rules"},
		{`{}`, "there is no defaultAction", "the zero value of defaultAction would kill"},
		{`{"defaultAction": "ERRNO"}`, `1:19: unknown action text "ERRNO"`, "an action in other words"},
		{`{"defaultAction": "SCMP_ACT_ALOW"}`, `did you mean "SCMP_ACT_ALLOW"?`, "a slip"},
		{`{"defaultAction": "SCMP_ACT_TRACE"}`, "no tracer", "nobody to ask"},
		{`{"defaultAction": "SCMP_ACT_NOTIFY"}`, "Kavach's own", "nobody to ask"},
		{`{"defaultaction": "SCMP_ACT_ALLOW"}`, `unknown key "defaultaction"; did you mean "defaultAction"?`, "keys have one spelling"},
		{`{"linux": {"seccomp": {}}}`, "linux.seccomp", "the whole configuration"},
		{"{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n \"defaultAction\": \"SCMP_ACT_ALLOW\"}", `2:2: "defaultAction" is there twice`, "which of them is meant?"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}`, "only SCMP_ACT_ERRNO has an errno", "an errno for nothing"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}`, "from 0 to 4095", "MAX_ERRNO"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1}`, "from 0 to 4095, found the number -1", "a negative errno"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["x86_64"]}`, "SCMP_ARCH_X86_64", "an architecture in other words"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]}`, "both there", "as with docker"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}`, "unknown flag", "a flag of the kernel, not of the format"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/run/l.sock"}`, "leave it out", "the listener is ours"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": {}}`, "expected a list, found an object", "rules are a list"},
		{profile(`null`), "expected an object, found null", "a rule that is none"},
		{profile(`{"action": "SCMP_ACT_ALLOW"}`), "a rule without names", "would be for nothing"},
		{profile(`{"names": [], "action": "SCMP_ACT_ALLOW"}`), "a rule without names", "would be for nothing"},
		{profile(`{"names": [""], "action": "SCMP_ACT_ALLOW"}`), "a name is empty", "would be for nothing"},
		{profile(`{"names": ["read"]}`), "a rule without an action", "the zero value would kill"},
		{profile(`{"name": "read", "names": ["write"], "action": "SCMP_ACT_ALLOW"}`), "both there", "as with docker"},
		{profile(`{"names": "read", "action": "SCMP_ACT_ALLOW"}`), `expected a list, found text "read"`, "one name without a list"},
		{rule(`"errnoRet": 1`), "only SCMP_ACT_ERRNO", "an errno for nothing"},
		{rule(`"arg": []`), `unknown key "arg"; did you mean "args"?`, "a restriction that would be lost"},
		{rule(`"includes": {"minkernel": "4.8"}`), "minKernel", "a condition that would be lost"},
		{rule(`"includes": {"minKernel": "new"}`), "minKernel", "no version"},
		{rule(`"excludes": {"cap": ["CAP_SYS_ADMIN"]}`), "unknown key", "a condition that would be lost"},
		{arg(`{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}`), "from 0 to 5", "there are six arguments"},
		{arg(`{"value": 0, "op": "SCMP_CMP_EQ"}`), "needs index and op", "which argument?"},
		{arg(`{"index": 0, "value": 0}`), "needs index and op", "which comparison?"},
		{arg(`{"index": 0, "value": 0, "op": "=="}`), "unknown operator", "another language"},
		{arg(`{"index": 0, "value": 1e3, "op": "SCMP_CMP_EQ"}`), "whole number", "a float is not exact"},
		{arg(`{"index": 0, "value": 18446744073709551616, "op": "SCMP_CMP_EQ"}`), "whole number", "65 bits"},
		{arg(`{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}`), "never holds", "bits outside of the mask"},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested deeper", "depth is bounded"},
		{strings.Repeat(" ", MaxFile+1), "larger than", "size is bounded"},
		{profile(strings.Repeat(allowRead+",", maxRules) + allowRead), "more than 4096 rules", "rules are bounded"},
	} {
		_, err := ReadFile("p.json", []byte(row.text), here)
		var file *FileError
		if !errors.As(err, &file) || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want a *FileError with %q", row.why, err, row.want)
		}
	}
	for _, on := range []Machine{{Arch: "mips", Kernel: "6.1"}, {Arch: "amd64", Kernel: "six"}} {
		if _, err := ReadFile("p.json", []byte(profile("")), on); err == nil {
			t.Errorf("%+v is a machine", on)
		}
	}
}

func TestActions(t *testing.T) {
	for action, want := range map[string]uint32{
		"SCMP_ACT_ALLOW": retAllow, "SCMP_ACT_LOG": retLog, "SCMP_ACT_TRAP": retTrap,
		"SCMP_ACT_KILL": retKillThread, "SCMP_ACT_KILL_THREAD": retKillThread, "SCMP_ACT_KILL_PROCESS": retKillProcess,
		"SCMP_ACT_ERRNO": retErrno | 1, `SCMP_ACT_ERRNO", "errnoRet": 38, "comment": "`: retErrno | 38,
		`SCMP_ACT_ERRNO", "errnoRet": 0, "comment": "`: retErrno,
	} {
		f := read(t, profile(`{"names": ["read"], "action": "`+action+`"}`), here)
		if got := says(t, f, "read"); got != want {
			t.Errorf("%s answers %#x, want %#x", action, got, want)
		}
		if got := says(t, f, "write"); got != retErrno|1 {
			t.Errorf("what is not listed answers %#x", got)
		}
		if kills := action == "SCMP_ACT_TRAP" || strings.HasPrefix(action, "SCMP_ACT_KILL"); f.kills != kills {
			t.Errorf("%s: kills is %v", action, f.kills)
		}
	}
	f := read(t, `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13}`, here)
	if got := says(t, f, "read"); got != retErrno|13 {
		t.Errorf("defaultErrnoRet 13 answers %#x", got)
	}
}

func TestOperators(t *testing.T) {
	const big = uint64(0x1234_5678_9abc_def0)
	for _, row := range []struct {
		op         string
		value, two uint64
		holds, not []uint64
	}{
		{"EQ", big, 0, []uint64{big}, []uint64{big ^ 1, big ^ 1<<63, big & low, 0}},
		{"NE", big, 0, []uint64{big ^ 1, big ^ 1<<32, 0, whole}, []uint64{big}},
		{"LT", big, 0, []uint64{0, big - 1, big & low, big - 1<<32}, []uint64{big, big + 1, whole, big + 1<<32}},
		{"LE", big, 0, []uint64{0, big, big - 1<<32 + 1}, []uint64{big + 1, whole, big + 1<<32 - 1}},
		{"GT", big, 0, []uint64{big + 1, big + 1<<32 - 1, whole}, []uint64{0, big, big - 1<<32 + 1}},
		{"GE", big, 0, []uint64{big, big + 1, whole}, []uint64{0, big - 1}},
		{"LE", whole, 0, []uint64{0, whole}, nil},
		{"GT", whole, 0, nil, []uint64{0, whole}},
		{"LT", 0, 0, nil, []uint64{0, whole}},
		{"GE", 0, 0, []uint64{0, whole}, nil},
		{"GT", low, 0, []uint64{1 << 32}, []uint64{low, 0}},
		{"MASKED_EQ", 0xff00, 0x1200, []uint64{0x1200, 0x12ff | 1<<40}, []uint64{0x1300, 0}},
		{"MASKED_EQ", 1<<63 | 1, 1 << 63, []uint64{1 << 63, 1<<63 | 2}, []uint64{1<<63 | 1, 0}},
		{"MASKED_EQ", 0, 0, []uint64{0, whole}, nil},
	} {
		for index := range 6 {
			f := read(t, profile(fmt.Sprintf(`{"names": ["read"], "action": "SCMP_ACT_ALLOW",
				"args": [{"index": %d, "value": %d, "valueTwo": %d, "op": "SCMP_CMP_%s"}]}`, index, row.value, row.two, row.op)), here)
			for _, v := range slices.Concat(row.holds, row.not) {
				var args [6]uint64
				args[index] = v
				want := uint32(retErrno | 1)
				if slices.Contains(row.holds, v) {
					want = retAllow
				}
				if got := says(t, f, "read", args[:]...); got != want {
					t.Errorf("argument %d %#x %s %#x, %#x: %#x, want %#x", index, v, row.op, row.value, row.two, got, want)
				}
			}
		}
	}
}

func TestRules(t *testing.T) {
	const eq = `{"index": %d, "value": %d, "op": "SCMP_CMP_EQ"}`
	arg := func(index, value int) string { return fmt.Sprintf(eq, index, value) }
	for _, row := range []struct {
		why, rules string
		args       []uint64
		want       uint32
	}{
		{"all conditions hold", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [` + arg(0, 1) + `,` + arg(1, 2) + `]}`, []uint64{1, 2}, retAllow},
		{"one does not", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [` + arg(0, 1) + `,` + arg(1, 2) + `]}`, []uint64{1, 3}, retErrno | 1},
		{"two on one argument are alternatives", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [` + arg(0, 1) + `,` + arg(0, 2) + `]}`, []uint64{2}, retAllow},
		{"the most restrictive counts, whatever the order", `{"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [` + arg(0, 1) + `]}`, []uint64{1}, retTrap},
		{"the most restrictive counts, the other way round", `{"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [` + arg(0, 1) + `]}, {"names": ["read"], "action": "SCMP_ACT_ALLOW"}`, []uint64{1}, retTrap},
		{"it counts only where it holds", `{"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [` + arg(0, 1) + `]}, {"names": ["read"], "action": "SCMP_ACT_ALLOW"}`, []uint64{2}, retAllow},
		{"KILL_PROCESS is below KILL_THREAD", `{"names": ["read"], "action": "SCMP_ACT_KILL"}, {"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS"}`, nil, retKillProcess},
		{"a rule as the default refuses what another allows", `{"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [` + arg(0, 1) + `]}`, []uint64{1}, retErrno | 1},
		{"name, as docker wrote of old", `{"name": "read", "action": "SCMP_ACT_ALLOW", "args": null}`, nil, retAllow},
		{"no capability is there to include", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}}`, nil, retErrno | 1},
		{"no capability is there to exclude", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}}`, nil, retAllow},
		{"this architecture", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64", "amd64"]}}`, nil, retAllow},
		{"another architecture", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}}`, nil, retErrno | 1},
		{"not this architecture", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}}`, nil, retErrno | 1},
		{"new enough", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.18"}}`, nil, retAllow},
		{"too old", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.19"}}`, nil, retErrno | 1},
		{"numbers, not text", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.9"}}`, nil, retAllow},
		{"too new", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}}`, nil, retErrno | 1},
		{"all conditions together", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8", "caps": ["CAP_BPF"]}}`, nil, retErrno | 1},
		{"nothing included", `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {}, "excludes": null, "comment": "x"}`, nil, retAllow},
	} {
		if got := says(t, read(t, profile(row.rules), here), "read", row.args...); got != row.want {
			t.Errorf("%s: %#x, want %#x", row.why, got, row.want)
		}
	}
}

func TestNotes(t *testing.T) {
	f := read(t, `{"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
		"syscalls": [{"names": ["read", "waitpid", "sendd"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}]}`, here)
	text := strings.Join(f.Notes, "\n")
	for _, want := range []string{"2 names are no system calls of amd64, and left out: sendd waitpid", "FLAG_LOG is not set", "p.json:3:59: args: conditions on one argument are alternatives"} {
		if !strings.Contains(text, want) {
			t.Errorf("the notes do not say %q:\n%s", want, text)
		}
	}
}

// What no file can bring back: other architectures, other ABIs, unknown numbers.
func TestFilesDoNotOpenOtherArchitectures(t *testing.T) {
	f := read(t, `{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}]}`, here)
	m, _ := machineOf("amd64")
	p, err := compile(f.list, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := newVM(t, p)
	for _, nr := range []uint32{0, 1, 20, 39} {
		if got := v.run(t, data{nr: nr, arch: auditI386}); got != retKillProcess {
			t.Errorf("call %d of i386 answers %#x", nr, got)
		}
		if got := v.run(t, data{nr: x32 | nr, arch: m.audit}); got != retErrno|errENOSYS {
			t.Errorf("call %d of x32 answers %#x", nr, got)
		}
	}
	if got := v.run(t, data{nr: 5000, arch: m.audit}); got != retErrno|errENOSYS {
		t.Errorf("call 5000 answers %#x", got)
	}
}

// randomProfile writes a profile with rules on few calls, so that they meet.
func randomProfile(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	acts := []string{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_LOG", "SCMP_ACT_TRAP"}
	var rules []string
	for range r.IntN(6) {
		var args []string
		for range r.IntN(3) {
			value := r.Uint64N(4) | r.Uint64N(2)<<32
			args = append(args, fmt.Sprintf(`{"index": %d, "value": %d, "valueTwo": %d, "op": "SCMP_CMP_%s"}`,
				r.IntN(2), value, value&r.Uint64(), pick("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")))
		}
		rules = append(rules, fmt.Sprintf(`{"names": ["%s"], "action": "%s", "args": [%s]}`,
			pick("read", "write", "close"), pick(acts...), strings.Join(args, ",")))
	}
	return fmt.Sprintf(`{"defaultAction": "%s", "syscalls": [%s]}`, pick(acts...), strings.Join(rules, ","))
}

// meaning is what a profile says, from its text alone.
func meaning(t testing.TB, text, call string, args [6]uint64) uint32 {
	t.Helper()
	var p struct {
		DefaultAction string
		Syscalls      []struct {
			Names  []string
			Action string
			Args   []struct {
				Index           int
				Value, ValueTwo uint64
				Op              string
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	order := []string{"SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG", "SCMP_ACT_ALLOW"}
	best := len(order)
	for _, s := range p.Syscalls {
		if !slices.Contains(s.Names, call) {
			continue
		}
		held, seen, twice := 0, map[int]bool{}, false
		for _, a := range s.Args {
			v := args[a.Index]
			ok := map[string]bool{
				"SCMP_CMP_NE": v != a.Value, "SCMP_CMP_EQ": v == a.Value, "SCMP_CMP_LT": v < a.Value, "SCMP_CMP_LE": v <= a.Value,
				"SCMP_CMP_GE": v >= a.Value, "SCMP_CMP_GT": v > a.Value, "SCMP_CMP_MASKED_EQ": v&a.Value == a.ValueTwo,
			}[a.Op]
			if ok {
				held++
			}
			twice = twice || seen[a.Index]
			seen[a.Index] = true
		}
		if held == len(s.Args) || twice && held > 0 {
			best = min(best, slices.Index(order, s.Action))
		}
	}
	action := p.DefaultAction
	if best < len(order) {
		action = order[best]
	}
	return actions[action]
}

func someArgs(r *rand.Rand) (args [6]uint64) {
	for i := range args {
		args[i] = r.Uint64N(5) | r.Uint64N(2)<<32
	}
	return args
}

// Any number of profiles answers as the strictest of them, compiled or not.
func TestProfilesMeanWhatTheySay(t *testing.T) {
	m, _ := machineOf(here.Arch)
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var texts []string
		var lists []list
		for range 1 + r.IntN(3) {
			texts = append(texts, randomProfile(r))
			lists = append(lists, read(t, texts[len(texts)-1], here).list)
		}
		program, err := compile(combine(lists...), m, nil)
		if err != nil {
			t.Fatal(err)
		}
		v := newVM(t, program)
		for range 60 {
			call := []string{"read", "write", "close", "open"}[r.IntN(4)]
			args := someArgs(r)
			want := uint32(retAllow)
			for _, text := range texts {
				want = stricter(want, meaning(t, text, call, args))
			}
			if got := v.run(t, data{nr: numberOf(t, m, call), arch: m.audit, args: args}); got != want {
				t.Fatalf("%s%#x: %#x, want %#x\n%s", call, args[:2], got, want, strings.Join(texts, "\n"))
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	var values, rules []string
	for i := range 1500 {
		values = append(values, fmt.Sprintf(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": %d, "op": "SCMP_CMP_EQ"}]}`, i<<40|i))
	}
	for i := range 60 {
		rules = append(rules, fmt.Sprintf(`{"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [{"index": 1, "value": %d, "op": "SCMP_CMP_NE"}]}`, i))
	}
	long, other := read(t, profile(strings.Join(values, ",")), here), read(t, profile(strings.Join(rules, ",")), here)
	for _, files := range [][]*File{{long}, {long, other}} {
		if _, err := New(Config{Arch: here.Arch, Profile: off, Log: true, Files: files}); err == nil || !strings.Contains(err.Error(), "the kernel takes") {
			t.Errorf("%d files: %v, want that it is too long", len(files), err)
		}
	}
	if _, err := New(Config{Arch: here.Arch, Files: make([]*File, maxFiles+1)}); err == nil {
		t.Error("any number of files is taken")
	}
}

// dockerProfile is Docker's own, of its own module.
func dockerProfile(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(docker.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDockerProfile(t *testing.T) {
	f := read(t, dockerProfile(t), here)
	if f.kills || f.opens {
		t.Errorf("kills %v, opens %v", f.kills, f.opens)
	}
	const eperm = retErrno | 1
	for _, row := range []struct {
		call string
		args []uint64
		want uint32
	}{
		{"read", nil, retAllow},
		{"openat2", nil, retAllow},
		{"ptrace", nil, retAllow}, // since Linux 4.8
		{"personality", []uint64{0x20000}, retAllow},
		{"personality", []uint64{0x400000}, eperm},
		{"clone", []uint64{17}, retAllow},
		{"clone", []uint64{0x1000_0000}, eperm},
		{"clone3", nil, retErrno | errENOSYS},
		{"unshare", nil, eperm},
		{"mount", nil, eperm},
		{"bpf", nil, eperm},
		{"io_uring_setup", nil, eperm},
		{"keyctl", nil, eperm},
		{"userfaultfd", nil, eperm},
		{"socket", []uint64{40}, eperm},
		{"socket", []uint64{2}, retAllow},
		{"arch_prctl", nil, retAllow},
		{"chroot", nil, eperm},
	} {
		if got := says(t, f, row.call, row.args...); got != row.want {
			t.Errorf("%s%#x: %#x, want %#x", row.call, row.args, got, row.want)
		}
	}
	arm, err := ReadFile("docker.json", []byte(dockerProfile(t)), Machine{Arch: "arm64", Kernel: "4.4"})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := machineOf("arm64")
	if d := arm.list.calls[slices.IndexFunc(m.calls, func(c syscall) bool { return c.name == "ptrace" })]; passes(d.eval([6]uint64{})) {
		t.Error("ptrace passes on a kernel that is too old for it")
	}
}

func FuzzReadFile(f *testing.F) {
	f.Add([]byte(dockerProfile(f)))
	for seed := range uint64(20) {
		f.Add([]byte(randomProfile(rand.New(rand.NewPCG(seed, 2)))))
	}
	f.Add([]byte(`{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [{"architecture": "SCMP_ARCH_X86"}], "flags": [], "listenerPath": ""}`))
	m, _ := machineOf(here.Arch)
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := ReadFile("p.json", text, here)
		if err != nil {
			var as *FileError
			if !errors.As(err, &as) || file != nil {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		program, err := compile(file.list, m, nil)
		if err != nil {
			return // too long
		}
		v := newVM(t, program)
		r := rand.New(rand.NewPCG(uint64(len(text)), 3))
		for range 50 {
			i, args := r.IntN(len(m.calls)), someArgs(r)
			if got, want := v.run(t, data{nr: m.calls[i].nr, arch: m.audit, args: args}), file.list.calls[i].eval(args); got != want {
				t.Fatalf("%s%#x: %#x, want %#x", m.calls[i].name, args, got, want)
			}
		}
	})
}
