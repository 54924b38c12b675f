//go:build linux

package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/workspace"
)

// TestCacheIsHidden: no sandbox changes what others run, whatever it is shown.
func TestCacheIsHidden(t *testing.T) {
	base, err := filepath.EvalSymlinks(testbin.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	b := newBackend(t)
	b.Cache = filepath.Join(base, "home/.cache/kavach/wasm")
	home := filepath.Join(base, "home")
	elsewhere := newBackend(t) // whose cache is not in there: the twin
	if err := errors.Join(os.MkdirAll(filepath.Dir(b.Cache), 0o755), os.Mkdir(b.Cache, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, access := range []string{policy.AccessWrite, policy.AccessDirect} {
		p := strict(t)
		p.Filesystem.TmpSize = 16 << 20
		p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: home, Target: "/home", Access: access})
		sb, err := create(t, b, p)
		if err != nil {
			t.Fatal(err)
		}
		run(t, sb, kavach.Cmd{Args: []string{"empty"}})
		loose, err := create(t, elsewhere, p)
		if err != nil {
			t.Fatal(err)
		}
		if through, seen := attack(t, loose, "write", "/home/.cache/kavach/wasm/mine", "x"); !through {
			t.Errorf("%s: where it is not hidden it cannot be written to either, so the test proves nothing: %s", access, seen)
		}
		name := fmt.Sprintf("%x", sum(t, "empty"))
		if through, seen := attack(t, sb, "list", "/home/.cache/kavach/wasm"); seen != "" {
			t.Errorf("%s: it is seen: %v, %s", access, through, seen)
		}
		for _, try := range [][]string{
			{"write", "/home/.cache/kavach/wasm/" + name, "x"}, {"remove", "/home/.cache/kavach/wasm/" + name},
			{"rename", "/home/.cache/kavach/wasm", "/home/.cache/kavach/old"},
		} {
			if through, seen := attack(t, sb, try...); through {
				t.Errorf("%s: %v: %s", access, try, seen)
			}
		}
		if access == policy.AccessDirect {
			continue
		}
		// What is made under such a name elsewhere is not applied unasked.
		if through, seen := attack(t, sb, "mkdir", "/home/other/.cache/kavach/wasm"); !through {
			t.Fatal(seen)
		}
		if through, seen := attack(t, sb, "write", "/home/other/.cache/kavach/wasm/"+name, "x"); !through {
			t.Fatal(seen)
		}
		if err := sb.Halt(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := sb.Changes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := sb.Apply(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(outcomes, func(o workspace.Outcome) bool {
			return strings.HasSuffix(o.Path, name) && o.State == workspace.Protected
		}) {
			t.Errorf("%+v", outcomes)
		}
	}
}

// TestExchangedDirectories: what a module may move it may not move others' view with.
// Where links are followed, as wazero does it, it does.
func TestExchangedDirectories(t *testing.T) {
	for _, links := range []bool{false, true} {
		s := newStage(t)
		if err := os.Mkdir(filepath.Join(s.dir, "x"), 0o777); err != nil {
			t.Fatal(err)
		}
		p := strict(t)
		p.Filesystem.TmpSize = 16 << 20
		p.Filesystem.Mounts = append(p.Filesystem.Mounts,
			policy.Mount{Source: s.dir, Target: "/data", Access: policy.AccessDirect},
			policy.Mount{Source: s.secret, Target: "/data/x/f"})
		b := newBackend(t)
		b.links = links
		sb, err := create(t, b, p)
		if err != nil {
			t.Fatal(err)
		}
		if through, seen := attack(t, sb, "read", "/data/x/f"); !through || seen != secretText {
			t.Fatal(seen)
		}
		for _, dir := range []string{"sub", "x"} {
			at := filepath.Join(s.dir, dir)
			if err := errors.Join(os.Rename(at, at+"-moved"), os.Symlink("..", at)); err != nil {
				t.Fatal(err)
			}
		}
		out := false
		for _, dir := range []string{"/data/sub", "/data/x", "/data", "/"} {
			res := run(t, sb, kavach.Cmd{Args: []string{"tool", "cat", "proc/self/maps"}, Dir: dir})
			out = out || res.ExitCode == 0
		}
		if out != links {
			t.Errorf("links are followed: %v, and a module reads the worker's memory map: %v", links, out)
		}
	}
}

// TestNothingGathers: what workers make for themselves is gone when they wait.
func TestNothingGathers(t *testing.T) {
	sb := sandbox(t, nil)
	for range 4 {
		run(t, sb, kavach.Cmd{Args: []string{"tool", "x"}})
	}
	if !testclock.Until(patience, func() bool { return len(workers(t, sb)) == 1 }) {
		t.Fatal("no worker waits")
	}
	own := fmt.Sprintf("/proc/%d/root/.kavach/own", workers(t, sb)[0])
	if !testclock.Until(patience, func() bool {
		entries, err := os.ReadDir(own)
		return err == nil && len(entries) == 0
	}) {
		entries, err := os.ReadDir(own)
		t.Errorf("%v, %v", entries, err)
	}
}

// bomb is a module that takes long to compile: blocks in blocks.
func bomb(depth int) []byte {
	leb := func(n int) (b []byte) {
		for ; n >= 0x80; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		return append(b, byte(n))
	}
	section := func(id byte, content []byte) []byte { return slices.Concat([]byte{id}, leb(len(content)), content) }
	code := slices.Concat([]byte{0}, bytes.Repeat([]byte{0x02, 0x40}, depth), bytes.Repeat([]byte{0x0b}, depth), []byte{0x0b})
	body := slices.Concat(leb(len(code)), code)
	return slices.Concat([]byte(magic), section(1, []byte{1, 0x60, 0, 0}), section(3, []byte{1, 0}),
		section(7, slices.Concat([]byte{1, 6}, []byte("_start"), []byte{0, 0})), section(10, slices.Concat([]byte{1}, body)))
}

const magic = "\x00asm\x01\x00\x00\x00"

// TestCompileBombs: who waits for a module to be compiled may stop to, and the sandbox
// is well; Destroy does not wait.
func TestCompileBombs(t *testing.T) {
	dir := testbin.TempDir(t)
	file := filepath.Join(dir, "m.wasm")
	if err := os.WriteFile(file, bomb(100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t)
	p := strict(t)
	p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: dir, Target: "/m"})
	sb, err := create(t, b, p)
	if err != nil {
		t.Fatal(err)
	}
	var unready *backend.UnreadyError
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/m/m.wasm"}, Timeout: 100 * time.Millisecond}); !errors.As(err, &unready) {
		t.Errorf("%v", err)
	}
	var all sync.WaitGroup
	for range 2 { // one compiles, the other waits for it
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begin := testclock.Start()
			if _, err := sb.Run(ctx, kavach.Cmd{Args: []string{"/m/m.wasm"}}); err == nil || begin.Ran() > 10*time.Second {
				t.Errorf("%v after %v", err, begin.Ran())
			}
		})
	}
	all.Wait()
	if res := run(t, sb, kavach.Cmd{Args: []string{"empty"}}); res.ExitCode != 0 {
		t.Errorf("%+v", res)
	}

	// The next worker is made ready with what was run last, which is another module now.
	made, err := b.Create(t.Context(), backend.Spec{ID: fmt.Sprintf("%016x", rand.Uint64()), Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	i := made.(*instance)
	i.idle.end()
	i.idle, i.starts, i.last = nil, 2, &wasmwire.Load{Name: "/m/m.wasm", Dir: "/"}
	i.prepare()
	time.Sleep(100 * time.Millisecond) // until it is at it
	begin := testclock.Start()
	if err := made.Destroy(t.Context()); err != nil || begin.Ran() > 5*time.Second {
		t.Errorf("%v after %v", err, begin.Ran())
	}
}

// TestLoadIsBounded: by the same time as a call.
func TestLoadIsBounded(t *testing.T) {
	sb := sandbox(t, nil)
	m := kavach.Module{Cmd: kavach.Cmd{Args: []string{"/modules/initspin.wasm"}}, CallTimeout: 300 * time.Millisecond}
	if _, err := sb.Load(t.Context(), m); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// TestHostIsToldOnRecord: nothing leaves before it is recorded.
func TestHostIsToldOnRecord(t *testing.T) {
	r := &recorder{}
	rt := &kavach.Runtime{Backends: []backend.Backend{newBackend(t)}, Audit: r}
	sb, err := rt.Create(t.Context(), kavach.Config{Policy: strict(t), Backend: Name})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sb.Destroy(context.Background()) }()
	var before []string
	m := kavach.Module{Cmd: kavach.Cmd{Args: []string{"/modules/inittells.wasm"}}}
	m.Functions = []backend.HostFunction{{Module: "env", Name: "tell", Signature: backend.Signature{Params: []backend.ValueType{backend.I32}},
		Call: func(context.Context, backend.Memory, []uint64) ([]uint64, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			before = slices.Clone(r.acts)
			return nil, nil
		}}}
	load(t, sb, m)
	if want := []string{"create", "prove", "exec", "release"}; !slices.Equal(before, want) {
		t.Errorf("%v, want %v", before, want)
	}
}

// TestTrimLeavesOthers: a cache directory may have been somebody's before.
func TestTrimLeavesOthers(t *testing.T) {
	dir := filepath.Join(testbin.TempDir(t), "cache")
	old := time.Now().Add(-24 * time.Hour)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".bashrc", "notes", ".0123456789abcdef"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), os.Chtimes(file, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	b := newBackend(t)
	b.Cache = dir
	sb, err := create(t, b, strict(t))
	if err != nil {
		t.Fatal(err)
	}
	run(t, sb, kavach.Cmd{Args: []string{"empty"}})
	for name, stays := range map[string]bool{".bashrc": true, "notes": true, ".0123456789abcdef": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReentry: a function of the host cannot call the module that waits for it, and
// one that panics takes the plugin with it.
func TestReentry(t *testing.T) {
	sb := sandbox(t, nil)
	var outer *kavach.PluginInstance
	var inner error
	mode := ""
	functions := hostFunctions(func(string) {})
	functions[0].Call = func(ctx context.Context, _ backend.Memory, _ []uint64) ([]uint64, error) {
		if mode == "panic" {
			panic("the host")
		}
		_, inner = outer.Call(ctx, "tell")
		_, readErr := outer.Read(ctx, 0, 1)
		inner = errors.Join(inner, readErr)
		return []uint64{0}, nil
	}
	p := load(t, sb, kavach.Module{Cmd: kavach.Cmd{Args: []string{"host"}}, Module: backend.Module{Bytes: moduleBytes(t, "host"), Functions: functions}})
	err := p.Do(t.Context(), func(ctx context.Context, i *kavach.PluginInstance) error {
		outer = i
		_, err := i.Call(ctx, "scaled", 1, math.Float64bits(1))
		return err
	})
	if err != nil || inner == nil || !strings.Contains(inner.Error(), "a call is going on") {
		t.Errorf("%v, %v", err, inner)
	}
	mode = "panic"
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		_, _ = p.Call(t.Context(), "scaled", 1, 1)
	}()
	if _, err := p.Call(t.Context(), "tell"); err == nil {
		t.Error("it goes on after a panic in the middle of a call")
	}
}

// TestEdges: of addresses, and of what no argument can hold.
func TestEdges(t *testing.T) {
	p := strict(t)
	p.Resources.Memory = policy.Unlimited
	p.BestEffort = []policy.Control{policy.Limits}
	sb, err := create(t, newBackend(t), p)
	if err != nil {
		t.Fatal(err)
	}
	huge := load(t, sb, kavach.Module{Cmd: kavach.Cmd{Args: []string{"huge"}}, Module: backend.Module{Bytes: moduleBytes(t, "huge")}})
	err = huge.Do(t.Context(), func(ctx context.Context, i *kavach.PluginInstance) error {
		var beyond *backend.MemoryError
		for _, at := range []uint32{math.MaxUint32, math.MaxUint32 - 5} {
			if _, err := i.Read(ctx, at, 10); !errors.As(err, &beyond) {
				t.Errorf("read at %#x: %v", at, err)
			}
			if err := i.Write(ctx, at, make([]byte, 10)); !errors.As(err, &beyond) {
				t.Errorf("write at %#x: %v", at, err)
			}
		}
		if _, err := i.Read(ctx, math.MaxUint32-99, 100); err != nil && !errors.As(err, &beyond) {
			t.Errorf("the last bytes: %v", err)
		}
		got, err := i.Read(ctx, math.MaxUint32-200, 100)
		if err == nil && len(got) != 100 {
			t.Errorf("%d bytes", len(got))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, cmd := range []kavach.Cmd{
		{Args: []string{"/modules/empty.wasm", "a\x00b"}}, {Args: []string{"/modules/empty.wasm"}, Env: []string{"A=\x00"}},
	} {
		_, err := sb.Run(t.Context(), cmd)
		var refused *backend.ExecError
		if !errors.As(err, &refused) || !errors.Is(err, unix.EINVAL) {
			t.Errorf("%q: %v", cmd.Args, err)
		}
	}
}
