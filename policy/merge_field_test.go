package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// withMounts is a policy with mounts that can be written to.
func withMounts(m ...Mount) Policy {
	return Policy{Filesystem: Filesystem{Mounts: m, TmpSize: 1}}
}

// withExternal is a policy with programs that look at what leaves.
func withExternal(x ...ExternalScanner) Policy { return Policy{Gate: Gate{External: x}} }

func TestMergeFields(t *testing.T) {
	resources := func(r Resources) Policy { return Policy{Resources: r} }
	files := func(f Filesystem) Policy { return Policy{Filesystem: f} }
	process := func(p Process) Policy { return Policy{Process: p} }
	requires := func(names ...string) Policy { return Policy{Require: Require{Backends: names}} }
	gate := func(g Gate) Policy { return Policy{Gate: g} }
	rules := func(s map[string]string) Policy { return gate(Gate{Severity: s}) }
	av := ExternalScanner{Name: "av", Command: []string{"/usr/bin/av"}}
	other := ExternalScanner{Name: "other", Command: []string{"/usr/bin/av", "-x"}}
	token, piped := Credential{Name: "A", Source: "env:A"}, Credential{Name: "C", Source: "env:A", As: "stdin"}
	lasts := func(lifetime string) Policy {
		return given(Credential{Name: "A", Source: "env:A", As: "file:/run/secrets/a", Lifetime: lifetime})
	}
	data := func(m Mount) Policy { m.Source, m.Target = "/srv/data", "/data"; return withMounts(m) }
	tests := []struct {
		a, b, want Policy
		why        string
	}{
		{Policy{Name: "a"}, Policy{Name: "b"}, Policy{Name: "a + b"}, "a name that says where it is from"},
		{Policy{Name: "a"}, Policy{}, Policy{Name: "a"}, "one name"},

		{files(Filesystem{Root: RootHost}), Policy{}, Policy{}, "nothing is less than something"},
		{files(Filesystem{Root: "/srv/x"}), files(Filesystem{Root: "/srv/x"}), files(Filesystem{Root: "/srv/x"}), "the same root"},
		{files(Filesystem{Image: "a:1"}), files(Filesystem{Image: "a:1"}), files(Filesystem{Image: "a:1"}), "the same image"},
		{files(Filesystem{Image: "a:1"}), Policy{}, Policy{}, "nothing is less than an image"},
		{files(Filesystem{Protected: []string{"b", "a"}}), files(Filesystem{Protected: []string{"c", "b"}}), files(Filesystem{Protected: []string{"b"}}), "what both let through"},
		{files(Filesystem{Protected: []string{"a"}}), files(Filesystem{Protected: []string{"b"}}), Policy{}, "nothing in common lets nothing through"},
		{files(Filesystem{Writable: true, TmpSize: 9}), files(Filesystem{TmpSize: 8}), files(Filesystem{TmpSize: 8}), "read-only, and the smaller"},
		{files(Filesystem{TmpSize: 9}), Policy{}, Policy{}, "zero is no place to write to, not no bound"},
		{files(Filesystem{Landlock: Off}), files(Filesystem{Landlock: On}), files(Filesystem{Landlock: On}), "on"},
		{files(Filesystem{Landlock: Off}), Policy{}, Policy{}, "zero is on"},

		{data(Mount{}), data(Mount{Access: AccessDirect}), data(Mount{}), "zero is ro"},
		{data(Mount{Access: AccessDirect}), data(Mount{Access: AccessWrite}), data(Mount{Access: AccessWrite}), "looked at, before not looked at"},
		{files(Filesystem{Mounts: []Mount{{Source: "/w", Access: AccessDirect}}}), withMounts(Mount{Source: "/w", Access: AccessWrite}),
			files(Filesystem{Mounts: []Mount{{Source: "/w", Access: AccessRead}}}), "no room for changes, so no changes"},
		{data(Mount{Rights: []string{"read_file", "execute"}}), data(Mount{Rights: []string{"execute", "truncate"}}), data(Mount{Rights: []string{"execute"}}), "rights in common"},
		{data(Mount{Rights: []string{"execute"}}), data(Mount{}), data(Mount{Rights: []string{"execute"}}), "empty is all rights"},
		{data(Mount{Rights: []string{"execute"}}), data(Mount{Rights: []string{"truncate"}}), withMounts(), "no right in common shows nothing, and not all"},
		{withMounts(Mount{Source: "/b"}, Mount{Source: "/a"}), withMounts(Mount{Source: "/a"}, Mount{Source: "/c"}), withMounts(Mount{Source: "/a"}), "what both show"},
		{withMounts(Mount{Source: "/a", Target: "/x"}), withMounts(Mount{Source: "/a"}), withMounts(), "the same source at different places is nowhere in common"},
		{withMounts(Mount{Source: "/a/b"}, Mount{Source: "/a"}), withMounts(Mount{Source: "/a/b"}, Mount{Source: "/a"}), withMounts(Mount{Source: "/a"}), "a mount that a later one hides is not dug out"},
		{withMounts(Mount{Source: "/w", Access: AccessWrite}, Mount{Source: "/w/out", Access: AccessDirect}), withMounts(Mount{Source: "/w", Access: AccessWrite}),
			withMounts(Mount{Source: "/w", Access: AccessWrite}), "without the mount in it, the same file is seen with less access"},

		{Policy{Seccomp: Seccomp{Profile: Off, Files: []string{"/b", "/a"}}}, Policy{Seccomp: Seccomp{Profile: SeccompDefault, Files: []string{"/a", "/c"}}},
			Policy{Seccomp: Seccomp{Profile: SeccompDefault, Files: []string{"/a", "/b", "/c"}}}, "all filters are installed"},
		{Policy{Seccomp: Seccomp{Profile: SeccompDefault}}, Policy{}, Policy{}, "zero is strict"},
		{Policy{Seccomp: Seccomp{Profile: SeccompStrict, Mode: SeccompLog}}, Policy{Seccomp: Seccomp{Profile: Off}}, Policy{Seccomp: Seccomp{Profile: SeccompStrict}}, "what one only logs and the other does not filter at all is enforced"},
		{Policy{Network: Network{Loopback: true}}, Policy{}, Policy{}, "no loopback"},

		{resources(Resources{Memory: Unlimited, CPUs: Unlimited, PIDs: Unlimited, Output: Unlimited, Timeout: Unlimited, Swap: Unlimited, IORead: Unlimited, IOWrite: Unlimited}),
			Policy{}, resources(Resources{IORead: Unlimited, IOWrite: Unlimited}), "zero is the default, and for disks no bound"},
		{resources(Resources{Memory: DefaultMemory - 1, CPUs: 0.5, PIDs: 63, Output: 1, Timeout: Duration(time.Second), Swap: 1}),
			Policy{}, resources(Resources{Memory: DefaultMemory - 1, CPUs: 0.5, PIDs: 63, Output: 1, Timeout: Duration(time.Second)}), "less than the default"},
		{resources(Resources{Memory: 1 << 40, CPUs: 64, PIDs: 4096, Output: 1 << 40, Timeout: Duration(time.Hour)}), Policy{}, Policy{}, "more than the default"},
		{resources(Resources{IORead: 5, IOWrite: Unlimited}), resources(Resources{IOWrite: 6}), resources(Resources{IORead: 5, IOWrite: 6}), "a bound is less than none"},
		{resources(Resources{Swap: 7}), resources(Resources{Swap: Unlimited}), resources(Resources{Swap: 7}), "some swap is less than any"},

		{process(Process{User: "1:2"}), process(Process{Workdir: "/w"}), process(Process{User: "1:2", Workdir: "/w"}), "what one leaves open, the other says"},
		{process(Process{Env: map[string]string{"A": "1", "B": ""}}), process(Process{Env: map[string]string{"A": "1", "C": "2"}}),
			process(Process{Env: map[string]string{"A": "1", "B": "", "C": "2"}}), "the variables of both"},

		{gate(Gate{Mode: GateOff}), Policy{}, Policy{}, "zero looks"},
		{gate(Gate{Mode: GateOff}), gate(Gate{Mode: GateLive}), gate(Gate{Mode: GateLive}), "so does live"},
		{gate(Gate{Mode: GateCollected}), gate(Gate{Mode: GateLive}), gate(Gate{Mode: GateCollected}), "all before the first byte"},
		{gate(Gate{Mode: GateLive}), gate(Gate{External: []ExternalScanner{av}}), gate(Gate{External: []ExternalScanner{av}}), "an external program's output is collected, and live is not kept beside it"},
		{gate(Gate{Mode: GateOff}), gate(Gate{External: []ExternalScanner{av}}), gate(Gate{External: []ExternalScanner{av}}), "nor is off"},
		{gate(Gate{Mode: GateOff}), gate(Gate{Quarantine: SeverityHigh, Block: SeverityCritical, Redact: SeverityInfo}),
			gate(Gate{Quarantine: SeverityHigh, Block: SeverityCritical, Redact: SeverityInfo}), "what is asked for of a gate is kept where the other has none"},
		{gate(Gate{Scanners: []string{ScannerPersonal}}), Policy{},
			gate(Gate{Scanners: []string{ScannerSecrets, ScannerPersonal, ScannerTerminal, ScannerContent}}), "empty is the default set, not none"},
		{gate(Gate{Scanners: []string{ScannerSecrets}}), Policy{}, Policy{}, "a part of the default set is not all of it"},
		{gate(Gate{Scanners: []string{ScannerSecrets}}), gate(Gate{Scanners: []string{ScannerPersonal}}), gate(Gate{Scanners: []string{ScannerSecrets, ScannerPersonal}}), "those of both"},
		{gate(Gate{Redact: Off, Quarantine: Off, Block: Off}), Policy{}, Policy{}, "zero redacts from medium on"},
		{gate(Gate{Redact: SeverityHigh, Quarantine: SeverityHigh, Block: SeverityCritical}), Policy{}, gate(Gate{Quarantine: SeverityHigh, Block: SeverityCritical}), "the lower of each"},
		{gate(Gate{Redact: SeverityLow}), gate(Gate{Redact: SeverityInfo}), gate(Gate{Redact: SeverityInfo}), "the lower"},
		{rules(map[string]string{"a": SeverityLow, "b": SeverityCritical}), Policy{}, rules(map[string]string{"a": SeverityLow, "b": SeverityCritical}), "what one raises is raised"},
		{rules(map[string]string{"a": SeverityMedium, "b": SeverityHigh}), rules(map[string]string{"a": SeverityCritical, "c": SeverityLow}),
			rules(map[string]string{"a": SeverityCritical, "b": SeverityHigh, "c": SeverityLow}), "the higher, and the rules of both"},
		{rules(map[string]string{"a": SeverityInfo}), Policy{}, Policy{}, "no rule has less than info"},
		{gate(Gate{Ignore: []string{"b", "a"}}), gate(Gate{Ignore: []string{"c", "b"}}), gate(Gate{Ignore: []string{"b"}}), "what counts for neither"},
		{gate(Gate{Ignore: []string{"a"}}), Policy{}, Policy{}, "what counts for one counts"},
		{gate(Gate{Ignore: []string{"a", "b"}}), gate(Gate{Ignore: []string{"b"}, Severity: map[string]string{"a": SeverityLow}}),
			gate(Gate{Ignore: []string{"b"}, Severity: map[string]string{"a": SeverityLow}}), "what one ignores and the other raises is raised"},
		{gate(Gate{Input: InputAllowed}), Policy{}, Policy{}, "zero counts what came in"},
		{gate(Gate{External: []ExternalScanner{other, av}}), gate(Gate{External: []ExternalScanner{av}}), gate(Gate{External: []ExternalScanner{av, other}}), "the programs of both"},
		{gate(Gate{External: []ExternalScanner{{Name: "av", Command: av.Command, Timeout: DefaultScanTimeout}}}), gate(Gate{External: []ExternalScanner{av}}),
			gate(Gate{External: []ExternalScanner{av}}), "zero is the default"},

		{given(token, piped), given(Credential{Name: "B", Source: "env:B"}, token), given(token), "what both give"},
		{given(token), Policy{}, Policy{}, "what one gives, the other keeps"},
		{given(Credential{Name: "A", Source: "env:X", As: "env:A", Lifetime: "command"}), given(Credential{Name: "A", Source: "env:X"}), given(Credential{Name: "A", Source: "env:X"}), "zero is the variable of that name, until the command ends"},
		{lasts("sandbox"), lasts(""), lasts("command"), "a command is shorter than its sandbox"},
		{lasts("sandbox"), lasts("2400h"), lasts("2400h"), "a duration is shorter than either, as it bounds"},
		{lasts(""), lasts("1m"), lasts("60s"), "than a command, too"},
		{lasts("90s"), lasts("1m"), lasts("1m"), "the shorter of two"},
		{given(Credential{Name: "A", Source: "file:/a", Shared: true}), given(Credential{Name: "A", Source: "file:/a"}), given(Credential{Name: "A", Source: "file:/a"}), "what one refuses to read is not read"},

		{Policy{Require: Require{MinScore: 60}}, Policy{Require: Require{MinScore: 50}}, Policy{Require: Require{MinScore: 60}}, "the higher"},
		{requires("process", "oci"), requires("gvisor", "oci"), requires("oci"), "what both name"},
		{requires("oci", "noop"), Policy{}, requires("oci"), "empty is any but noop"},
		{Policy{BestEffort: []Control{Limits, NSUser}}, Policy{BestEffort: []Control{NSUser, NSPid}}, Policy{BestEffort: []Control{NSUser}}, "what both can do without"},
		{Policy{BestEffort: Controls()}, Policy{}, Policy{}, "one cannot do without any"},
	}
	for _, test := range tests {
		for _, pair := range [][2]Policy{{test.a, test.b}, {test.b, test.a}} {
			got, err := Merge(pair[0], pair[1])
			if err != nil {
				t.Errorf("%s: %v", test.why, err)
			}
			if pair[0].Name != test.a.Name {
				got.Name = test.want.Name
			}
			want, _ := Merge(test.want, test.want) // in the form of a merge
			if !equal(got, want) || got.Name != want.Name || !reflect.DeepEqual(got.Filesystem.Mounts, want.Filesystem.Mounts) {
				t.Errorf("%s:\n got %+v\nwant %+v", test.why, got, want)
			}
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	const same = "; make them the same, or leave one out"
	const another = "; make them the same, or give one of the credentials another name"
	root := func(s string, m ...Mount) Policy {
		return Policy{Filesystem: Filesystem{Root: s, Mounts: m, TmpSize: 1}}
	}
	image := func(s string, m ...Mount) Policy {
		return Policy{Filesystem: Filesystem{Image: s, Mounts: m, TmpSize: 1}}
	}
	env := func(v string) Policy { return Policy{Process: Process{Env: map[string]string{"A": v}}} }
	requires := func(names ...string) Policy { return Policy{Require: Require{Backends: names}} }
	av := func(timeout time.Duration, argv ...string) Policy {
		return Policy{Gate: Gate{External: []ExternalScanner{{Name: "av", Command: argv, Timeout: Duration(timeout)}}}}
	}
	uncovered := func(target, source string) string {
		return `filesystem.mounts["` + target + `"]: the policies do not both show "` + source + `" there, and without it other files would be seen; show it in both, with rights in common, or in neither`
	}
	tests := []struct {
		a, b Policy
		want string // each line is one error
		why  string
	}{
		{root(RootHost), root("/srv/x"), `filesystem.root: host and /srv/x cannot be merged` + same, "which of them?"},
		{image("a:1"), image("a:2"), `filesystem.image: a:1 and a:2 cannot be merged; name one image in both`, "which of them?"},
		{root(RootHost), image("a:1"), `filesystem.image: a:1 cannot be merged with filesystem.root host: each says what the root directory holds; ` +
			`name the image in both in the place of the root, or in neither, and with kavach run --image`, "a preset, and a file that names an image"},
		{image("a:1"), root("/srv/x"), `filesystem.image: a:1 cannot be merged with filesystem.root /srv/x: each says what the root directory holds; ` +
			`name the image in both in the place of the root, or in neither, and with kavach run --image`, "the other way round"},
		{image("a:1", Mount{Source: "/empty", Target: "/src"}), image("a:1"), uncovered("/src", "/empty"), "the image's would be seen"},
		{withMounts(Mount{Source: "/a", Target: "/t"}), withMounts(Mount{Source: "/b", Target: "/t"}), `filesystem.mounts["/t"].source: "/a" and "/b" cannot be merged` + same, "which of them?"},
		{withMounts(Mount{Source: "/w", Access: AccessWrite}, Mount{Source: "/w/.git"}), withMounts(Mount{Source: "/w", Access: AccessWrite}),
			uncovered("/w/.git", "/w/.git"), "what is read-only in one would be writable"},
		{withMounts(Mount{Source: "/w"}, Mount{Source: "/empty", Target: "/w/secret"}), withMounts(Mount{Source: "/w"}), uncovered("/w/secret", "/empty"), "what one hides would be seen"},
		{withMounts(Mount{Source: "/w"}, Mount{Source: "/e", Target: "/w/s", Rights: []string{"execute"}}), withMounts(Mount{Source: "/w"}, Mount{Source: "/e", Target: "/w/s", Rights: []string{"truncate"}}),
			uncovered("/w/s", "/e"), "both hide it, and have no right in common"},
		{root(RootHost, Mount{Source: "/empty", Target: "/usr/src"}), root(RootHost), uncovered("/usr/src", "/empty"), "the host's would be seen"},
		{root("/srv/x", Mount{Source: "/empty", Target: "/src"}), root("/srv/x"), uncovered("/src", "/empty"), "the root's would be seen"},
		{Policy{Process: Process{User: "1"}}, Policy{Process: Process{User: "2"}}, `process.user: 1 and 2 cannot be merged` + same, "a uid has no order"},
		{Policy{Process: Process{Workdir: "/a"}}, Policy{Process: Process{Workdir: "/b"}}, `process.workdir: /a and /b cannot be merged` + same, "nor has a directory"},
		{env("1"), env(""), `process.env["A"]: two different values cannot be merged` + same, "nor has a value, and an empty one is one"},
		{av(0, "/av", "a b"), av(0, "/av", "a", "b"), `gate.external["av"].command: [/av, "a b"] and [/av, a, b] cannot be merged; make them the same, or give one of the programs another name`, "which of them looks?"},
		{av(0, "/av"), av(time.Second, "/av"), `gate.external["av"].timeout: 30s and 1s cannot be merged; make them the same`, "which of them holds?"},
		{given(Credential{Name: "A", Source: "env:A"}), given(Credential{Name: "A", Source: "file:/a b"}), `credentials["A"].source: env:A and "file:/a b" cannot be merged` + another, "which of them is it?"},
		{given(Credential{Name: "A", Source: "env:A"}), given(Credential{Name: "A", Source: "env:A", As: "placeholder:A"}), `credentials["A"].as: env:A and placeholder:A cannot be merged` + another, "the value, or something in its place?"},
		{requires("oci"), requires("process", "gvisor"), `require.backends: [oci] and [process, gvisor] cannot be merged` + same, "empty would mean any"},
		{requires("noop"), Policy{}, `require.backends: [noop] and [process, oci, wasm, gvisor, sgx, sev, firecracker] (default) cannot be merged` + same, "any does not include noop"},
		{Policy{Process: Process{User: "1", Workdir: "/a"}}, Policy{Process: Process{User: "2", Workdir: "/b"}},
			"process.user: 1 and 2 cannot be merged" + same + "\nprocess.workdir: /a and /b cannot be merged" + same, "everything at once"},
		{Policy{Require: Require{MinScore: 101}}, Policy{}, "require.min_score: 101 is not a score; give a number from 0 to 100", "what is not valid is not merged"},
	}
	for _, test := range tests {
		got, err := Merge(test.a, test.b)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %v", test.why, err, test.want)
		}
		if field := (*FieldError)(nil); !errors.As(err, &field) || !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %T, %+v", test.why, err, got)
		}
	}
}

// samples has for each field a policy in which it is set.
var samples = map[string]Policy{
	"name":                     {Name: "x"},
	"filesystem.root":          {Filesystem: Filesystem{Root: RootHost}},
	"filesystem.image":         {Filesystem: Filesystem{Image: "alpine:3.20"}},
	"filesystem.mounts.source": withMounts(Mount{Source: "/a"}),
	"filesystem.mounts.target": withMounts(Mount{Source: "/a", Target: "/b"}),
	"filesystem.mounts.access": withMounts(Mount{Source: "/a", Access: AccessDirect}),
	"filesystem.mounts.rights": withMounts(Mount{Source: "/a", Rights: []string{"execute"}}),
	"filesystem.protected":     {Filesystem: Filesystem{Protected: []string{"a"}}},
	"filesystem.writable":      {Filesystem: Filesystem{Writable: true, TmpSize: 1}},
	"filesystem.tmp_size":      {Filesystem: Filesystem{TmpSize: 1}},
	"filesystem.landlock":      {Filesystem: Filesystem{Landlock: Off}},
	"seccomp.profile":          {Seccomp: Seccomp{Profile: Off}},
	"seccomp.files":            {Seccomp: Seccomp{Files: []string{"/a"}}},
	"seccomp.mode":             {Seccomp: Seccomp{Mode: SeccompLog}},
	"network.loopback":         {Network: Network{Loopback: true}},
	"resources.memory":         {Resources: Resources{Memory: Unlimited}},
	"resources.swap":           {Resources: Resources{Swap: 1}},
	"resources.io_read":        {Resources: Resources{IORead: 1}},
	"resources.io_write":       {Resources: Resources{IOWrite: 1}},
	"resources.cpus":           {Resources: Resources{CPUs: 2}},
	"resources.pids":           {Resources: Resources{PIDs: 2}},
	"resources.output":         {Resources: Resources{Output: 2}},
	"resources.timeout":        {Resources: Resources{Timeout: 2}},
	"process.user":             {Process: Process{User: "1"}},
	"process.env":              {Process: Process{Env: map[string]string{"A": "1"}}},
	"process.workdir":          {Process: Process{Workdir: "/a"}},
	"wasm.modules":             {Wasm: Wasm{Modules: []string{"sha256:" + strings.Repeat("a", 64)}}},
	"wasm.clock":               {Wasm: Wasm{Clock: "2026-01-01T00:00:00Z"}},
	"wasm.seed":                {Wasm: Wasm{Seed: "1"}},
	"gate.mode":                {Gate: Gate{Mode: GateCollected}},
	"gate.scanners":            {Gate: Gate{Scanners: []string{ScannerPersonal}}},
	"gate.redact":              {Gate: Gate{Redact: SeverityLow}},
	"gate.quarantine":          {Gate: Gate{Quarantine: SeverityHigh}},
	"gate.block":               {Gate: Gate{Block: SeverityCritical}},
	"gate.severity":            {Gate: Gate{Severity: map[string]string{"a": SeverityHigh}}},
	"gate.ignore":              {Gate: Gate{Ignore: []string{"b", "a"}}},
	"gate.input":               {Gate: Gate{Input: InputAllowed}},
	"gate.external.name":       withExternal(ExternalScanner{Name: "av", Command: []string{"/av"}}),
	"gate.external.command":    withExternal(ExternalScanner{Name: "av", Command: []string{"/av", "x"}}),
	"gate.external.timeout":    withExternal(ExternalScanner{Name: "av", Command: []string{"/av"}, Timeout: 1}),
	"credentials.name":         given(Credential{Name: "T", Source: "env:T"}),
	"credentials.source":       given(Credential{Name: "T", Source: "cmd:helper"}),
	"credentials.as":           given(Credential{Name: "T", Source: "env:T", As: "stdin"}),
	"credentials.lifetime":     given(Credential{Name: "T", Source: "env:T", As: "fd:3", Lifetime: "10m"}),
	"credentials.shared":       given(Credential{Name: "T", Source: "file:/t", Shared: true}),
	"require.min_score":        {Require: Require{MinScore: 1}},
	"require.backends":         {Require: Require{Backends: []string{"process"}}},
	"best_effort":              {BestEffort: []Control{Limits}},
}

// A field that Merge and Diff do not know would be lost in silence.
func TestRulesKnowEachField(t *testing.T) {
	var ruled []string
	for _, r := range Rules() {
		if r.Field != "filesystem.mounts" && r.Field != "gate.external" && r.Field != "credentials" { // the lists themselves
			ruled = append(ruled, r.Field)
		}
		if r.Stricter == "" {
			t.Errorf("%s: nothing is said", r.Field)
		}
	}
	if fields := leaves("", reflect.TypeFor[Policy]()); !slices.Equal(ruled, fields) {
		t.Errorf("the rules are for\n%v\nand the fields are\n%v", ruled, fields)
	}
	for _, field := range ruled {
		p, ok := samples[field]
		if !ok {
			t.Errorf("there is no sample of %s", field)
			continue
		}
		if m, err := Merge(p, p); err != nil || !reflect.DeepEqual(m, p) {
			t.Errorf("%s: %+v with itself is %+v, %v", field, p, m, err)
		}
		top, _, _ := strings.Cut(strings.NewReplacer("filesystem.mounts.", "filesystem.mounts[", "gate.external.", "gate.external[", "credentials.", "credentials[").Replace(field), "[")
		told := slices.ContainsFunc(Diff(Policy{}, p), func(d Difference) bool { return strings.HasPrefix(d.Field, top) })
		if !told && field != "name" {
			t.Errorf("%s: no difference between %+v and nothing", field, p)
		}
	}
}

// leaves are the keys of a struct's fields that are no structs, as files have
// them.
func leaves(prefix string, t reflect.Type) []string {
	var list []string
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			list = append(list, leaves(prefix+key+".", inner)...)
		} else {
			list = append(list, prefix+key)
		}
	}
	return list
}

// TestDocs: docs/policies.md shows the table as it is.
func TestDocs(t *testing.T) {
	dir := ".."
	if source := os.Getenv("KAVACH_SOURCE"); source != "" {
		dir = source
	}
	text, err := os.ReadFile(filepath.Join(dir, "docs/policies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, r := range Rules() {
		fmt.Fprintf(&table, "| `%s` | %s |\n", r.Field, r.Stricter)
	}
	if !strings.Contains(string(text), "| --- | --- |\n"+table.String()) {
		t.Errorf("docs/policies.md does not have the table\n%s", table.String())
	}
}
