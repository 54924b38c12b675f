//go:build linux

package wasm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
)

// liarSandbox is one whose workers have been taken over.
func liarSandbox(t testing.TB) (*kavach.Sandbox, string) {
	t.Helper()
	b := newBackend(t)
	b.Worker, b.Cache = testbin.Liar(t), filepath.Join(testbin.TempDir(t), "cache")
	sb, err := create(t, b, strict(t))
	if err != nil {
		t.Fatal(err)
	}
	return sb, b.Cache
}

const lieTimeout = 500 * time.Millisecond

// TestLies: a worker that lies gets an error, in time, and nothing else; nothing of
// it is kept, and nothing of it reaches a terminal.
func TestLies(t *testing.T) {
	sb, cache := liarSandbox(t)
	for _, lie := range []string{
		"hang", "leave", "flood", "descriptors", "other", "nodigest", "nosize", "vast", "long", "escapes", "garbage",
		"unwritten", "more", "mapped", "digest", "run",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), lieTimeout)
		p, err := sb.Start(ctx, kavach.Cmd{Args: []string{"/" + lie}})
		cancel()
		if err == nil {
			t.Errorf("%s: it was started", lie)
			_, _ = p.Wait(t.Context())
			continue
		}
		if text := err.Error(); strings.ContainsAny(text, "\x1b\x07") || len(text) > 16<<10 {
			t.Errorf("%s: %.200q", lie, text)
		}
		if sb.State() != kavach.Running {
			t.Fatalf("%s: the sandbox is %v", lie, sb.State())
		}
	}
	if entries, err := os.ReadDir(cache); err == nil && len(entries) > 0 {
		t.Errorf("kept of lies: %v", entries)
	}
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/kept"}}) // floods at its end
	if err != nil || res.ExitCode != 3 || !res.OOMKilled || len(res.Stdout) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestPluginLies: the same of calls.
func TestPluginLies(t *testing.T) {
	sb, _ := liarSandbox(t)
	asked := 0
	for _, lie := range []string{"results", "hostcall", "forever", "exits", "spin", "returns"} {
		p, err := sb.Load(t.Context(), kavach.Module{
			Cmd: kavach.Cmd{Args: []string{"/" + lie}}, CallTimeout: lieTimeout,
			Module: backend.Module{Functions: []backend.HostFunction{{
				Module: "m", Name: "f", Signature: backend.Signature{Params: []backend.ValueType{backend.I32}},
				Call: func(context.Context, backend.Memory, []uint64) ([]uint64, error) { asked++; return nil, nil },
			}}},
		})
		if err != nil {
			t.Errorf("%s: %v", lie, err)
			continue
		}
		if _, err := p.Call(t.Context(), "f"); err == nil {
			t.Errorf("%s: it was believed", lie)
		}
		if _, err := p.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", lie, err)
		}
	}
	if asked == 0 {
		t.Error("the host was never asked")
	}
	p, err := sb.Load(t.Context(), kavach.Module{Cmd: kavach.Cmd{Args: []string{"/memory"}}})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Do(t.Context(), func(ctx context.Context, i *kavach.PluginInstance) error {
		_, err := i.Read(ctx, 0, 10)
		return err
	})
	var beyond *backend.MemoryError
	if err == nil || errors.As(err, &beyond) {
		t.Errorf("more memory than it was asked for: %v", err)
	}
	if _, err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
