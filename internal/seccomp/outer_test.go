package seccomp

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func outer(t *testing.T, c Config) []Refusal {
	t.Helper()
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f.Outer()
}

// outerRefuses is what a runtime makes of the rules.
func outerRefuses(rules []Refusal, call string, args [6]uint64) bool {
	return slices.ContainsFunc(rules, func(r Refusal) bool {
		return slices.Contains(r.Calls, call) && (r.Arg == nil || args[r.Arg.Index]&r.Arg.Mask == r.Arg.Value)
	})
}

// TestOuterIsNoStricter: whatever is refused to the whole container would have
// been refused to commands by each profile; and each call that none of them
// allows at all is.
func TestOuterIsNoStricter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, arch := range []string{"amd64", "arm64"} {
		rules := outer(t, Config{Arch: arch})
		m, err := machineOf(arch)
		if err != nil {
			t.Fatal(err)
		}
		lists := []list{listOf(inDefault, m), listOf(inStrict, m)}
		hits := 0
		for i, c := range m.calls {
			for range 300 {
				var args [6]uint64
				for a := range args {
					args[a] = []uint64{0, r.Uint64(), r.Uint64N(64), 1 << r.UintN(64), tiocsti, charDevice | 0o600, afVsock}[r.IntN(7)]
				}
				got := outerRefuses(rules, c.name, args)
				for _, l := range lists {
					if got && passes(l.calls[i].eval(args)) {
						t.Fatalf("%s: %s(%x) is refused to the container, and a profile lets it pass", arch, c.name, args)
					}
				}
				if got {
					hits++
				}
			}
			_, never := lists[0].calls[i].refusals()
			if never && !outerRefuses(rules, c.name, [6]uint64{}) {
				t.Errorf("%s: %s, which no profile allows, passes", arch, c.name)
			}
		}
		if hits == 0 {
			t.Error("nothing was refused")
		}
	}
}

// TestOuterRules: what there is to lose, and what the guest has yet to do.
func TestOuterRules(t *testing.T) {
	strict, off := outer(t, Config{Arch: "amd64"}), outer(t, Config{Arch: "amd64", Profile: "off", Log: true})
	for _, tt := range []struct {
		call              string
		args              [6]uint64
		byStrict, byGuard bool
		why               string
	}{
		{"ptrace", [6]uint64{}, true, false, "another process"},
		{"mount", [6]uint64{}, true, false, "the runtime is done with it"},
		{"clone3", [6]uint64{}, true, false, "flags that nobody can see"},
		{"io_uring_setup", [6]uint64{}, true, false, ""},
		{"keyctl", [6]uint64{}, true, true, "no namespace keeps keys"},
		{"clone", [6]uint64{0x1000_0000 | 17}, true, false, "CLONE_NEWUSER"},
		{"clone", [6]uint64{0x50f00}, false, false, "a thread of Go's"},
		{"unshare", [6]uint64{0x2000_0000}, true, false, "CLONE_NEWPID"},
		{"ioctl", [6]uint64{0, tiocsti}, true, true, ""},
		{"ioctl", [6]uint64{0, 1<<32 | tiocsti}, true, true, "a bit that the kernel drops"},
		{"ioctl", [6]uint64{0, 0x5413}, false, false, "TIOCGWINSZ"},
		{"socket", [6]uint64{afVsock}, true, true, ""},
		{"socket", [6]uint64{afInet, 2}, false, false, "the probe's"},
		{"mknodat", [6]uint64{0, 0, charDevice}, true, false, ""},
		{"mknodat", [6]uint64{0, 0, 0o010000}, false, false, "a pipe"},

		{"seccomp", [6]uint64{1, 1 << 3}, false, false, "the guest's own filter, with a listener"},
		{"landlock_restrict_self", [6]uint64{}, false, false, ""},
		{"prctl", [6]uint64{38, 1}, false, false, "no_new_privs"},
		{"capset", [6]uint64{}, false, false, ""},
		{"prlimit64", [6]uint64{0, rlimitCore, somewhere}, false, false, "the guest bounds cores"},
		{"execve", [6]uint64{}, false, false, "the runtime executes the guest"},
		{"wait4", [6]uint64{}, false, false, ""},
	} {
		if got := outerRefuses(strict, tt.call, tt.args); got != tt.byStrict {
			t.Errorf("strict refuses %s(%x): %t (%s)", tt.call, tt.args, got, tt.why)
		}
		if got := outerRefuses(off, tt.call, tt.args); got != tt.byGuard {
			t.Errorf("log refuses %s(%x): %t (%s)", tt.call, tt.args, got, tt.why)
		}
	}
	for _, c := range startCalls {
		if outerRefuses(strict, c.call, c.args) {
			t.Errorf("%s(%x), which comes before each command, is refused", c.call, c.args)
		}
	}
	if rules := outer(t, Config{Arch: "amd64", Profile: "off"}); rules != nil {
		t.Errorf("without a filter there is %v", rules)
	}
	if outer(t, Config{Arch: "amd64", Profile: "strict"}) == nil {
		t.Error("strict refuses nothing")
	}
}
