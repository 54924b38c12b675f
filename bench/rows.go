package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/policy"
)

// Names of rows that others are compared with.
const (
	rowTrue      = "fork+exec true"
	rowEmpty     = "fork+exec empty Go"
	rowCollected = "os/exec true, output read"
	rowBwrap     = "bwrap"
	rowFiltered  = "bwrap, these and seccomp"
	rowLibrary   = "library, strict"
	rowBusybox   = "fork+exec busybox true"
)

// floor is what the machine and the peers take.
func floor(s *spawner, progs *programs) []*row {
	return []*row{
		{name: rowTrue, what: "os.StartProcess and Wait of " + truePath, once: s.command(truePath)},
		{name: rowEmpty, what: "the same of a static Go program that does nothing", once: s.command(progs.empty)},
		{name: rowCollected, what: "os/exec, stdout and stderr collected", against: rowTrue, once: collected(truePath)},
		s.peer(row{name: "unshare", what: "util-linux: unshare -Urmpfn true", against: rowBwrap}, "unshare", "-Urmpfn", "true"),
		s.peer(row{name: rowBwrap, what: "bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev true"},
			"bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"),
		s.peer(row{name: "bwrap, alike", what: "bwrap with the mounts of Kavach's host root", against: rowBwrap},
			"bwrap", append(bwrapAlike(), truePath)...),
		s.peer(row{name: "bwrap, nsjail's flags", what: "bwrap with a root of its own, no capability, no environment, a private /tmp", against: rowBwrap},
			"bwrap", append(bwrapFlags(), truePath)...),
		s.filtered(row{name: rowFiltered, what: "the same with a seccomp filter: our profile strict", against: rowBwrap}),
	}
}

// commandRows are the command line, started cold.
func commandRows(s *spawner, progs *programs) []*row {
	version := &row{name: "kavach version", what: "start of the program alone", against: rowEmpty}
	cold := &row{
		name: "kavach run", what: "kavach run -- /bin/true, basic policy, all layers", against: rowBwrap, budget: 2, goal: 1,
	}
	if progs.kavachErr != nil {
		version.missing, cold.missing = progs.kavachErr.Error(), progs.kavachErr.Error()
	} else {
		version.once = s.command(progs.kavach, "version")
		cold.once = s.command(progs.kavach, "run", "--", truePath)
	}
	return []*row{version, cold}
}

// libraryRows make a sandbox in this program, run one command and destroy it.
func libraryRows(rt *kavach.Runtime) []*row {
	part := func(name, what string) *row {
		return &row{name: name, what: what, partOf: rowLibrary, against: rowBwrap}
	}
	const create, first, destroy = "library, strict: create", "library, strict: run", "library, strict: destroy"
	whole := func(w *watch, name, backend, preset string) error {
		p, err := policy.Preset(preset)
		if err != nil {
			return err
		}
		ctx := context.Background()
		var sb *kavach.Sandbox
		if err := w.part(name+": create", func() (err error) {
			sb, err = rt.Create(ctx, kavach.Config{Policy: p, Backend: backend})
			return err
		}); err != nil {
			return err
		}
		err = w.part(name+": run", func() error { return runOnce(sb, truePath) })
		return errors.Join(err, w.part(name+": destroy", func() error { return sb.Destroy(ctx) }))
	}
	return []*row{
		{name: rowLibrary, what: "create, run /bin/true, destroy; process backend", against: rowBwrap, budget: 1.2, goal: 0.7,
			once: func(w *watch) error { return whole(w, rowLibrary, "process", "strict") }},
		part(create, "of which: create, proof included"),
		part(first, "of which: run /bin/true"),
		part(destroy, "of which: destroy"),
		{name: "library, minimal", what: "the same without seccomp, Landlock and limits", against: rowBwrap,
			once: func(w *watch) error { return whole(w, "library, minimal", "process", "minimal") }},
		{name: "library, noop", what: "the same on the noop backend: the Runtime itself", against: rowCollected,
			once: func(w *watch) error { return whole(w, "library, noop", "noop", "strict") }},
	}
}

// runOnce runs one program in a sandbox and wants it to succeed.
func runOnce(sb *kavach.Sandbox, args ...string) error {
	res, err := sb.Run(context.Background(), kavach.Cmd{Args: args})
	if err == nil && res.ExitCode != 0 {
		err = fmt.Errorf("%s in a sandbox: exit code %d, signal %d: %s", args[0], res.ExitCode, res.Signal, res.Stderr)
	}
	return err
}

// standing is one sandbox that stays while its rows are measured.
type standing struct{ sb *kavach.Sandbox }

func (s *standing) end() error {
	if s.sb == nil {
		return nil
	}
	return s.sb.Destroy(context.Background())
}

// execRows run programs in one sandbox that stays.
func execRows(rt *kavach.Runtime, progs *programs) (*standing, []*row) {
	const budget = 2
	rows := []*row{
		{name: rowExec, what: "in a running sandbox, output collected", against: rowTrue, budget: budget},
		{name: "exec empty Go", what: "the same of the static Go program", against: rowEmpty, budget: budget},
	}
	s := new(standing)
	open := func() error {
		if s.sb != nil {
			return nil
		}
		p, err := policy.Preset("strict")
		if err != nil {
			return err
		}
		p.Filesystem.Mounts = []policy.Mount{{Source: progs.dir, Target: "/bench"}}
		s.sb, err = rt.Create(context.Background(), kavach.Config{Policy: p, Backend: "process"})
		return err
	}
	for i, path := range []string{truePath, "/bench/empty"} {
		rows[i].once = func(w *watch) error {
			if err := open(); err != nil {
				return err
			}
			return w.time(func() error { return runOnce(s.sb, path) })
		}
	}
	return s, rows
}
