package policy

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestValidateRefuses(t *testing.T) {
	mounts := func(m ...Mount) func(*Policy) {
		return func(p *Policy) { p.Filesystem.Mounts = m }
	}
	source := func(s string) func(*Policy) { return mounts(Mount{Source: s, Target: "/t"}) }
	target := func(s string) func(*Policy) { return mounts(Mount{Source: "/s", Target: s}) }
	root := func(s string) func(*Policy) { return func(p *Policy) { p.Filesystem.Root = s } }
	image := func(s string) func(*Policy) { return func(p *Policy) { p.Filesystem.Image = s } }
	user := func(s string) func(*Policy) { return func(p *Policy) { p.Process.User = s } }
	env := func(k, v string) func(*Policy) { return func(p *Policy) { p.Process.Env = map[string]string{k: v} } }
	cpus := func(n float64) func(*Policy) { return func(p *Policy) { p.Resources.CPUs = n } }
	const badUser = ` is neither a uid nor uid:gid; write numbers from 0 to 4294967294, such as "1000:1000"`
	const badCPUs = ` is out of range; give 0.01 to 8192, or "unlimited"`
	const badPIDs = ` is out of range; give 1 to 4194304, or "unlimited"`

	tests := []struct {
		set       func(*Policy)
		want, why string // each line of want is one error
	}{
		{root("/"), `filesystem.root: the root directory of the host cannot be the root of a sandbox; use "host"`, "the whole host"},
		{root("hosts"), `filesystem.root: "hosts" is neither "host" nor an absolute path; did you mean "host"?`, "a typo"},
		{root("srv/x"), `filesystem.root: "srv/x" is neither "host" nor an absolute path; use "host" or an absolute path`, "relative"},
		{root("/srv/../etc"), `filesystem.root: "/srv/../etc" holds ".."; name the directory itself`, "climbs"},
		{root("/srv/x/"), `filesystem.root: "/srv/x/" is not a clean path; write "/srv/x"`, "two spellings"},
		{root("/a\x00"), `filesystem.root: "/a\x00" holds a NUL byte; no path can hold one`, "NUL"},

		{func(p *Policy) { p.Filesystem.Root, p.Filesystem.Image = RootHost, "a:1" }, `filesystem.image: an image takes the place of filesystem.root, which is "host"; leave one of them out`, "two roots"},
		{image("a\n"), `filesystem.image: "a\n" holds what no reference can (control characters, or no UTF-8); write, for example, "alpine:3.20"`, "a second line"},
		{image("a\xff"), `filesystem.image: "a\xff" holds what no reference can (control characters, or no UTF-8); write, for example, "alpine:3.20"`, "no text"},
		{image(strings.Repeat("a", 5000)), `filesystem.image: a reference of 5000 bytes is longer than any; is this the right value?`, "longer than any"},
		{image("rootfs:/"), `filesystem.image: the root directory of the host cannot be the root of a sandbox; leave it out, and set filesystem.root to "host"`, "the whole host"},
		{image("rootfs:/srv/../"), `filesystem.image: "/srv/../" holds ".."; name the directory itself`, "the whole host, in disguise"},
		{image("rootfs://"), `filesystem.image: "//" is not a clean path; write "/"`, "the whole host, spelled otherwise"},
		{image("rootfs:x"), `filesystem.image: "x" is not an absolute path; begin it with "/"`, "relative to what?"},
		{image("oci-layout:x:1"), `filesystem.image: "x:1" is not an absolute path; write "oci-layout:/..."`, "relative to what?"},
		{image("docker-archive:../x.tar"), `filesystem.image: "../x.tar" is not an absolute path; write "docker-archive:/..."`, "relative to what?"},
		{image("docker-archive:/a/../x.tar"), `filesystem.image: "/a/../x.tar" holds ".."; name the directory itself`, "climbs"},

		{func(p *Policy) { p.Filesystem.Image, p.Process.User = "a:1", "0:65536" }, `process.user: "0:65536" is beyond the ids that an image has; write numbers from 0 to 65535, such as "1000:1000"`, "not mapped"},

		{source(""), `filesystem.mounts[0].source: is missing; give an absolute path`, "no source"},
		{source("/"), `filesystem.mounts[0].source: the root directory of the host cannot be mounted; name the directories that are needed`, "the whole host"},
		{source("a"), `filesystem.mounts[0].source: "a" is not an absolute path; begin it with "/"`, "relative"},
		{source("/" + strings.Repeat("a", 4095)), `filesystem.mounts[0].source: "/` + strings.Repeat("a", 79) + `…" has 4096 bytes, and no path has more than 4095; is this the right value?`, "longer than PATH_MAX"},
		{source("/a/.."), `filesystem.mounts[0].source: "/a/.." holds ".."; name the directory itself`, "the root, in disguise"},
		{source("//a"), `filesystem.mounts[0].source: "//a" is not a clean path; write "/a"`, "two spellings"},
		{source("/\x00"), `filesystem.mounts[0].source: "/\x00" holds a NUL byte; no path can hold one`, "NUL"},
		{target("/"), `filesystem.mounts[0].target: a mount cannot replace the root directory; set filesystem.root instead`, "the root of the sandbox"},
		{target("t"), `filesystem.mounts[0].target: "t" is not an absolute path; begin it with "/"`, "relative"},
		{target("/a/./b"), `filesystem.mounts[0].target: "/a/./b" is not a clean path; write "/a/b"`, "two spellings"},
		{target("/proc"), `filesystem.mounts[0].target: "/proc" is in /proc, which each sandbox gets its own of; choose another target`, "/proc itself"},
		{target("/dev/shm"), `filesystem.mounts[0].target: "/dev/shm" is in /dev, which each sandbox gets its own of; choose another target`, "below /dev"},
		{target("/sys/fs"), `filesystem.mounts[0].target: "/sys/fs" is in /sys, which each sandbox gets its own of; choose another target`, "below /sys"},
		{mounts(Mount{Source: "/dev/kvm"}), `filesystem.mounts[0].source: "/dev/kvm" is in /dev, which each sandbox gets its own of; choose another target`, "the target is the source"},
		{mounts(Mount{Source: "/a"}, Mount{Source: "/b", Target: "/a"}), `filesystem.mounts[1].target: "/a" is the target of filesystem.mounts[0] too; give one of them another target`, "one target twice"},
		{mounts(Mount{Source: "/a"}, Mount{Source: "/a"}), `filesystem.mounts[1].source: "/a" is the target of filesystem.mounts[0] too; give one of them another target`, "one mount twice"},

		{func(p *Policy) { p.Filesystem.TmpSize = Unlimited }, `filesystem.tmp_size: writable places are always bounded; give a size, such as 256m`, "unlimited memory of the host"},
		{func(p *Policy) { p.Filesystem.TmpSize = -2 }, `filesystem.tmp_size: -2 is negative; give a size, such as 256m`, "negative"},
		{func(p *Policy) { p.Filesystem.Writable = true }, `filesystem.writable: a writable root needs a bound; set filesystem.tmp_size, such as 256m`, "no bound"},
		{func(p *Policy) { p.Filesystem.Landlock = "yes" }, `filesystem.landlock: unknown value "yes"; use on, off`, "neither"},
		{func(p *Policy) { p.Seccomp.Profile = "defualt" }, `seccomp.profile: unknown value "defualt"; did you mean "default"?`, "a typo"},
		{func(p *Policy) { p.Seccomp.Profile = "none" }, `seccomp.profile: unknown value "none"; use strict, default, off`, "nothing is near"},

		{mounts(Mount{Source: "/a", Access: "wr"}), `filesystem.mounts[0].access: unknown value "wr"; did you mean "rw"?`, "a typo"},
		{mounts(Mount{Source: "/a", Access: "rw"}), `filesystem.mounts[0].access: the changes to a writable mount need a bound; set filesystem.tmp_size, such as 256m`, "no bound"},
		{mounts(Mount{Source: "/a", Rights: []string{"truncat"}}), `filesystem.mounts[0].rights[0]: unknown name "truncat"; did you mean "truncate"?`, "a typo"},
		{func(p *Policy) {
			p.Filesystem.Landlock = Off
			p.Filesystem.Mounts = []Mount{{Source: "/a", Rights: []string{"read_file"}}}
		}, `filesystem.mounts[0].rights: rights need Landlock, which is off; set filesystem.landlock to "on", or leave them out`, "nobody would enforce them"},
		{func(p *Policy) { p.Filesystem.Protected = []string{"/etc"} }, `filesystem.protected[0]: "/etc" is not a clean path relative to a mount; write, for example, ".git/hooks"`, "absolute"},
		{func(p *Policy) { p.Filesystem.Protected = []string{"../x"} }, `filesystem.protected[0]: "../x" is not a clean path relative to a mount; write, for example, ".git/hooks"`, "climbs"},
		{func(p *Policy) { p.Seccomp.Files = []string{"docker.json"} }, `seccomp.files[0]: "docker.json" is not an absolute path; begin it with "/"`, "relative"},
		{func(p *Policy) { p.Seccomp.Files = []string{"/a", "/a"} }, `seccomp.files[1]: "/a" is there twice; remove one`, "twice"},
		{func(p *Policy) { p.Seccomp.Mode = "audit" }, `seccomp.mode: unknown value "audit"; use enforce, log`, "nothing is near"},
		{func(p *Policy) { p.Resources.Swap = -2 }, `resources.swap: -2 is negative; give a size, such as 1m, or "unlimited"`, "negative"},

		{func(p *Policy) { p.Resources.Memory = 16<<20 - 1 }, `resources.memory: 16777215 is less than any command needs; give at least 16m, or "unlimited"`, "too little"},
		{func(p *Policy) { p.Resources.Memory = -2 }, `resources.memory: -2 is less than any command needs; give at least 16m, or "unlimited"`, "negative"},
		{cpus(0.009), "resources.cpus: 0.009" + badCPUs, "less than the kernel takes"},
		{cpus(-0.5), "resources.cpus: -0.5" + badCPUs, "negative"},
		{cpus(math.NaN()), "resources.cpus: NaN" + badCPUs, "not a number"},
		{cpus(math.Inf(1)), "resources.cpus: +Inf" + badCPUs, "infinite"},
		{cpus(math.Inf(-1)), "resources.cpus: -Inf" + badCPUs, "infinite"},
		{cpus(8193), "resources.cpus: 8193" + badCPUs, "more than there can be"},
		{func(p *Policy) { p.Resources.PIDs = -2 }, "resources.pids: -2" + badPIDs, "negative"},
		{func(p *Policy) { p.Resources.PIDs = 4194305 }, "resources.pids: 4194305" + badPIDs, "more than there can be"},
		{func(p *Policy) { p.Resources.Output = -2 }, `resources.output: -2 is negative; give a size, such as 1m, or "unlimited"`, "negative"},
		{func(p *Policy) { p.Resources.Timeout = -2 }, `resources.timeout: -2ns is negative; give a duration, such as 30s, or "unlimited"`, "negative"},

		{user("root"), `process.user: "root"` + badUser, "a name"},
		{user("-1"), `process.user: "-1"` + badUser, "negative"},
		{user("4294967295"), `process.user: "4294967295"` + badUser, "(uid_t)-1"},
		{user("0:4294967296"), `process.user: "0:4294967296"` + badUser, "beyond 32 bits"},
		{user("010"), `process.user: "010"` + badUser, "eight, or ten?"},
		{user("1:"), `process.user: "1:"` + badUser, "no gid"},
		{user(":1"), `process.user: ":1"` + badUser, "no uid"},
		{user("1:2:3"), `process.user: "1:2:3"` + badUser, "three"},
		{env("", "x"), `process.env[""]: the name of a variable is empty; give it a name`, "no name"},
		{env("A=B", "x"), `process.env["A=B"]: the name of a variable holds "=" or a NUL byte; choose another name`, "="},
		{env("A\x00", "\x00"), "process.env[\"A\\x00\"]: the name of a variable holds \"=\" or a NUL byte; choose another name\nprocess.env[\"A\\x00\"]: the value holds a NUL byte; no variable can hold one", "NUL in both"},
		{func(p *Policy) { p.Process.Workdir = "tmp" }, `process.workdir: "tmp" is not an absolute path; begin it with "/"`, "relative"},
		{func(p *Policy) { p.Require.MinScore = 101 }, `require.min_score: 101 is not a score; give a number from 0 to 100`, "too high"},
		{func(p *Policy) { p.Require.MinScore = -1 }, `require.min_score: -1 is not a score; give a number from 0 to 100`, "negative"},
		{func(p *Policy) { p.Require.Backends = []string{"oci", "gvizor"} }, `require.backends[1]: unknown name "gvizor"; did you mean "gvisor"?`, "a typo"},
		{func(p *Policy) { p.Require.Backends = []string{"docker"} }, `require.backends[0]: unknown name "docker"; use noop, process, oci, wasm, gvisor, sgx, sev, firecracker`, "nothing is near"},
		{func(p *Policy) { p.BestEffort = []Control{Limits, Limits} }, `best_effort[1]: "limits" is there twice; remove one`, "twice"},
		{func(p *Policy) { p.BestEffort = []Control{"ns.pidd"} }, `best_effort[0]: unknown name "ns.pidd"; did you mean "ns.pid"?`, "a typo"},
		{func(p *Policy) { p.Filesystem.Root, p.Seccomp.Profile = "/", "x" }, "filesystem.root: the root directory of the host cannot be the root of a sandbox; use \"host\"\nseccomp.profile: unknown value \"x\"; use strict, default, off", "everything at once"},
	}
	for _, test := range tests {
		var p Policy
		test.set(&p)
		err := p.Validate()
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %v", test.why, err, test.want)
		}
		if field := (*FieldError)(nil); !errors.As(err, &field) {
			t.Errorf("%s: %T holds no FieldError", test.why, err)
		}
	}
}

func TestValidateTakes(t *testing.T) {
	tests := []struct {
		p   Policy
		why string
	}{
		{Policy{}, "the zero value denies, and is valid"},
		{Policy{Resources: Resources{Memory: Unlimited, CPUs: Unlimited, PIDs: Unlimited, Output: Unlimited, Timeout: Unlimited}}, "every limit can be lifted"},
		{Policy{Resources: Resources{Memory: 16 << 20, CPUs: 0.01, PIDs: 1, Output: 1, Timeout: 1}}, "the least"},
		{Policy{Resources: Resources{Memory: math.MaxInt64, CPUs: 8192, PIDs: 4194304, Output: math.MaxInt64, Timeout: math.MaxInt64}}, "the most"},
		{Policy{Process: Process{User: "4294967294:0", Workdir: "/", Env: map[string]string{"A B": "=", "é": ""}}}, "the corners of a process"},
		{Policy{Filesystem: Filesystem{Root: "/srv/..x", Mounts: []Mount{{Source: "/process"}, {Source: "/proc/version", Target: "/devices"}}}}, "names that begin like others"},
		{Policy{Require: Require{MinScore: 100, Backends: BackendNames()}, BestEffort: Controls()}, "all names"},
		{Policy{Filesystem: Filesystem{Image: "localhost:5000/team/app:1.0@sha256:" + strings.Repeat("0", 64)}}, "an image of a registry"},
		{Policy{Filesystem: Filesystem{Image: "a"}, Process: Process{User: "65535:65535"}}, "the last user of an image"},
		{Policy{Filesystem: Filesystem{Image: "oci-layout:/a b/layout:tag"}}, "a layout"},
		{Policy{Filesystem: Filesystem{Image: "rootfs:/srv/..x"}}, "a directory"},
	}
	for _, test := range tests {
		if err := test.p.Validate(); err != nil {
			t.Errorf("%s: %v", test.why, err)
		}
	}
}

func TestEffective(t *testing.T) {
	want := Resources{Memory: DefaultMemory, CPUs: DefaultCPUs, PIDs: DefaultPIDs, Output: DefaultOutput, Timeout: DefaultTimeout}
	if got := (Resources{}).Effective(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	set := Resources{Memory: Unlimited, CPUs: Unlimited, PIDs: 7, Output: 1, Timeout: Unlimited}
	if got := set.Effective(); got != set {
		t.Errorf("what is set is changed: %+v", got)
	}
	p := Policy{Resources: want}
	if err := p.Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"memory", "cpus", "pids", "output", "timeout", "network", "tmp_size"}
	tests := []struct{ name, want, why string }{
		{"memory", "memory", "itself"},
		{"Memory", "memory", "another case"},
		{"mem", "memory", "the beginning"},
		{"network_policy", "network", "more behind"},
		{"cpu", "cpus", "a letter missing"},
		{"psid", "pids", "two letters swapped"},
		{"tmp_sise", "tmp_size", "a letter replaced"},
		{"tiemout", "timeout", "two letters swapped"},
		{"ouput", "output", "a letter missing"},
		{"xyz", "", "nothing is near"},
		{"m", "", "too short to say"},
		{"", "", "nothing"},
		{strings.Repeat("memory", 1<<20), "memory", "long, and quick"},
		{strings.Repeat("x", 1<<20), "", "long, and quick"},
	}
	for _, test := range tests {
		if got := Nearest(test.name, known); got != test.want {
			t.Errorf("%s: %.20q is near %q, want %q", test.why, test.name, got, test.want)
		}
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("near to nothing: %q", got)
	}
}
