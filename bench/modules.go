package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/wasm"
	"github.com/kavach-dev/kavach/internal/wasmtest"
	"github.com/kavach-dev/kavach/policy"
)

// modules are WebAssembly modules, in Kavach's sandboxes, in the bare runtime, and
// the same programs as native ones.
type modules struct {
	programs *programs
	spawner  *spawner
	dir      string // of the modules, and of what they read and write
	missing  string // why there are none

	wazero, native string // programs
	rt             *kavach.Runtime
	standing       *kavach.Sandbox
	shared, fresh  *loadedModule
}

// loadedModule is a plugin, and the sandbox that it is in.
type loadedModule struct {
	*kavach.Plugin
	sandbox *kavach.Sandbox
}

// What the heavy rows do.
const (
	sorted   = "2000000"
	copied   = 64 << 20 // bytes
	callsOne = 1000     // calls in a round
)

func newModules(p *programs, s *spawner) *modules {
	m := &modules{programs: p, spawner: s, dir: filepath.Join(p.dir, "modules")}
	if err := m.prepare(); err != nil {
		m.missing = err.Error()
	}
	return m
}

// prepare builds the modules, and what they are compared with.
func (m *modules) prepare() (err error) {
	if _, err := os.Stat(filepath.Join(m.dir, "input")); err != nil {
		if err := wasmtest.Build(m.dir); err != nil {
			return err
		}
		if out, err := exec.Command("clang", "-O2", "-o", filepath.Join(m.dir, "native"), "internal/wasmtest/modules/tool.c").CombinedOutput(); err != nil {
			return fmt.Errorf("clang: %w\n%s", err, out)
		}
		if err := os.WriteFile(filepath.Join(m.dir, "input"), make([]byte, copied), 0o644); err != nil {
			return err
		}
	}
	m.native = filepath.Join(m.dir, "native")
	if m.wazero, err = m.programs.program("wazero", "github.com/tetratelabs/wazero/cmd/wazero"); err != nil {
		return err
	}
	worker, err := m.programs.program("kavach-wasm", "github.com/kavach-dev/kavach/cmd/kavach-wasm")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.cache(), 0o700); err != nil {
		return err
	}
	m.rt = &kavach.Runtime{Backends: []backend.Backend{&wasm.Backend{Worker: worker, Cache: m.cache()}}}
	return nil
}

func (m *modules) cache() string { return filepath.Join(m.dir, fmt.Sprint("cache-", os.Geteuid())) }

func (m *modules) file(name string) string { return filepath.Join(m.dir, name+".wasm") }

func (m *modules) create() (*kavach.Sandbox, error) {
	p, err := policy.Preset("strict")
	if err != nil {
		return nil, err
	}
	p.Filesystem.TmpSize = 2 * copied
	p.Resources.Memory = 512 << 20
	p.Resources.Timeout = policy.Unlimited
	p.Filesystem.Mounts = []policy.Mount{{Source: m.dir, Target: "/m"}}
	return m.rt.Create(context.Background(), kavach.Config{Policy: p, Backend: wasm.Name})
}

// whole makes a sandbox, runs one module, and destroys it.
func (m *modules) whole(w *watch) error {
	return w.time(func() error {
		sb, err := m.create()
		if err != nil {
			return err
		}
		return errors.Join(runOnce(sb, "/m/empty.wasm"), sb.Destroy(context.Background()))
	})
}

// warm runs a module in a sandbox that has run it before, when its next worker waits.
func (m *modules) warm(args ...string) func(*watch) error {
	return func(w *watch) (err error) {
		if m.standing == nil {
			if m.standing, err = m.create(); err != nil {
				return err
			}
		}
		for range 2 { // from the second command on, the next worker has the last module
			if err := runOnce(m.standing, args...); err != nil {
				return err
			}
			time.Sleep(settle)
		}
		return w.time(func() error { return runOnce(m.standing, args...) })
	}
}

// calls calls a function many times, and counts one.
func (m *modules) calls(at **loadedModule, fresh bool) func(*watch) error {
	return func(w *watch) (err error) {
		ctx := context.Background()
		if *at == nil {
			sb, err := m.create()
			if err != nil {
				return err
			}
			p, err := m.load(sb, fresh)
			if err != nil {
				return errors.Join(err, sb.Destroy(ctx))
			}
			*at = &loadedModule{p, sb}
		}
		start := time.Now()
		for range callsOne {
			if _, err := (*at).Call(ctx, "add", 1, 2); err != nil {
				return err
			}
		}
		w.total += time.Since(start) / callsOne
		return nil
	}
}

// Names of rows that others are compared with.
const (
	rowWazero     = "wazero run, empty module"
	rowWazeroGo   = "wazero run, module of Go"
	rowNativeSort = "native: sort"
	rowNativeCopy = "native: copy"
)

func (m *modules) rows() []*row {
	cached := func(args ...string) func(*watch) error {
		return m.spawner.command(append([]string{m.wazero, "run", "-cachedir", filepath.Join(m.cache(), "wazero"), "-mount", m.dir + ":/m"}, args...)...)
	}
	cold := func(args ...string) func(*watch) error {
		return m.spawner.command(append([]string{"/usr/bin/env", "PATH=" + m.programs.dir, wasm.EnvCache + "=" + m.cache(), m.programs.kavach, "run", "--volume", m.dir + ":/m", "--"}, args...)...)
	}
	to := filepath.Join(m.dir, fmt.Sprint("copy-", os.Geteuid()))
	list := []*row{
		{name: rowWazero, what: "the bare runtime's command, compiled module cached", once: cached(m.file("empty"))},
		{name: "kavach run, empty module", what: "the program, started cold, preset basic, compiled module cached", against: rowWazero, once: cold(m.file("empty"))},
		{name: "wasm, strict", what: "create, run an empty module, destroy, in this program", against: rowWazero, once: m.whole},
		{name: "wasm, warm: empty module", what: "in a running sandbox whose next worker waits, output collected", against: rowTrue, once: m.warm("/m/empty.wasm")},
		{name: "wasm: call", what: "a function of a module that is loaded; one of a thousand", once: m.calls(&m.shared, false)},
		{name: "wasm: call, fresh instance", what: "the same, with an instance of its own for each call: instantiate and run", once: m.calls(&m.fresh, true)},
		{name: rowWazeroGo, what: "a module of 4 MB that prints a word, cached", once: cached(m.file("attack"), "echo", "word")},
		{name: "kavach run, module of Go", what: "the same, started cold", against: rowWazeroGo, once: cold(m.file("attack"), "echo", "word")},
		{name: "wasm, warm: module of Go", what: "the same in a running sandbox", against: rowWazeroGo, once: m.warm("/m/attack.wasm", "echo", "word")},
		{name: rowNativeSort, what: "a program of C that sorts " + sorted + " numbers", once: m.spawner.command(m.native, "sort", sorted)},
		{name: "wazero: sort", what: "the same as a module in the bare runtime", against: rowNativeSort, once: cached(m.file("tool"), "sort", sorted)},
		{name: "wasm, warm: sort", what: "the same in a running sandbox", against: rowNativeSort, once: m.warm("/m/tool.wasm", "sort", sorted)},
		{name: rowNativeCopy, what: fmt.Sprintf("a program of C that copies %d MiB, 4 KiB at once", copied>>20), once: m.spawner.command(m.native, "copy", filepath.Join(m.dir, "input"), to)},
		{name: "wazero: copy", what: "the same as a module in the bare runtime", against: rowNativeCopy, once: cached(m.file("tool"), "copy", "/m/input", "/m/"+filepath.Base(to))},
		{name: "wasm, warm: copy", what: "the same in a running sandbox, to its /tmp", against: rowNativeCopy, once: m.warm("/m/tool.wasm", "copy", "/m/input", "/tmp/copy")},
	}
	for _, r := range list {
		r.missing = m.missing
	}
	return list
}

// memory measures a sandbox whose worker waits, and one with a module loaded.
func (m *modules) memory(to *memory) (err error) {
	ctx := context.Background()
	before, err := descendants(os.Getpid())
	if err != nil {
		return err
	}
	measure := func() (int64, error) {
		time.Sleep(settle)
		now, err := descendants(os.Getpid())
		if err != nil {
			return 0, err
		}
		maps.DeleteFunc(now, func(pid int, _ bool) bool { return before[pid] })
		return private(slices.Collect(maps.Keys(now)))
	}
	sb, err := m.create()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sb.Destroy(ctx)) }()
	if to.Worker, err = measure(); err != nil {
		return err
	}
	p, err := m.load(sb, false)
	if err != nil {
		return err
	}
	to.Plugin, err = measure()
	_, closeErr := p.Close(ctx)
	return errors.Join(err, closeErr)
}

// load loads a small module.
func (m *modules) load(sb *kavach.Sandbox, fresh bool) (*kavach.Plugin, error) {
	library, err := os.ReadFile(m.file("library"))
	if err != nil {
		return nil, err
	}
	return sb.Load(context.Background(), kavach.Module{
		Cmd: kavach.Cmd{Args: []string{"library"}}, Module: backend.Module{Bytes: library}, Fresh: fresh,
	})
}

func (m *modules) end() error {
	ctx := context.Background()
	var errs []error
	for _, p := range []*loadedModule{m.shared, m.fresh} {
		if p != nil {
			_, err := p.Close(ctx)
			errs = append(errs, err, p.sandbox.Destroy(ctx))
		}
	}
	if m.standing != nil {
		errs = append(errs, m.standing.Destroy(ctx))
	}
	return errors.Join(errs...)
}
