package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDiffPresets(t *testing.T) {
	want := map[string]string{
		"minimal basic": `filesystem.writable: true → false, stricter
filesystem.tmp_size: 1g → 256m, stricter
filesystem.landlock: off → on, stricter
seccomp.profile: off → default, stricter
resources.memory: unlimited → 1g, stricter
resources.cpus: unlimited → 2, stricter
resources.pids: unlimited → 512, stricter
resources.output: 64m → 16m, stricter
resources.timeout: unlimited → 1h, stricter`,
		"strict basic": `filesystem.tmp_size: 64m → 256m, weaker
seccomp.profile: strict → default, weaker
network.loopback: false → true, weaker
resources.memory: 512m → 1g, weaker
resources.cpus: 1 → 2, weaker
resources.pids: 128 → 512, weaker
resources.output: 1m → 16m, weaker
resources.timeout: 1m → 1h, weaker
gate.redact: low → medium (default), weaker`,
		"basic basic": "",
	}
	for names, want := range want {
		from, to, _ := strings.Cut(names, " ")
		a, errA := Preset(from)
		b, errB := Preset(to)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if got := diffText(a, b); got != want {
			t.Errorf("%s:\n%s", names, got)
		}
	}
}

// Each preset allows what the next one does, and more.
func TestPresetsAreOrdered(t *testing.T) {
	var list []Policy
	for _, name := range PresetNames() {
		p, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	for i, weaker := range list {
		for j, p := range list {
			if got := Covers(weaker, p); got != (i <= j) {
				t.Errorf("%s covers %s: %v", weaker.Name, p.Name, got)
			}
		}
		if Covers(Policy{}, weaker) {
			t.Errorf("the policy that denies covers %s", weaker.Name)
		}
	}
}

func TestDiff(t *testing.T) {
	tests := []struct {
		from, to  Policy
		want, why string
	}{
		{Policy{Name: "a"}, Policy{Name: "b"}, "", "names mean nothing"},
		{Policy{}, Policy{Resources: Resources{Memory: DefaultMemory}, Filesystem: Filesystem{Landlock: On}}, "", "nor does spelling"},
		{Policy{BestEffort: []Control{Limits, NSPid}}, Policy{BestEffort: []Control{NSPid, Limits}}, "", "nor order"},
		{Policy{}, Policy{Resources: Resources{Memory: 1 << 30, IORead: 5}},
			"resources.memory: 256m (default) → 1g, weaker\nresources.io_read: unlimited (default) → 5, stricter", "defaults are named"},
		{Policy{Filesystem: Filesystem{Root: "/a b"}}, Policy{}, `filesystem.root: "/a b" → nothing, stricter`, "quoted where it would mislead"},
		{Policy{Filesystem: Filesystem{Root: "/a"}}, Policy{Filesystem: Filesystem{Root: RootHost}}, "filesystem.root: /a → host, different", "no order"},
		{Policy{Filesystem: Filesystem{Image: "a:1"}}, Policy{Filesystem: Filesystem{Root: RootHost}}, "filesystem.root: nothing → host, different\nfilesystem.image: a:1 → none, different", "nor between the two"},
		{Policy{}, Policy{Filesystem: Filesystem{Image: "a:1"}}, "filesystem.image: none → a:1, weaker", "something is more than nothing"},
		{withMounts(Mount{Source: "/a"}, Mount{Source: "/b"}), withMounts(Mount{Source: "/b"}, Mount{Source: "/c", Target: "/d", Access: AccessWrite}),
			"filesystem.mounts[\"/a\"]: /a, ro → not shown, stricter\nfilesystem.mounts[\"/d\"]: not shown → /c, rw, weaker", "by target"},
		{withMounts(Mount{Source: "/a"}), withMounts(Mount{Source: "/c", Target: "/a", Access: AccessDirect, Rights: []string{"truncate"}}),
			"filesystem.mounts[\"/a\"].source: /a → /c, different\nfilesystem.mounts[\"/a\"].access: ro → direct, weaker\nfilesystem.mounts[\"/a\"].rights: all → [truncate], stricter", "part by part"},
		{withMounts(Mount{Source: "/a"}, Mount{Source: "/e", Target: "/a/s"}), withMounts(Mount{Source: "/a"}), `filesystem.mounts["/a/s"]: /e, ro → not shown, different`, "what was hidden is seen"},
		{Policy{Process: Process{User: "1", Env: map[string]string{"A": "1", "B": "1"}}}, Policy{Process: Process{Env: map[string]string{"A": "", "C": strings.Repeat("x", 100)}}},
			"process.user: 1 → not set, different\nprocess.env[\"A\"]: \"1\" → \"\", different\nprocess.env[\"B\"]: \"1\" → not set, different\nprocess.env[\"C\"]: not set → \"" + strings.Repeat("x", 80) + "…\", different", "no order"},
		{Policy{Require: Require{Backends: []string{"process"}}}, Policy{}, "require.backends: [process] → [process, oci, wasm, gvisor, sgx, sev, firecracker] (default), weaker", "any, but noop"},
		{Policy{}, Policy{Gate: Gate{Mode: GateLive, Scanners: []string{ScannerContent, ScannerSecrets, ScannerTerminal}, Redact: SeverityMedium, Quarantine: Off, Input: InputCounts}}, "", "the gate's defaults, spelled out"},
		{Policy{Gate: Gate{Mode: GateOff}}, Policy{Gate: Gate{Scanners: []string{ScannerSecrets}, Block: SeverityHigh, Input: InputAllowed}},
			"gate.mode: off → live (default), stricter\ngate.scanners: [secrets, terminal, content] (default) → [secrets], weaker\n" +
				"gate.block: off (default) → high, stricter\ngate.input: counts (default) → allowed, weaker", "each field by itself"},
		{Policy{Gate: Gate{Severity: map[string]string{"a": SeverityLow, "b": SeverityHigh, "c": SeverityInfo, "d": SeverityLow}}}, Policy{Gate: Gate{Severity: map[string]string{"b": SeverityMedium, "d": SeverityHigh, "e": SeverityCritical, "f": SeverityInfo}}},
			"gate.severity[\"a\"]: low → as it is, weaker\ngate.severity[\"b\"]: high → medium, weaker\n" +
				"gate.severity[\"d\"]: low → high, stricter\ngate.severity[\"e\"]: as it is → critical, stricter", "rules are raised only, and info raises none"},
		{Policy{Gate: Gate{Ignore: []string{"b", "a"}}}, Policy{Gate: Gate{Ignore: []string{"a", "b"}}}, "", "in any order"},
		{Policy{Gate: Gate{Ignore: []string{"b", "a"}}}, Policy{Gate: Gate{Severity: map[string]string{"a": SeverityLow}, Ignore: []string{"b"}}},
			"gate.severity[\"a\"]: as it is → low, stricter\ngate.ignore: [a, b] → [b], stricter", "a rule that counts again"},
		{Policy{Gate: Gate{Ignore: []string{"a"}}}, Policy{Gate: Gate{Ignore: []string{"b"}}}, "gate.ignore: [a] → [b], different", "neither holds the other"},
		{withExternal(ExternalScanner{Name: "a", Command: []string{"/a"}}, ExternalScanner{Name: "b", Command: []string{"/b"}}), withExternal(ExternalScanner{Name: "b", Command: []string{"/b", "x y"}}, ExternalScanner{Name: "c", Command: []string{"/c"}, Timeout: Duration(time.Second)}),
			"gate.external[\"a\"]: [/a], 30s → none, weaker\ngate.external[\"b\"]: [/b], 30s → [/b, \"x y\"], 30s, different\ngate.external[\"c\"]: none → [/c], 1s, stricter", "by name"},
		{Policy{}, withExternal(ExternalScanner{Name: "a", Command: []string{"/a"}}), "gate.mode: live (default) → collected (default), stricter\ngate.external[\"a\"]: none → [/a], 30s, stricter", "the mode follows"},
		{given(Credential{Name: "A", Source: "env:A"}), given(Credential{Name: "A", Source: "env:A", As: "env:A", Lifetime: LifetimeCommand}), "", "a credential's defaults, spelled out"},
		{given(Credential{Name: "A", Source: "env:A"}, Credential{Name: "B", Source: "env:B", As: "fd:3"}), given(Credential{Name: "B", Source: "env:B", As: "stdin", Lifetime: "1m"}, Credential{Name: "C", Source: "file:/c", Shared: true}),
			"credentials[\"A\"]: env:A, as env:A, command → not given, stricter\ncredentials[\"B\"].as: fd:3 → stdin, different\ncredentials[\"B\"].lifetime: command → 1m, stricter\n" +
				"credentials[\"C\"]: not given → file:/c, as env:C, command, shared, weaker", "what is not given cannot be lost"},
		{given(Credential{Name: "A", Source: "file:/a", As: "file:/s/a", Lifetime: "60s"}), given(Credential{Name: "A", Source: "file:/b", As: "file:/s/a", Lifetime: LifetimeSandbox, Shared: true}),
			"credentials[\"A\"].source: file:/a → file:/b, different\ncredentials[\"A\"].lifetime: 1m → sandbox, weaker\ncredentials[\"A\"].shared: false → true, weaker", "part by part"},
		{Policy{Seccomp: Seccomp{Files: []string{"/a"}}}, Policy{Seccomp: Seccomp{Files: []string{"/b"}}}, "seccomp.files: [/a] → [/b], different", "neither holds the other"},
	}
	for _, test := range tests {
		if got := diffText(test.from, test.to); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.why, got, test.want)
		}
	}
}

func diffText(from, to Policy) string {
	var lines []string
	for _, d := range Diff(from, to) {
		lines = append(lines, fmt.Sprintf("%s: %s → %s, %s", d.Field, d.From, d.To, d.Effect))
	}
	return strings.Join(lines, "\n")
}

// What is cut off in what is shown counts all the same.
func TestDiffOfLongValues(t *testing.T) {
	long := func(end string) Policy {
		return Policy{Process: Process{Env: map[string]string{"A": strings.Repeat("x", 100) + end}}}
	}
	if len(Diff(long("1"), long("2"))) != 1 {
		t.Error("two values that differ at their end are taken for the same")
	}
}

func TestValues(t *testing.T) {
	p := withMounts(Mount{Source: "/w", Access: AccessWrite, Rights: []string{"read_file", "execute"}}, Mount{Source: "/a", Target: "/b"})
	p.Process.Env = map[string]string{"A": "a b"}
	p.Resources.CPUs = Unlimited
	var got []string
	for _, v := range Values(p) {
		got = append(got, v.Field+"="+v.String())
	}
	want := []string{
		"name=none", "filesystem.root=nothing", "filesystem.image=none", `filesystem.mounts["/b"]=/a, ro`, `filesystem.mounts["/w"]=/w, rw, rights [read_file, execute]`,
		"filesystem.protected=none", "filesystem.writable=false", "filesystem.tmp_size=1", "filesystem.landlock=on (default)",
		"seccomp.profile=strict (default)", "seccomp.files=none", "seccomp.mode=enforce (default)", "network.loopback=false",
		"resources.memory=256m (default)", "resources.swap=0", "resources.io_read=unlimited (default)", "resources.io_write=unlimited (default)",
		"resources.cpus=unlimited", "resources.pids=64 (default)", "resources.output=1m (default)", "resources.timeout=1m (default)",
		"process.user=not set", `process.env["A"]="a b"`, "process.workdir=not set",
		"wasm.modules=any", "wasm.clock=not set", "wasm.seed=not set",
		"gate.mode=live (default)", "gate.scanners=[secrets, terminal, content] (default)", "gate.redact=medium (default)", "gate.quarantine=off (default)",
		"gate.block=off (default)", "gate.severity=as it is", "gate.ignore=none", "gate.input=counts (default)", "gate.external=none", "credentials=none", "require.min_score=0",
		"require.backends=[process, oci, wasm, gvisor, sgx, sev, firecracker] (default)", "best_effort=none",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	secrets := Values(given(Credential{Name: "b", Source: "file:/a b", As: "file:/run/secrets/b", Lifetime: "600s", Shared: true}, Credential{Name: "A", Source: "cmd:helper"}))
	for _, want := range []Value{
		{Field: `credentials["A"]`, Value: "cmd:helper, as env:A, command"},
		{Field: `credentials["b"]`, Value: `"file:/a b", as file:/run/secrets/b, 10m, shared`},
	} {
		if !slices.Contains(secrets, want) {
			t.Errorf("%+v is not in %+v", want, secrets)
		}
	}
	none := Values(Policy{})
	for _, want := range []Value{{Field: "filesystem.mounts", Value: "none"}, {Field: "process.env", Value: "none"}} {
		if !slices.Contains(none, want) {
			t.Errorf("the zero policy does not say %+v", want)
		}
	}
}
