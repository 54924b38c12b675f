package policyfile

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/policy"
)

type namedPolicy struct {
	name string
	p    policy.Policy
}

// policies are valid ones: the presets and the corners.
func policies(t testing.TB) []namedPolicy {
	t.Helper()
	list := []namedPolicy{
		{"zero", policy.Policy{}},
		{"full", policy.Policy{
			Name: `a "name": with # everything ✓ 😀`,
			Filesystem: policy.Filesystem{
				Root: "/srv/true",
				Mounts: []policy.Mount{
					{Source: "/opt/a b"}, {Source: "/x", Target: "/y", Access: policy.AccessDirect},
				},
				Protected: []string{".git/hooks", "a b"},
				Writable:  true, TmpSize: 3 << 20, Landlock: policy.Off,
			},
			Seccomp: policy.Seccomp{Profile: policy.SeccompDefault, Files: []string{"/etc/docker.json"}, Mode: policy.SeccompLog},
			Network: policy.Network{Loopback: true},
			Resources: policy.Resources{
				Memory: policy.Unlimited, CPUs: 0.5, PIDs: policy.Unlimited, Output: 17,
				Swap: policy.Unlimited, IORead: 1 << 20, IOWrite: 1,
				Timeout: policy.Duration(1500 * time.Millisecond),
			},
			Process: policy.Process{
				User: "1000:1000", Workdir: "/",
				Env: map[string]string{
					"N": "1", "EMPTY": "", "ON": "on", "NULL": "null", "<<": "<<", "~": "~", "a: b": "- c", "ünï": "é",
					"LINES": "one\n  two\n\n", "TAB": "\t", "ESC": "\x1b[0m", "NEL": "\u0085\u2028\ufeff", "DATE": "2020-01-01",
				},
			},
			Gate: policy.Gate{
				Mode: policy.GateCollected, Scanners: policy.GateScanners(), Redact: policy.SeverityInfo, Quarantine: policy.SeverityHigh,
				Block: policy.Off, Severity: map[string]string{"0a": policy.SeverityHigh, "true": policy.SeverityLow, "av/x.y": policy.SeverityCritical},
				Ignore: []string{"null", "1.0", "off", "av/z"}, Input: policy.InputAllowed,
				External: []policy.ExternalScanner{
					{Name: "av", Command: []string{"/usr/bin/av scan", "", "-", "on", "- # é"}, Timeout: policy.Duration(90 * time.Second)}, {Name: "1.0", Command: []string{"/x"}},
				},
			},
			Credentials: []policy.Credential{
				{Name: "null", Source: "env:a: b # 1"}, {Name: "https://u@h:1/x-y", Source: "file:/a b/é", As: "file:/run/secrets/a: b", Lifetime: "sandbox", Shared: true},
				{Name: "1.0", Source: "stdin", As: "fd:3", Lifetime: "1h30m"}, {Name: "on", Source: "cmd:helper", As: "placeholder:OFF", Lifetime: "command"}, {Name: "-", Source: "fd:3", As: "stdin"},
			},
			Require:    policy.Require{MinScore: 100, Backends: policy.BackendNames()},
			BestEffort: policy.Controls(),
		}},
		{"rights", policy.Policy{Filesystem: policy.Filesystem{
			Mounts: []policy.Mount{{Source: "/w", Access: policy.AccessWrite, Rights: policy.Rights()}}, TmpSize: 1,
		}}},
	}
	list = append(list, namedPolicy{"image", policy.Policy{Filesystem: policy.Filesystem{Image: "localhost:5000/a b: # x@sha256:0"}}})
	for _, name := range policy.PresetNames() {
		p, err := policy.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, namedPolicy{name, p})
	}
	return list
}

func TestRoundTrip(t *testing.T) {
	for _, test := range policies(t) {
		text, err := Marshal(test.p)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got, err := Parse("p.yaml", text)
		if err != nil || !reflect.DeepEqual(got, test.p) {
			t.Errorf("%s: got %+v, %v\nwant %+v\n%s", test.name, got, err, test.p, text)
		}
	}
}

func TestMarshalText(t *testing.T) {
	p, err := policy.Preset("minimal")
	if err != nil {
		t.Fatal(err)
	}
	p.Process.Env = map[string]string{}
	p.Process.User = "1000"
	got, err := Marshal(p)
	want := `name: minimal
filesystem:
  root: host
  writable: true
  tmp_size: 1g
  landlock: off
seccomp:
  profile: off
network:
  loopback: true
resources:
  memory: unlimited
  cpus: unlimited
  pids: unlimited
  output: 64m
  timeout: unlimited
process:
  user: "1000"
`
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s", err, got)
	}
	if got, err := Marshal(policy.Policy{BestEffort: []policy.Control{}, Process: policy.Process{Env: map[string]string{}}}); string(got) != "{}\n" {
		t.Errorf("a policy with empty lists only: %q, %v", got, err)
	}
}

func TestMarshalRefuses(t *testing.T) {
	env := func(k, v string) policy.Policy {
		return policy.Policy{Process: policy.Process{Env: map[string]string{k: v}}}
	}
	tests := []struct {
		p         policy.Policy
		want, why string
	}{
		{policy.Policy{Seccomp: policy.Seccomp{Profile: "x"}}, "seccomp.profile", "not valid"},
		{policy.Policy{Name: "\xff"}, "name", "no text"},
		{env("\xff", "x"), `process.env["\xff"]`, "no text in a key"},
		{env("K", "\xff"), `process.env["K"]`, "no text in a value"},
		{policy.Policy{Filesystem: policy.Filesystem{Mounts: []policy.Mount{{Source: "/\xff"}}}}, "filesystem.mounts[0].source", "no text in a list"},
		{policy.Policy{Name: strings.Repeat("x", MaxSize)}, "write policy: it takes", "too large to be read"},
	}
	for _, test := range tests {
		if _, err := Marshal(test.p); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q in it", test.why, err, test.want)
		}
	}
	_, err := Marshal(policy.Policy{Seccomp: policy.Seccomp{Profile: "x"}})
	var field *policy.FieldError
	if !errors.As(err, &field) {
		t.Errorf("%v is not a FieldError", err)
	}
}
