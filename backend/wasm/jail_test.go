//go:build linux

package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// escaped runs the attack program of this machine where a worker runs, as something
// would that has broken out of the runtime, but for the worker's own filter.
func escaped(t testing.TB, mounts []policy.Mount, without []policy.Control, args ...string) (through bool, seen string) {
	t.Helper()
	b := newBackend(t, without...)
	b.Worker = testbin.Attack(t)
	p := strict(t)
	p.Filesystem.Mounts = mounts
	p.BestEffort = policy.Controls()
	spec := backend.Spec{ID: fmt.Sprintf("%016x", rand.Uint64()), Policy: p}
	cfg, _, err := b.place(&spec)
	if err != nil {
		t.Fatal(err)
	}
	j, err := start(t.Context(), cfg, &p)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close(context.Background())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := j.Exec(t.Context(), backend.Cmd{Args: append([]string{jail.WorkerPath}, args...), Dir: "/", Stdout: w, Stderr: w, Env: []string{"KAVACH_ATTACK_TWIN=1"}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r) // what it says is for people
	exit, err := c.Wait(t.Context())
	if err != nil || exit.Code > 1 {
		t.Fatalf("attack %v: %+v, %v: %s", args, exit, err, text)
	}
	return exit.Code == 0 && exit.Signal == 0, strings.TrimSpace(string(text))
}

// TestSecondWall: whatever gets out of the runtime is in a jail. With the layer that
// stops it left out, the same gets through.
func TestSecondWall(t *testing.T) {
	s := newStage(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("pong")) // who asked may be gone
			c.Close()
		}
	}()
	work := []policy.Mount{{Source: s.dir, Target: "/work"}}
	tests := []struct {
		what    string
		without []policy.Control // the twin's; nil: it has the mount
		mount   policy.Mount
		args    []string
	}{
		{"read a file of the host", nil, policy.Mount{Source: filepath.Dir(s.secret)}, []string{"read", s.secret, secretText}},
		{"write to a file of the host", nil, policy.Mount{Source: s.dir, Target: "/work", Access: policy.AccessWrite}, []string{"write", "/work/file", "x"}},
		{"open a file that no rule grants", []policy.Control{policy.LandlockOn}, policy.Mount{}, []string{"read", "/.landlock-canary", "Kavach"}},
		{"connect to the host", []policy.Control{policy.NSNet, policy.LandlockOn, policy.SeccompOn}, policy.Mount{}, []string{"dial", "tcp", l.Addr().String()}},
		{"ask for a key", []policy.Control{policy.SeccompOn}, policy.Mount{}, []string{"call", "keyctl"}},
		{"load a program for the kernel", []policy.Control{policy.SeccompOn}, policy.Mount{}, []string{"call", "bpf"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			if through, seen := escaped(t, work, nil, tt.args...); through {
				t.Errorf("it got through: %s", seen)
			}
			mounts := work
			if tt.without == nil {
				mounts = []policy.Mount{tt.mount}
			}
			if through, seen := escaped(t, mounts, tt.without, tt.args...); !through {
				t.Errorf("without %v it fails as well, so the test proves nothing: %s", tt.without, seen)
			}
		})
	}
}

// TestOwnFilter: a worker's own filter refuses what it says, and the proof knows when
// there is none.
func TestOwnFilter(t *testing.T) {
	made, err := newBackend(t).Create(t.Context(), backend.Spec{ID: fmt.Sprintf("%016x", rand.Uint64()), Policy: strict(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = made.Destroy(context.Background()) }()
	if i := made.(*instance); !confined(&i.idle.hello) {
		t.Errorf("%+v", i.idle.hello)
	}
	p := strict(t)
	p.BestEffort = policy.Controls()
	sb, err := create(t, newBackend(t, policy.SeccompOn), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []policy.Control{policy.KernelOwn, policy.SeccompOn} {
		if line := lineOf(sb, c); line.State != backend.Missing {
			t.Errorf("without a filter, %s is %s: %s", c, line.State, line.Proof)
		}
	}
	if res := run(t, sb, kavach.Cmd{Args: []string{"attack", "echo", "x"}}); string(res.Stdout) != "x\n" {
		t.Errorf("%+v", res)
	}
}

func lineOf(sb *kavach.Sandbox, c policy.Control) (line struct {
	State  backend.State
	Points int
	Proof  string
}) {
	for _, l := range sb.Score().Controls {
		if l.Name == c {
			line.State, line.Points, line.Proof = l.State, l.Points, l.Proof
		}
	}
	return line
}

// TestScore: all that there is is proven, and each layer that is left out is missed.
func TestScore(t *testing.T) {
	module := fmt.Sprintf("sha256:%x", sum(t, "empty"))
	sb := sandbox(t, func(p *policy.Policy) { p.Wasm.Modules = []string{module} })
	lost := 0
	for _, line := range sb.Score().Controls {
		if line.State != backend.Enforced && !(line.Name == policy.Limits && os.Geteuid() != 0) && !(line.Name == policy.NSCgroup) {
			t.Errorf("%s is %s: %s", line.Name, line.State, line.Proof)
		}
		lost += line.Of - line.Points
	}
	if got := sb.Score().Value; got+lost != 83 {
		t.Errorf("score %d, lost %d, want 83 together: %+v", got, lost, sb.Score())
	}
	for _, c := range []policy.Control{
		policy.NSNet, policy.NSIpc, policy.CapsNone, // without the others there is no jail to run a worker in
		policy.NoNewPrivs, policy.FDsClean, policy.EnvClean, policy.ProcMasked, policy.SeccompOn, policy.LandlockOn, policy.RootReadonly, policy.Limits,
	} {
		p := strict(t)
		p.BestEffort = policy.Controls()
		without := []policy.Control{c}
		if c == policy.NoNewPrivs && os.Geteuid() != 0 {
			continue // a filter takes it, or root
		}
		if c == policy.CapsNone || c == policy.NoNewPrivs {
			without = append(without, policy.SeccompOn)
		}
		loose, err := create(t, newBackend(t, without...), p)
		if err != nil {
			t.Errorf("without %v: %v", without, err)
			continue
		}
		if line := lineOf(loose, c); line.State == backend.Enforced {
			t.Errorf("without %v, %s is %s: %s", without, c, line.State, line.Proof)
		}
	}
}

// TestNothingInherited: CONTAINMENT 7 and 27, of the worker itself.
func TestNothingInherited(t *testing.T) {
	made, err := newBackend(t).Create(t.Context(), backend.Spec{ID: fmt.Sprintf("%016x", rand.Uint64()), Policy: strict(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = made.Destroy(context.Background()) }()
	i := made.(*instance)
	s, err := i.look(testbin.Wasm(t))
	if err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.pid))
	if err != nil || len(env) > 0 {
		t.Errorf("environment %q, %v", env, err)
	}
	for _, to := range s.files {
		if !strings.HasPrefix(to, "socket:") && !strings.HasPrefix(to, "anon_inode:") {
			t.Errorf("a worker has %s", to)
		}
	}
	if mode := statMode(t, fmt.Sprintf("/proc/%d/exe", s.pid)); mode&0o022 != 0 {
		t.Errorf("mode %o", mode)
	}
}

func statMode(t testing.TB, name string) uint32 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Mode
}

// TestModules: only what is named runs, however it is brought.
func TestModules(t *testing.T) {
	named := fmt.Sprintf("sha256:%x", sum(t, "empty"))
	sb := sandbox(t, func(p *policy.Policy) { p.Wasm.Modules = []string{named}; p.Filesystem.TmpSize = 8 << 20 })
	if res := run(t, sb, kavach.Cmd{Args: []string{"empty"}}); res.ExitCode != 0 {
		t.Errorf("%+v", res)
	}
	if line := lineOf(sb, policy.ImageVerified); line.Points != 3 {
		t.Errorf("%+v", line)
	}
	var refused *backend.ExecError
	_, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/modules/attack.wasm", "echo"}})
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), fmt.Sprintf("%x", sum(t, "attack"))) {
		t.Errorf("%v", err)
	}
	if _, err := sb.Load(t.Context(), library(t)); !errors.As(err, &refused) {
		t.Errorf("by its bytes: %v", err)
	}
	if res := run(t, sb, kavach.Cmd{Args: []string{"empty"}}); res.ExitCode != 0 {
		t.Errorf("after a refusal: %+v", res)
	}
}

// TestBadModules: each is refused with what is wrong, and the next is run.
func TestBadModules(t *testing.T) {
	dir := testbin.TempDir(t)
	good := moduleBytes(t, "library")
	files := map[string]struct {
		data []byte
		says string
	}{
		"text":       {[]byte("#!/bin/sh\necho\n"), "not a WebAssembly module"},
		"nothing":    {nil, "not a WebAssembly module"},
		"magic":      {[]byte("\x00asm"), "not a WebAssembly module"},
		"component":  {[]byte("\x00asm\x0d\x00\x01\x00"), "component"},
		"later":      {[]byte("\x00asm\x02\x00\x00\x00"), "not a WebAssembly module"},
		"cut":        {good[:len(good)/2], "section"},
		"more":       {slices.Concat(good, []byte{99, 1, 0}), "section"},
		"wasiimport": {moduleBytes(t, "wasiimport"), "sock_open_everything"},
		"envimport":  {moduleBytes(t, "envimport"), "env.system"},
		"memimport":  {moduleBytes(t, "memimport"), "imports a memory"},
		"library":    {good, "no _start"},
	}
	for name, f := range files {
		if err := os.WriteFile(filepath.Join(dir, name), f.data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sb := sandbox(t, func(p *policy.Policy) {
		p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: dir, Target: "/bad"})
	})
	for name, f := range files {
		_, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/bad/" + name}})
		var refused *backend.ExecError
		if !errors.As(err, &refused) || refused.NotFound() || !strings.Contains(err.Error(), f.says) {
			t.Errorf("%s: %v, want %q", name, err, f.says)
		}
	}
	for path, want := range map[string]unix.Errno{"/bad/absent": unix.ENOENT, "absent": unix.ENOENT, "/bad": unix.EISDIR} {
		_, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{path}})
		var refused *backend.ExecError
		if !errors.As(err, &refused) || refused.Errno != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	var refused *backend.ExecError
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/modules/empty.wasm"}, Dir: "/nowhere"}); !errors.As(err, &refused) || refused.Step != "chdir" {
		t.Errorf("%v", err)
	}
	if res := run(t, sb, kavach.Cmd{Args: []string{"empty"}}); res.ExitCode != 0 {
		t.Errorf("%+v", res)
	}
}

// TestMutatedModules: CONTAINMENT 48. Whatever a module is made of, Kavach says what
// is wrong with it or runs it to an end.
func TestMutatedModules(t *testing.T) {
	const rounds = 150
	r := rand.New(rand.NewPCG(4, 8))
	sb := sandbox(t, nil)
	ran, refusals := 0, 0
	for n := range rounds {
		module := slices.Clone(moduleBytes(t, []string{"grow", "recurse", "library", "exits", "host", "reactor"}[n%6]))
		for range 1 + r.IntN(4) {
			module[8+r.IntN(len(module)-8)] ^= 1 << r.IntN(8)
		}
		m := kavach.Module{Cmd: kavach.Cmd{Args: []string{"mutant"}}, CallTimeout: 1 << 30}
		m.Bytes, m.Functions = module, hostFunctions(func(string) {})
		ctx, cancel := context.WithTimeout(t.Context(), 1<<33)
		p, err := sb.Load(ctx, m)
		var refused *backend.ExecError
		switch {
		case errors.As(err, &refused) || errors.Is(err, context.DeadlineExceeded):
			refusals++
		case err != nil:
			t.Errorf("%x: %v", module, err)
		default:
			ran++
			for name, f := range p.Functions() {
				_, err := p.Call(ctx, name, make([]uint64, len(f.Params))...)
				var trap *backend.TrapError
				if err != nil && !errors.As(err, &trap) && !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "load it again") {
					t.Errorf("%x: %s: %v", module, name, err)
				}
			}
			if _, err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		cancel()
	}
	t.Logf("%d ran, %d were refused", ran, refusals)
	if ran == 0 || refusals == 0 {
		t.Error("they are all alike, which proves little")
	}
}

// TestCache: what is kept is used, and only where nobody else could have put it there.
func TestCache(t *testing.T) {
	dir := filepath.Join(testbin.TempDir(t), "cache")
	kept := func() (names []string) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	try := func(why string) {
		t.Helper()
		b := newBackend(t)
		b.Cache = dir
		sb, err := create(t, b, strict(t))
		if err != nil {
			t.Fatal(err)
		}
		if res := run(t, sb, kavach.Cmd{Args: []string{"tool", "x"}}); res.ExitCode != 0 || !strings.HasPrefix(string(res.Stdout), "argc 2") {
			t.Errorf("%s: %+v", why, res)
		}
	}
	try("nothing is kept")
	name := fmt.Sprintf("%x", sum(t, "tool"))
	if got := kept(); !slices.Equal(got, []string{name}) {
		t.Fatalf("kept: %v", got)
	}
	file := filepath.Join(dir, name)
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stamp := func() int64 {
		var st unix.Stat_t
		if err := unix.Stat(file, &st); err != nil {
			return 0
		}
		return int64(st.Ino)
	}
	before := stamp()
	try("it is kept")
	if stamp() != before {
		t.Error("it was compiled again")
	}
	line := bytes.IndexByte(code, '\n') + 1
	for why, data := range map[string][]byte{
		"cut": code[:len(code)/2], "empty": nil, "flipped": flip(code, len(code)/2), "another version": flip(code, line+8),
		"a function elsewhere": flip(code, line+20), "its last byte": flip(code, len(code)-1),
		"another machine's": slices.Concat(code[:line-2], []byte("0\n"), code[line:]), "leads out": slices.Concat([]byte(header+"../../x\n"), code[line:]),
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		try(why)
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, code) {
			t.Errorf("%s: what is kept is %d bytes of %d, %v", why, len(got), len(code), err)
		}
	}
	// What is somebody else's, or could be, is left alone.
	bad := flip(code, len(code)/2)
	for why, spoil := range map[string]func() error{
		"open to all": func() error { return errors.Join(os.WriteFile(file, bad, 0o600), os.Chmod(file, 0o666)) },
		"linked": func() error {
			return errors.Join(os.WriteFile(file+"x", bad, 0o600), os.Remove(file), os.Symlink(file+"x", file))
		},
		"linked twice": func() error {
			return errors.Join(os.Remove(file), os.WriteFile(file, bad, 0o600), os.Link(file, file+"y"))
		},
		"a directory":    func() error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
		"open directory": func() error { return os.Chmod(dir, 0o777) },
	} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(file, code, 0o600), spoil()); err != nil {
			t.Fatal(why, err)
		}
		try(why)
	}
}

func flip(data []byte, at int) []byte {
	data = slices.Clone(data)
	data[at] ^= 0xff
	return data
}
