package seccomp

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/policy"
)

// interesting are words at which rules change their mind, and neighbours.
func interesting() []uint64 {
	words := []uint64{0, 1, 2, 3, 10, 16, 0x80, 0xf, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff}
	for _, g := range allowed {
		for _, a := range g.when {
			for _, t := range a {
				words = append(words, t.mask, ^t.mask)
				for _, v := range t.values {
					words = append(words, v, v+1, v-1, v|sockTypeMask<<8)
				}
			}
		}
	}
	for _, w := range slices.Clone(words) {
		words = append(words, w|1<<32, w|1<<63, w<<32)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// numbers are all that may be a call and samples of those that may not.
func numbers() []uint32 {
	var nrs []uint32
	for nr := uint32(0); nr < 1024; nr++ {
		nrs = append(nrs, nr, nr|x32)
	}
	return append(nrs, 1<<16, 1<<29, x32-1, x32|1<<29, 1<<31, 1<<31|x32, ^uint32(0), ^uint32(0)-1)
}

const x32 = 0x4000_0000 // __X32_SYSCALL_BIT

// auditI386, auditARM: what int 0x80 on amd64, and a 32-bit program on arm64,
// are seen as (linux/audit.h).
const (
	auditI386 = 0x4000_0003
	auditARM  = 0x4000_0028
)

func TestEveryNumberAnswersAsTheTablesSay(t *testing.T) {
	each(t, commands, func(t *testing.T, f filter, m machine, program []Instruction) {
		v := newVM(t, program)
		for _, nr := range numbers() {
			for _, arch := range []uint32{m.audit, auditAMD64, auditARM64, auditI386, auditARM, 0, ^uint32(0)} {
				d := data{nr: nr, arch: arch}
				if got, want := v.run(t, d), model(f.in, f.arch, f.refusal, d); got != want {
					t.Errorf("%s (%#x) on %#x: %#x, want %#x", Name(f.arch, int(nr)), nr, arch, got, want)
				}
			}
		}
	})
}

func TestArgumentsAnswerAsTheTablesSay(t *testing.T) {
	words := interesting()
	each(t, commands, func(t *testing.T, f filter, m machine, program []Instruction) {
		v := newVM(t, program)
		for _, c := range m.calls {
			for range 500 {
				d := data{nr: c.nr, arch: m.audit, ip: rand.Uint64()}
				for i := range d.args {
					d.args[i] = words[rand.IntN(len(words))]
				}
				if got, want := v.run(t, d), model(f.in, f.arch, f.refusal, d); got != want {
					t.Fatalf("%s%#x: %#x, want %#x", c.name, d.args, got, want)
				}
			}
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add(uint32(16), uint32(auditAMD64), uint64(0), uint64(1<<32|tiocsti), uint64(0), uint64(0))
	f.Add(uint32(41), uint32(auditAMD64), uint64(afNetlink), uint64(3), uint64(1<<32), uint64(0))
	f.Add(uint32(261), uint32(auditARM64), uint64(0), uint64(2), uint64(1<<32), uint64(0))
	f.Add(uint32(x32|59), uint32(auditAMD64), uint64(0), uint64(0), uint64(0), uint64(0))
	var vms []vm
	all := filters()
	for _, one := range all {
		program, err := one.compile()
		if err != nil {
			f.Fatal(err)
		}
		vms = append(vms, newVM(f, program))
	}
	f.Fuzz(func(t *testing.T, nr, arch uint32, a0, a1, a2, a3 uint64) {
		d := data{nr: nr, arch: arch, args: [6]uint64{a0, a1, a2, a3}}
		for i, one := range all {
			if got, want := vms[i].run(t, d), model(one.in, one.arch, one.refusal, d); got != want {
				t.Errorf("%s: %s %+v: %#x, want %#x", one.name, Name(one.arch, int(nr)), d, got, want)
			}
		}
	})
}

func TestStrictIsAProperSubsetOfDefault(t *testing.T) {
	words := interesting()
	for _, arch := range []string{"amd64", "arm64"} {
		m, _ := machineOf(arch)
		fewer := 0
		for _, c := range m.calls {
			d := data{nr: c.nr, arch: m.audit}
			if model(inDefault, arch, 0, d) == retAllow && model(inStrict, arch, 0, d) != retAllow {
				fewer++
			}
			for range 200 {
				for i := range d.args {
					d.args[i] = words[rand.IntN(len(words))]
				}
				if model(inStrict, arch, 0, d) == retAllow && model(inDefault, arch, 0, d) != retAllow {
					t.Fatalf("%s: strict allows %s%#x, default does not", arch, c.name, d.args)
				}
			}
		}
		if fewer < 40 {
			t.Errorf("%s: strict refuses only %d calls that default allows", arch, fewer)
		}
	}
}

// A new call fails here until it is in a group, with a reason.
func TestEachCallIsInTheTablesOnce(t *testing.T) {
	known := map[string]bool{}
	for _, c := range slices.Concat(syscallsAMD64[:], syscallsARM64[:]) {
		known[c.name] = true
	}
	seen := map[string]profiles{}
	var isRefused []string
	for _, g := range allowed {
		if g.in == nowhere || g.absent {
			t.Errorf("group %q is allowed nowhere", g.why)
		}
	}
	for _, g := range refused {
		if g.in != nowhere || g.when != nil {
			t.Errorf("group %q is among the refused ones", g.why)
		}
		isRefused = append(isRefused, strings.Fields(g.calls)...)
	}
	for _, g := range slices.Concat(allowed[:], refused[:]) {
		for _, a := range g.when {
			if slices.ContainsFunc(a, func(t test) bool { return len(t.values) == 0 }) {
				t.Errorf("%q: a test compares with nothing", g.calls)
			}
		}
		if g.why == "" {
			t.Errorf("no reason given for %q", g.calls)
		}
		for name := range strings.FieldsSeq(g.calls) {
			if !known[name] {
				t.Errorf("%s is no call of any architecture", name)
			}
			if before, ok := seen[name]; ok && (before&g.in != 0 || slices.Contains(isRefused, name)) {
				t.Errorf("%s is in two groups", name)
			}
			seen[name] |= g.in
		}
	}
	for name := range known {
		if _, ok := seen[name]; !ok {
			t.Errorf("%s is in no group", name)
		}
	}
}

// The kernel keeps a bitmap of numbers that are allowed whatever the arguments
// are (seccomp_is_const_allow, Linux 5.11). It gives up where a program loads
// anything but number and architecture.
func TestPlainCallsAreInTheKernelsBitmap(t *testing.T) {
	each(t, commands, func(t *testing.T, f filter, m machine, program []Instruction) {
		conditional := map[string]bool{}
		for _, g := range allowed {
			if g.in&f.in != 0 && g.when != nil {
				for name := range strings.FieldsSeq(g.calls) {
					conditional[name] = true
				}
			}
		}
		plain := 0
		for _, c := range m.calls {
			d := data{nr: c.nr, arch: m.audit}
			if conditional[c.name] || model(f.in, f.arch, f.refusal, d) != retAllow {
				continue
			}
			plain++
			if steps, ok := constAllow(program, d); !ok || steps > 24 {
				t.Errorf("%s: in the bitmap: %v, after %d instructions", c.name, ok, steps)
			}
		}
		if len(conditional) > 20 || plain < 150 {
			t.Errorf("%d calls depend on arguments, %d do not", len(conditional), plain)
		}
	})
}

func constAllow(program []Instruction, d data) (steps int, ok bool) {
	var a uint32
	for pc := 0; pc < len(program); pc++ {
		steps++
		i := program[pc]
		skip := func(yes bool) {
			if yes {
				pc += int(i.JT)
			} else {
				pc += int(i.JF)
			}
		}
		switch {
		case i.Code == opLoad && i.K == offNumber:
			a = d.nr
		case i.Code == opLoad && i.K == offArch:
			a = d.arch
		case i.Code == opRet:
			return steps, i.K == retAllow
		case i.Code == opJump:
			pc += int(i.K)
		case i.Code == opJEq:
			skip(a == i.K)
		case i.Code == opJGe:
			skip(a >= i.K)
		default:
			return steps, false
		}
	}
	return steps, false
}

func TestProfileNames(t *testing.T) {
	o := Options{Arch: "amd64"}
	strict, err := Compile(policy.SeccompStrict, o)
	if err != nil {
		t.Fatal(err)
	}
	if zero, err := Compile("", o); err != nil || !slices.Equal(zero, strict) {
		t.Errorf("the zero profile is not strict: %v", err)
	}
	if dflt, err := Compile(policy.SeccompDefault, o); err != nil || slices.Equal(dflt, strict) {
		t.Errorf("default equals strict, or fails: %v", err)
	}
	for _, name := range []string{policy.Off, "Strict", "none"} {
		if p, err := Compile(name, o); err == nil || p != nil {
			t.Errorf("profile %q compiles", name)
		}
	}
	for _, arch := range []string{"", "386", "riscv64"} {
		if p, err := Compile("strict", Options{Arch: arch}); err == nil || p != nil {
			t.Errorf("architecture %q compiles", arch)
		}
	}
}

func TestName(t *testing.T) {
	for _, row := range []struct {
		arch string
		nr   int
		want string
	}{
		{"amd64", 0, "read"},
		{"arm64", 0, "io_setup"},
		{"amd64", 425, "io_uring_setup"},
		{"arm64", 117, "ptrace"},
		{"arm64", 244, "syscall_244"},
		{"amd64", 400, "syscall_400"},
		{"amd64", 100_000, "syscall_100000"},
		{"amd64", -1, "syscall_-1"},
		{"amd64", 1 << 32, "syscall_4294967296"},
		{"mips", 1, "syscall_1"},
	} {
		if got := Name(row.arch, row.nr); got != row.want {
			t.Errorf("Name(%s, %d) = %s, want %s", row.arch, row.nr, got, row.want)
		}
	}
}

// Calls of Linux 6.10 and later: x/sys has to know them, or libraries that use
// them get ENOSYS, which is safe, but is not what the tables say.
func TestRecentCallsAreKnown(t *testing.T) {
	for _, m := range []machine{{calls: syscallsAMD64[:]}, {calls: syscallsARM64[:]}} {
		for _, name := range []string{
			"futex_wake", "map_shadow_stack", "lsm_get_self_attr", // 6.7, 6.8
			"mseal", "statmount", "listmount", // 6.10
			"setxattrat", "getxattrat", "listxattrat", "removexattrat", // 6.13
			"open_tree_attr",               // 6.15
			"file_getattr", "file_setattr", // 6.17
			"listns", "rseq_slice_yield", // after 6.18
		} {
			if !slices.ContainsFunc(m.calls, func(s syscall) bool { return s.name == name }) {
				t.Errorf("%s is not known", name)
			}
		}
		if !slices.IsSortedFunc(m.calls, func(a, b syscall) int { return int(a.nr) - int(b.nr) }) {
			t.Error("the table is not sorted by number")
		}
	}
}

func TestSize(t *testing.T) {
	each(t, commands, func(t *testing.T, f filter, _ machine, program []Instruction) {
		t.Logf("%d instructions", len(program))
		if len(program) > maxInstructions/4 {
			t.Errorf("%d instructions: something repeats itself", len(program))
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(Config{Arch: "amd64", Profile: "default"}); err != nil {
			b.Fatal(err)
		}
	}
}
