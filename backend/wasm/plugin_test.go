//go:build linux

package wasm

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/gate"
)

func library(t testing.TB) kavach.Module {
	return kavach.Module{Cmd: kavach.Cmd{Args: []string{"library"}}, Module: backend.Module{Bytes: moduleBytes(t, "library")}}
}

func load(t testing.TB, sb *kavach.Sandbox, m kavach.Module) *kavach.Plugin {
	t.Helper()
	p, err := sb.Load(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := p.Close(context.Background()); err != nil && !errors.Is(err, backend.ErrDestroyed) {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

func call(t testing.TB, p *kavach.Plugin, name string, args ...uint64) []uint64 {
	t.Helper()
	results, err := p.Call(t.Context(), name, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return results
}

// TestPlugin: functions with all types, memory, and state that stays.
func TestPlugin(t *testing.T) {
	sb := sandbox(t, nil)
	p := load(t, sb, library(t))
	if got := call(t, p, "add", 40, 2); !slices.Equal(got, []uint64{42}) {
		t.Error(got)
	}
	if got := call(t, p, "add", math.MaxUint64, 2); got[0] != 1 {
		t.Errorf("what is above 32 bits gets through: %#x", got[0])
	}
	minus := int64(-5)
	got := call(t, p, "mixed", uint64(uint32(0xffffffff)), uint64(minus), uint64(math.Float32bits(1.5)), math.Float64bits(2.25))
	if len(got) != 2 || math.Float64frombits(got[0]) != 3.75 || int64(got[1]) != -6 {
		t.Errorf("%v", got)
	}
	if got := call(t, p, "nothing"); len(got) != 0 {
		t.Error(got)
	}
	for n := uint64(1); n <= 3; n++ {
		if got := call(t, p, "count"); got[0] != n {
			t.Errorf("count %d at call %d", got[0], n)
		}
	}
	want := backend.Signature{Params: []backend.ValueType{backend.I32, backend.I64, backend.F32, backend.F64}, Results: []backend.ValueType{backend.F64, backend.I64}}
	if got := p.Functions()["mixed"]; !slices.Equal(got.Params, want.Params) || !slices.Equal(got.Results, want.Results) {
		t.Errorf("%+v", got)
	}
	err := p.Do(t.Context(), func(ctx context.Context, i *kavach.PluginInstance) error {
		text, err := i.Read(ctx, 16, 21)
		if string(text) != "hello from the module" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		data := bytes.Repeat([]byte{1, 2}, 30000)
		if err := i.Write(ctx, 1000, data); err != nil {
			return err
		}
		sum, err := i.Call(ctx, "sum", 1000, uint64(len(data)))
		if err != nil || sum[0] != 90000 {
			t.Errorf("%v, %v", sum, err)
		}
		var beyond *backend.MemoryError
		if _, err := i.Read(ctx, 65530, 100); !errors.As(err, &beyond) {
			t.Errorf("beyond the end: %v", err)
		}
		if err := i.Write(ctx, math.MaxUint32, data[:2]); !errors.As(err, &beyond) {
			t.Errorf("beyond the end: %v", err)
		}
		if empty, err := i.Read(ctx, 0, 0); err != nil || len(empty) != 0 {
			t.Errorf("%v, %v", empty, err)
		}
		_, err = i.Call(ctx, "grow", 48) // to 49 pages, 3 MiB: more than one frame holds
		if err != nil {
			return err
		}
		big := bytes.Repeat([]byte("0123456789abcdef"), 160<<10)
		if err := i.Write(ctx, 100000, big); err != nil {
			return err
		}
		if back, err := i.Read(ctx, 100000, uint32(len(big))); err != nil || !bytes.Equal(back, big) {
			t.Errorf("%d bytes of %d, %v", len(back), len(big), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for why, args := range map[string][]uint64{"add": {1}, "no such function": {}} {
		if _, err := p.Call(t.Context(), why, args...); err == nil {
			t.Errorf("%s: no error", why)
		}
	}
	if got := call(t, p, "count"); got[0] != 4 {
		t.Errorf("the instance is another: %v", got)
	}
}

// TestPluginInGo: a reactor of another compiler, with its environment and output.
func TestPluginInGo(t *testing.T) {
	sb := sandbox(t, nil)
	var out, errs bytes.Buffer
	p := load(t, sb, kavach.Module{Cmd: kavach.Cmd{Args: []string{"/modules/goplugin.wasm"}, Env: []string{"NAME=you"}, Stdout: &out, Stderr: &errs}})
	for n := uint64(1); n <= 2; n++ {
		if got := call(t, p, "greet", n); got[0] != n {
			t.Error(got)
		}
	}
	var trap *backend.TrapError
	if _, err := p.Call(t.Context(), "leave"); !errors.As(err, &trap) || !trap.Exited || trap.Code != 6 {
		t.Error(err)
	}
	if _, err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if out.String() != "hello  you\nhello hello  you\n" || errs.String() != "greeted 1\ngreeted 2\n" {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
}

// TestPluginReactor: what initialises itself is initialised.
func TestPluginReactor(t *testing.T) {
	sb := sandbox(t, nil)
	p := load(t, sb, kavach.Module{Cmd: kavach.Cmd{Args: []string{"/modules/reactor.wasm"}}})
	if got := call(t, p, "get"); got[0] != 42 {
		t.Error(got)
	}
}

// TestPluginFresh: nothing is left of one call for the next; what traps or ends
// itself takes its instance with it, and a plugin that is not fresh.
func TestPluginFresh(t *testing.T) {
	sb := sandbox(t, nil)
	m := library(t)
	m.Fresh = true
	p := load(t, sb, m)
	for range 3 {
		if got := call(t, p, "count"); got[0] != 1 {
			t.Errorf("something is left of another call: %v", got)
		}
	}
	var trap *backend.TrapError
	if _, err := p.Call(t.Context(), "trap"); !errors.As(err, &trap) || !strings.Contains(trap.Reason, "unreachable") {
		t.Errorf("%v", err)
	}
	if got := call(t, p, "count"); got[0] != 1 {
		t.Error(got)
	}
	err := p.Do(t.Context(), func(ctx context.Context, i *kavach.PluginInstance) error {
		for n := uint64(1); n < 4; n++ {
			if got, err := i.Call(ctx, "count"); err != nil || got[0] != n {
				t.Errorf("in one Do: %v, %v", got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	shared := load(t, sb, library(t))
	if _, err := shared.Call(t.Context(), "trap"); !errors.As(err, &trap) {
		t.Error(err)
	}
	if _, err := shared.Call(t.Context(), "count"); err == nil || !strings.Contains(err.Error(), "load it again") {
		t.Errorf("after a trap: %v", err)
	}
	leaving := load(t, sb, kavach.Module{Cmd: kavach.Cmd{Args: []string{"exits"}}, Fresh: true, Module: backend.Module{Bytes: moduleBytes(t, "exits")}})
	if _, err := leaving.Call(t.Context(), "leave"); !errors.As(err, &trap) || !trap.Exited || trap.Code != 5 {
		t.Errorf("%v", err)
	}
}

// TestPluginDeadline: a call that is late is killed, by whatever bounds it.
func TestPluginDeadline(t *testing.T) {
	sb := sandbox(t, nil)
	m := library(t)
	m.CallTimeout = 200 * time.Millisecond
	p := load(t, sb, m)
	if _, err := p.Call(t.Context(), "spin"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := p.Call(t.Context(), "count"); err == nil {
		t.Error("it is called after it was killed")
	}
	if res, err := p.Close(t.Context()); err != nil || res.Signal == 0 {
		t.Errorf("%+v, %v", res, err)
	}
	other := load(t, sb, library(t))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := other.Call(ctx, "spin"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	third := load(t, sb, library(t))
	time.AfterFunc(100*time.Millisecond, func() { _, _ = third.Close(context.Background()) })
	if _, err := third.Call(t.Context(), "spin"); err == nil {
		t.Error("it was closed during a call, which ended well")
	}
	if got := call(t, load(t, sb, library(t)), "count"); got[0] != 1 {
		t.Error(got)
	}
}

// TestPluginMemory: the bound is the plugin's, and the policy's above it.
func TestPluginMemory(t *testing.T) {
	sb := sandbox(t, nil)
	m := library(t)
	m.Memory = 1 << 20
	p := load(t, sb, m)
	if got := call(t, p, "grow", 15); got[0] != 1 {
		t.Errorf("%#x", got)
	}
	if got := call(t, p, "grow", 1); uint32(got[0]) != math.MaxUint32 {
		t.Errorf("%#x", got)
	}
	m.Memory, m.Module.Bytes = 1<<20, moduleBytes(t, "huge")
	var refused *backend.ExecError
	if _, err := sb.Load(t.Context(), m); !errors.As(err, &refused) || !strings.Contains(err.Error(), "limit of 1 MiB") {
		t.Errorf("%v", err)
	}
}

// hostFunctions are what the module host imports.
func hostFunctions(log func(text string)) []backend.HostFunction {
	i32, f64 := backend.I32, backend.F64
	return []backend.HostFunction{
		{Module: "env", Name: "scale", Signature: backend.Signature{Params: []backend.ValueType{i32, f64}, Results: []backend.ValueType{f64}},
			Call: func(_ context.Context, _ backend.Memory, args []uint64) ([]uint64, error) {
				return []uint64{math.Float64bits(float64(int32(args[0])) * math.Float64frombits(args[1]))}, nil
			}},
		{Module: "env", Name: "log", Signature: backend.Signature{Params: []backend.ValueType{i32, i32}},
			Call: func(ctx context.Context, m backend.Memory, args []uint64) ([]uint64, error) {
				text, err := m.Read(ctx, uint32(args[0]), uint32(args[1]))
				if err == nil {
					log(string(text))
					err = m.Write(ctx, 200, []byte("read"))
				}
				return nil, err
			}},
		{Module: "env", Name: "fail", Call: func(context.Context, backend.Memory, []uint64) ([]uint64, error) {
			return nil, errors.New("the host says no")
		}},
	}
}

// TestHostFunctions: with types, with memory, and what they refuse.
func TestHostFunctions(t *testing.T) {
	sb := sandbox(t, nil)
	var logged []string
	m := kavach.Module{Cmd: kavach.Cmd{Args: []string{"host"}}, Fresh: true}
	m.Bytes, m.Functions = moduleBytes(t, "host"), hostFunctions(func(s string) { logged = append(logged, s) })
	p := load(t, sb, m)
	minus := int32(-3)
	if got := call(t, p, "scaled", uint64(uint32(minus)), math.Float64bits(1.5)); math.Float64frombits(got[0]) != -4.5 {
		t.Error(math.Float64frombits(got[0]))
	}
	err := p.Do(t.Context(), func(ctx context.Context, i *kavach.PluginInstance) error {
		if _, err := i.Call(ctx, "tell"); err != nil {
			return err
		}
		back, err := i.Read(ctx, 200, 4)
		if string(back) != "read" {
			t.Errorf("%q", back)
		}
		return err
	})
	if err != nil || !slices.Equal(logged, []string{"a word for the host"}) {
		t.Errorf("%q, %v", logged, err)
	}
	var trap *backend.TrapError
	for name, says := range map[string]string{"fails": "the host says no", "wrong": "not in the module's memory"} {
		if _, err := p.Call(t.Context(), name); !errors.As(err, &trap) || !strings.Contains(trap.Reason, says) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// What does not fit is said when it is loaded.
	for says, change := range map[string]func(f []backend.HostFunction) []backend.HostFunction{
		"env":            func([]backend.HostFunction) []backend.HostFunction { return nil },
		"scale":          func(f []backend.HostFunction) []backend.HostFunction { return f[1:] },
		"signature":      func(f []backend.HostFunction) []backend.HostFunction { f[0].Results = nil; return f },
		"twice":          func(f []backend.HostFunction) []backend.HostFunction { return append(f, f[0]) },
		"no type":        func(f []backend.HostFunction) []backend.HostFunction { f[0].Params = []backend.ValueType{1}; return f },
		"is nil":         func(f []backend.HostFunction) []backend.HostFunction { f[0].Call = nil; return f },
		"needs a Module": func(f []backend.HostFunction) []backend.HostFunction { f[0].Module = ""; return f },
		"module is WASI's": func(f []backend.HostFunction) []backend.HostFunction {
			f[0].Module = "wasi_snapshot_preview1"
			return f
		},
	} {
		m.Functions = change(hostFunctions(func(string) {}))
		if _, err := sb.Load(t.Context(), m); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestPluginAtOnce: one plugin from many goroutines, and many plugins.
func TestPluginAtOnce(t *testing.T) {
	sb := sandbox(t, nil)
	p := load(t, sb, library(t))
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for n := range 50 {
				got, err := p.Call(t.Context(), "add", uint64(g), uint64(n))
				if err != nil || got[0] != uint64(g+n) {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
		if g%2 == 0 {
			all.Go(func() {
				own, err := sb.Load(t.Context(), library(t))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := own.Call(t.Context(), "count"); err != nil || got[0] != 1 {
					t.Errorf("%v, %v", got, err)
				}
				if _, err := own.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
}

// recorder keeps the acts.
type recorder struct {
	mu   sync.Mutex
	acts []string
}

func (r *recorder) Record(_ context.Context, e kavach.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acts = append(r.acts, string(e.Act))
	return nil
}

// TestPluginGateAndAudit: memory passes the gate wherever it is read, and what is
// done is on record before it is.
func TestPluginGateAndAudit(t *testing.T) {
	r := &recorder{}
	rt := &kavach.Runtime{Backends: []backend.Backend{newBackend(t)}, Audit: r}
	sb, err := rt.Create(t.Context(), kavach.Config{
		Policy: strict(t), Backend: Name, Secrets: []gate.Secret{gate.NewSecret("PHRASE", []byte("the module"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Destroy(context.Background())
	p := load(t, sb, library(t))
	err = p.Do(t.Context(), func(ctx context.Context, i *kavach.PluginInstance) error {
		text, err := i.Read(ctx, 16, 21)
		if string(text) != "hello from [redacted:known-secret]" {
			t.Errorf("%q", text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if want := []string{"create", "prove", "exec", "release", "result"}; !slices.Equal(r.acts, want) {
		t.Errorf("%v, want %v", r.acts, want)
	}
	if _, err := sb.Load(t.Context(), kavach.Module{Cmd: kavach.Cmd{Args: []string{"x"}, Timeout: 1}}); err == nil {
		t.Error("a Timeout of a plugin means nothing, and is taken")
	}
}

// TestPluginOutlivesNothing: a sandbox that ends takes its plugins with it.
func TestPluginOutlivesNothing(t *testing.T) {
	sb := sandbox(t, nil)
	p := load(t, sb, library(t))
	if err := sb.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Call(t.Context(), "count"); err == nil {
		t.Error("it is called in a sandbox that is gone")
	}
	if _, err := p.Close(t.Context()); err != nil && !errors.Is(err, backend.ErrDestroyed) {
		t.Error(err)
	}
	if _, err := sb.Load(t.Context(), library(t)); err == nil {
		t.Error("it is loaded in a sandbox that is gone")
	}
}

func BenchmarkCall(b *testing.B) {
	sb := sandbox(b, nil)
	p := load(b, sb, library(b))
	for b.Loop() {
		call(b, p, "add", 1, 2)
	}
}

func BenchmarkCallFresh(b *testing.B) {
	sb := sandbox(b, nil)
	m := library(b)
	m.Fresh = true
	p := load(b, sb, m)
	for b.Loop() {
		call(b, p, "add", 1, 2)
	}
}

func BenchmarkEmptyWarm(b *testing.B) {
	sb := sandbox(b, nil)
	for range 3 {
		run(b, sb, kavach.Cmd{Args: []string{"empty"}})
	}
	for b.Loop() {
		b.StopTimer()
		time.Sleep(20 * time.Millisecond) // until the next worker waits
		b.StartTimer()
		run(b, sb, kavach.Cmd{Args: []string{"empty"}})
	}
}
