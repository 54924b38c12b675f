package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/container"
	"github.com/kavach-dev/kavach/backend/process"
	"github.com/kavach-dev/kavach/policy"
)

// inside is one of Kavach's backends with one runtime, for a sandbox whose root
// directory is that of the bundle.
type inside struct {
	name    string
	backend string
	against string           // the bare runtime
	may     []policy.Control // be missing
	stage   *stage
	rt      *kavach.Runtime

	missing  string
	optional bool
	standing *kavach.Sandbox // that exec is measured in
}

// containers are all that is measured.
func (s *stage) containers() []*inside {
	s.insides = nil
	for _, c := range []struct {
		name, runtime, against string
		backend                func(runtime string) backend.Backend
		may                    []policy.Control
	}{
		{"process, busybox", "", "crun", func(string) backend.Backend { return &process.Backend{} }, nil},
		{"oci, crun", "crun", "crun", oci, nil},
		{"oci, runc", "runc", "runc", oci, nil},
		// An ordinary user has no cgroup on version 1, and a sentry no rlimits.
		{"gvisor, kavach-runsc", "kavach-runsc", "runsc", gvisor, []policy.Control{policy.Limits}},
		{"gvisor, runsc", "runsc", "runsc", gvisor, []policy.Control{policy.Limits, policy.LandlockOn}},
	} {
		i := &inside{name: c.name, against: c.against, may: c.may, stage: s, missing: s.bundle.busybox, optional: c.runtime == "runsc"}
		var path string
		if c.runtime != "" {
			var err error
			if path, err = s.programs.find(c.runtime); err != nil {
				i.missing = err.Error()
			}
		}
		b := c.backend(path)
		i.backend, i.rt = b.Name(), &kavach.Runtime{Backends: []backend.Backend{b}}
		s.insides = append(s.insides, i)
	}
	return s.insides
}

func oci(runtime string) backend.Backend { return &container.Backend{Runtime: runtime} }

func gvisor(runtime string) backend.Backend {
	return &container.Backend{Kind: container.GVisor, Runtime: runtime}
}

func (i *inside) create() (*kavach.Sandbox, error) {
	p, err := policy.Preset("strict")
	if err != nil {
		return nil, err
	}
	p.Filesystem.Root, p.BestEffort = i.stage.bundle.rootfs(), i.may
	if i.backend == "oci" {
		p.Process.User = "0" // as in the bare runtimes' container; without uid 0 an ordinary user's runc cannot
	}
	return i.rt.Create(context.Background(), kavach.Config{Policy: p, Backend: i.backend})
}

// once makes a sandbox, runs in it what prints a byte, and destroys it.
func (i *inside) once(w *watch) error {
	ctx := context.Background()
	start := time.Now()
	sb, err := i.create()
	if err != nil {
		return err
	}
	made := time.Since(start)
	out := &firstWrite{start: start}
	res, err := sb.Run(ctx, kavach.Cmd{Args: []string{insideEcho}, Stdout: out})
	if err == nil && (res.ExitCode != 0 || out.at.Load() == 0) {
		err = fmt.Errorf("echo in a sandbox: exit code %d, signal %d, and %d ns to its first byte", res.ExitCode, res.Signal, out.at.Load())
	}
	ending := time.Now()
	err = errors.Join(err, sb.Destroy(ctx))
	total := time.Since(start)
	w.split(i.name, done{First: time.Duration(out.at.Load()), Total: total})
	w.note(i.name+": create", made)
	w.note(i.name+": destroy", time.Since(ending))
	return err
}

// firstWrite notes when it is written to first.
type firstWrite struct {
	start time.Time
	at    atomic.Int64 // ns from start; 0: not yet
}

func (f *firstWrite) Write(b []byte) (int, error) {
	if len(b) > 0 {
		f.at.CompareAndSwap(0, int64(time.Since(f.start)))
	}
	return len(b), nil
}

// exec runs a program in a sandbox that stays.
func (i *inside) exec(w *watch) (err error) {
	if i.standing == nil {
		if i.standing, err = i.create(); err != nil {
			return err
		}
	}
	return w.time(func() error { return runOnce(i.standing, insideTrue) })
}

func (i *inside) end() error {
	if i.standing == nil {
		return nil
	}
	return i.standing.Destroy(context.Background())
}

// rows are those of one backend with one runtime.
func (i *inside) rows() []*row {
	const execBudget = 2
	budget := 1.1
	if i.backend == "process" { // whose budgets are held against another peer
		budget = 0
	}
	run := i.against + " run"
	rows := []*row{
		{name: i.name, what: "create, run what prints one byte, destroy; preset strict, all layers and proofs", against: run, once: i.once},
		{name: i.name + ": create", what: "of which: create", partOf: i.name},
		{name: first(i.name), what: "of which: until the byte, create included", partOf: i.name, against: first(run), budget: budget},
		{name: last(i.name), what: "of which: the rest", partOf: i.name, against: last(run)},
		{name: i.name + ": destroy", what: "of which: destroy", partOf: i.name},
		{name: i.name + ": exec", what: "busybox true in a running sandbox, output collected", against: rowBusybox, budget: execBudget, once: i.exec},
	}
	for _, r := range rows {
		if r.optional = i.optional; r.partOf == "" {
			r.missing = i.missing
		}
	}
	return rows
}

// coldRow is the command line, started cold.
func (s *stage) coldRow(backendName, against string) []*row {
	whole := &row{
		name: "kavach run --backend " + backendName, what: "the program, preset basic, until it has ended",
		against: against, missing: s.bundle.busybox,
	}
	if err := s.programs.kavachErr; err != nil {
		whole.missing = err.Error()
	}
	path := "PATH=" + s.programs.dir + string(filepath.ListSeparator) + os.Getenv("PATH")
	argv := []string{
		s.programs.kavach, "run", "--backend", backendName, "--best-effort", string(policy.Limits), "--rootfs", s.bundle.rootfs(), "--", insideEcho,
	}
	whole.once = func(w *watch) error {
		d, err := order{Argv: argv}.runIn([]string{path, "HOME=" + s.bundle.dir})
		w.split(whole.name, d)
		return err
	}
	return []*row{whole, {name: first(whole.name), what: "of which: until the byte", partOf: whole.name, against: first(against)}}
}

// containerRows are the rows of bare runtimes, and of Kavach with them.
func (s *stage) containerRows(sp *spawner) (rows []*row) {
	busybox := &row{name: rowBusybox, what: "os.StartProcess and Wait of the busybox that is in the root directories", missing: s.bundle.busybox}
	busybox.once = sp.command(filepath.Join(s.bundle.rootfs(), insideTrue))
	rows = append(rows, busybox)
	for _, name := range []string{"crun", "runc", "runsc"} {
		rows = append(rows, s.runtimes[name].rows()...)
	}
	rows = append(rows, s.runtimes["runsc"].doRow(), s.podmanRow("crun"), s.podmanRow("runc"))
	for _, i := range s.containers() {
		rows = append(rows, i.rows()...)
	}
	rows = append(rows, s.coldRow("oci", "crun run")...)
	return append(rows, s.coldRow("gvisor", "runsc run")...)
}
