//go:build linux

package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// cacheDir keeps what all tests compile.
var cacheDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kavach-wasm-cache-")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	cacheDir = dir
	testbin.Main(runner(func() int {
		defer os.RemoveAll(dir)
		return m.Run()
	}))
}

type runner func() int

func (r runner) Run() int { return r() }

func newBackend(t testing.TB, without ...policy.Control) *Backend {
	return &Backend{Guest: testbin.Kavach(t), Worker: testbin.Wasm(t), Cache: cacheDir, without: without}
}

// strict is the preset, with the modules at /modules.
func strict(t testing.TB) policy.Policy {
	t.Helper()
	p, err := policy.Preset("strict")
	if err != nil {
		t.Fatal(err)
	}
	p.Filesystem.Mounts = []policy.Mount{{Source: modules(t), Target: "/modules"}}
	p.Resources.Timeout = policy.Duration(2 * time.Minute) // far off: few tests are about it
	p.Resources.Memory = 256 << 20
	return p
}

// modules is the directory of the modules, by a path without links.
func modules(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(testbin.Modules(t))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func create(t testing.TB, b *Backend, p policy.Policy) (*kavach.Sandbox, error) {
	t.Helper()
	sb, err := (&kavach.Runtime{Backends: []backend.Backend{b}}).Create(t.Context(), kavach.Config{Policy: p, Backend: Name})
	if err == nil {
		t.Cleanup(func() {
			if err := sb.Destroy(context.Background()); err != nil {
				t.Errorf("destroy: %v", err)
			}
		})
	}
	return sb, err
}

func sandbox(t testing.TB, change func(*policy.Policy)) *kavach.Sandbox {
	t.Helper()
	p := strict(t)
	if change != nil {
		change(&p)
	}
	sb, err := create(t, newBackend(t), p)
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

func run(t testing.TB, sb *kavach.Sandbox, cmd kavach.Cmd) *kavach.Result {
	t.Helper()
	if !strings.Contains(cmd.Args[0], "/") {
		cmd.Args = slices.Concat([]string{"/modules/" + cmd.Args[0] + ".wasm"}, cmd.Args[1:])
	}
	res, err := sb.Run(t.Context(), cmd)
	if err != nil {
		t.Fatalf("run %v: %v", cmd.Args, err)
	}
	return res
}

// attack runs the attack, and says whether it got through.
func attack(t testing.TB, sb *kavach.Sandbox, args ...string) (through bool, seen string) {
	t.Helper()
	res := run(t, sb, kavach.Cmd{Args: append([]string{"attack"}, args...)})
	seen = strings.TrimSpace(string(res.Stdout) + " " + string(res.Stderr))
	if res.ExitCode > 1 {
		t.Fatalf("attack %v: exit %d: %s", args, res.ExitCode, seen)
	}
	return res.ExitCode == 0 && res.Signal == 0, seen
}

// TestCommand: what a command is, on any backend.
func TestCommand(t *testing.T) {
	sb := sandbox(t, func(p *policy.Policy) { p.Process.Env = map[string]string{"FROM": "policy"} })
	tests := []struct {
		why    string
		cmd    kavach.Cmd
		stdout string
		stderr string
		code   int
	}{
		{"argv, whatever is in it", kavach.Cmd{Args: []string{"attack", "args", "a b", "", "ü\n"}}, `["/modules/attack.wasm" "args" "a b" "" "ü\n"]` + "\n", "", 0},
		{"stdin", kavach.Cmd{Args: []string{"attack", "cat"}, Stdin: strings.NewReader(strings.Repeat("much ", 1<<16))}, strings.Repeat("much ", 1<<16), "", 0},
		{"no stdin", kavach.Cmd{Args: []string{"attack", "cat"}}, "", "", 0},
		{"two outputs", kavach.Cmd{Args: []string{"attack", "both"}}, "out\n", "err\n", 0},
		{"an exit code", kavach.Cmd{Args: []string{"attack", "exit", "77"}}, "", "", 77},
		{"as much of a code as wait(2) tells", kavach.Cmd{Args: []string{"exits"}}, "", "", 300 & 0xff},
		{"a directory, for Go", kavach.Cmd{Args: []string{"attack", "cwd"}, Dir: "/modules"}, "/modules\n", "", 0},
		{"a path relative to it, for Go", kavach.Cmd{Args: []string{"attack", "stat", "empty.wasm"}, Dir: "/modules"}, "", "", 0},
		{"the module by a relative path", kavach.Cmd{Args: []string{"./attack.wasm", "echo", "x"}, Dir: "/modules"}, "x\n", "", 0},
		{"a command of C", kavach.Cmd{Args: []string{"tool", "x"}, Env: []string{"HOME=/h"}}, "argc 2, /h\n", "", 0},
		{"files of C, by absolute names", kavach.Cmd{Args: []string{"tool", "files", "/tmp"}}, "files are well\n", "", 0},
		{"files of C, by relative names", kavach.Cmd{Args: []string{"tool", "files", "."}, Dir: "/tmp"}, "files are well\n", "", 0},
		{"what is computed", kavach.Cmd{Args: []string{"tool", "sort", "100000"}}, "93 16777143\n", "", 0},
		{"an empty module", kavach.Cmd{Args: []string{"empty"}}, "", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			res := run(t, sb, tt.cmd)
			if res.ExitCode != tt.code || res.Signal != 0 || string(res.Stderr) != tt.stderr {
				t.Errorf("exit %d, signal %v, stderr %q", res.ExitCode, res.Signal, res.Stderr)
			}
			if got := string(res.Stdout); got != tt.stdout && (tt.stdout != "" || tt.cmd.Args[1] != "stat") {
				t.Errorf("stdout %.200q, want %.200q", got, tt.stdout)
			}
		})
	}
	res := run(t, sb, kavach.Cmd{Args: []string{"attack", "env"}, Env: []string{"OWN=1"}})
	env := strings.Split(strings.TrimSpace(string(res.Stdout)), "\n")
	slices.Sort(env)
	for _, kv := range env {
		if key, _, _ := strings.Cut(kv, "="); !slices.Contains([]string{"FROM", "HOME", "LANG", "OWN", "PATH", "PWD"}, key) {
			t.Errorf("CONTAINMENT 27: a module inherits %s", kv)
		}
	}
	if !slices.Contains(env, "FROM=policy") || !slices.Contains(env, "OWN=1") || !slices.Contains(env, "PWD=/") {
		t.Errorf("%q", env)
	}
}

// TestRealPrograms: gofmt is one that its makers do not ship as a module.
func TestRealPrograms(t *testing.T) {
	sb := sandbox(t, func(p *policy.Policy) { p.Filesystem.TmpSize = 64 << 20; p.Resources.Memory = 512 << 20 })
	source := "package  x\nfunc f( ) {a:=1\n_=a}\n"
	res := run(t, sb, kavach.Cmd{Args: []string{"gofmt"}, Stdin: strings.NewReader(source)})
	if want := "package x\n\nfunc f() {\n\ta := 1\n\t_ = a\n}\n"; res.ExitCode != 0 || string(res.Stdout) != want {
		t.Errorf("exit %d, %q, %q", res.ExitCode, res.Stdout, res.Stderr)
	}
	if through, seen := attack(t, sb, "write", "/tmp/x.go", source); !through {
		t.Fatal(seen)
	}
	res = run(t, sb, kavach.Cmd{Args: []string{"gofmt", "-l", "-w", "x.go"}, Dir: "/tmp"})
	if string(res.Stdout) != "x.go\n" || res.ExitCode != 0 {
		t.Errorf("exit %d, %q, %q", res.ExitCode, res.Stdout, res.Stderr)
	}
	if _, seen := attack(t, sb, "read", "/tmp/x.go"); !strings.HasPrefix(seen, "package x\n\nfunc f() {") {
		t.Errorf("%q", seen)
	}
}

// TestTraps: a module that comes to grief ends as a program does that crashes, and
// one that wants too much as one that the kernel kills for it.
func TestTraps(t *testing.T) {
	sb := sandbox(t, nil)
	tests := []struct {
		module string
		args   []string
		signal syscall.Signal
		oom    bool
		says   string
	}{
		{"unreachable", nil, syscall.SIGABRT, false, "unreachable"},
		{"bounds", nil, syscall.SIGABRT, false, "out of bounds memory access"},
		{"divide", nil, syscall.SIGABRT, false, "integer divide by zero"},
		{"recurse", nil, syscall.SIGABRT, false, "stack overflow"},
		{"grow", nil, syscall.SIGKILL, true, "more than 256 MiB"},
		{"growquiet", nil, 0, false, ""},
		{"huge", nil, syscall.SIGKILL, true, "does not fit into the limit of 256 MiB"},
		{"attack", []string{"grow", "1000"}, 0, true, "out of memory"},
		{"tool", []string{"malloc"}, 0, false, ""},
		{"attack", []string{"recurse"}, 0, true, "out of memory"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(append([]string{tt.module}, tt.args...), " "), func(t *testing.T) {
			res := run(t, sb, kavach.Cmd{Args: append([]string{tt.module}, tt.args...)})
			if res.Signal != tt.signal || res.OOMKilled != tt.oom || !strings.Contains(string(res.Stderr), tt.says) {
				t.Errorf("signal %v, OOM %v, exit %d, %.300q", res.Signal, res.OOMKilled, res.ExitCode, res.Stderr)
			}
		})
	}
	if res := run(t, sb, kavach.Cmd{Args: []string{"empty"}}); res.ExitCode != 0 || res.OOMKilled {
		t.Errorf("after all that: %+v", res)
	}
}

// TestEndless: CONTAINMENT 48 and 54.
func TestEndless(t *testing.T) {
	sb := sandbox(t, nil)
	for _, module := range []string{"spin", "attack"} {
		res := run(t, sb, kavach.Cmd{Args: []string{module, "spin"}, Timeout: 300 * time.Millisecond})
		if !res.TimedOut {
			t.Errorf("%s: %+v", module, res)
		}
	}
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"/modules/spin.wasm"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if res, err := p.Wait(t.Context()); err != nil || res.Signal != syscall.SIGTERM || len(res.Stderr) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGHUP} { // which Go handles otherwise
		p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"/modules/spin.wasm"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Signal(sig); err != nil {
			t.Error(err)
		}
		if res, err := p.Wait(t.Context()); err != nil || res.Signal != sig || len(res.Stderr) > 0 {
			t.Errorf("%v: %+v, %v", sig, res, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := sb.Run(ctx, kavach.Cmd{Args: []string{"/modules/spin.wasm"}}); err == nil {
		t.Error("it was cancelled, and ended well")
	}
}

// TestReproducible: the same clock and seed, the same run.
func TestReproducible(t *testing.T) {
	p := func(p *policy.Policy) { p.Wasm = policy.Wasm{Clock: "2030-02-03T04:05:06Z", Seed: "a seed"} }
	var clocks, numbers []string
	for range 2 {
		sb := sandbox(t, p)
		_, clock := attack(t, sb, "clock")
		_, random := attack(t, sb, "random")
		clocks, numbers = append(clocks, clock), append(numbers, random)
	}
	if clocks[0] != clocks[1] || !strings.HasPrefix(clocks[0], "2030-02-03T04:05:06.") || !strings.HasSuffix(clocks[0], " 1h0m0s") {
		t.Errorf("%q", clocks)
	}
	if numbers[0] != numbers[1] || len(numbers[0]) != 64 {
		t.Errorf("%q", numbers)
	}
	sb := sandbox(t, nil)
	_, one := attack(t, sb, "random")
	if _, two := attack(t, sb, "random"); one == two || one == numbers[0] {
		t.Error("the kernel's randomness repeats itself")
	}
	_, other := attack(t, sandbox(t, func(p *policy.Policy) { p.Wasm.Seed = "another" }), "random")
	if other == numbers[0] {
		t.Error("two seeds give the same")
	}
}

// TestOutput: live, collected, and more than is let through.
func TestOutput(t *testing.T) {
	sb := sandbox(t, func(p *policy.Policy) { p.Resources.Output = 1 << 20 })
	res := run(t, sb, kavach.Cmd{Args: []string{"attack", "flood", "100"}})
	if !res.Truncated || len(res.Stdout) != 1<<20 || res.ExitCode != 0 {
		t.Errorf("CONTAINMENT 53: %d bytes, truncated %v, exit %d", len(res.Stdout), res.Truncated, res.ExitCode)
	}
	var live bytes.Buffer
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/modules/attack.wasm", "echo", "live"}, Stdout: &live}); err != nil || live.String() != "live\n" {
		t.Errorf("%q, %v", live.String(), err)
	}
}

// TestTerminal: a module is started on one, and can tell.
func TestTerminal(t *testing.T) {
	sb := sandbox(t, nil)
	var out bytes.Buffer
	res, err := sb.Run(t.Context(), kavach.Cmd{
		Args: []string{"/modules/attack.wasm", "cat"}, Stdin: strings.NewReader("typed\n\x04"), Stdout: &out,
		Terminal: &backend.WindowSize{Rows: 24, Cols: 80},
	})
	if err != nil || res.ExitCode != 0 || out.String() != "typed\r\ntyped\r\n" {
		t.Errorf("%+v, %v, %q", res, err, out.String())
	}
}

// TestPause: what is frozen does not go on.
func TestPause(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("an ordinary user has no cgroup here")
		return
	}
	sb := sandbox(t, nil)
	var out bytes.Buffer
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"/modules/attack.wasm", "sleep", "1"}, Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sb.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res, err := p.Wait(t.Context()); err != nil || res.ExitCode != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if err := sb.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sb.Destroy(t.Context()); err != nil {
		t.Errorf("destroy while it is paused: %v", err)
	}
}

func moduleBytes(t testing.TB, name string) []byte { return testbin.Module(t, name) }

func sum(t testing.TB, name string) [32]byte { return sha256.Sum256(moduleBytes(t, name)) }
