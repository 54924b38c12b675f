package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// bare is a runtime by itself: what Kavach's containers are measured beside.
type bare struct {
	name  string
	argv  []string // of every call
	stage *stage

	missing  string
	standing string // the id of the container that exec is measured in
	made     int
}

// bares are the runtimes that Kavach uses.
func (s *stage) bares() map[string]*bare {
	list := make(map[string]*bare)
	for _, r := range []struct {
		name  string
		flags []string
	}{
		{"crun", nil}, {"runc", nil},
		{"runsc", []string{"--network", "none", "--ignore-cgroups", "--overlay2", "none"}},
	} {
		b := &bare{name: r.name, stage: s, missing: s.bundle.busybox}
		if path, err := s.programs.find(r.name); err != nil {
			b.missing = err.Error()
		} else {
			state := filepath.Join(s.bundle.dir, bundleState, r.name)
			b.argv = append([]string{path, "--root", state}, r.flags...)
		}
		list[r.name] = b
	}
	return list
}

// id is a name that no container had before.
func (b *bare) id() string {
	b.made++
	return fmt.Sprintf("kavach-bench-%d-%s-%d", os.Getpid(), b.name, b.made)
}

// call runs the runtime.
func (b *bare) call(args ...string) (done, error) {
	return b.stage.run(order{Argv: append(b.argv[:len(b.argv):len(b.argv)], args...)})
}

// start leaves a container running that does nothing.
func (b *bare) start(id string) (done, error) {
	dir, err := b.stage.bundle.of(insideSleep, "1000000")
	if err != nil {
		return done{}, err
	}
	argv := append(b.argv[:len(b.argv):len(b.argv)], "run", "--detach", "--bundle", dir, id)
	return b.stage.run(order{Argv: argv, Detached: true})
}

// stop ends a container.
func (b *bare) stop(id string) (done, error) { return b.call("delete", "--force", id) }

// once runs a container that prints a byte, to its end.
func (b *bare) once(w *watch) error {
	dir, err := b.stage.bundle.of(insideEcho)
	if err != nil {
		return err
	}
	d, err := b.call("run", "--bundle", dir, b.id())
	if err == nil && d.First == 0 {
		err = errors.New(b.name + " run printed nothing")
	}
	w.split(b.run(), d)
	return err
}

// exec runs a program in a container that stays.
func (b *bare) exec(w *watch) error {
	if b.standing == "" {
		id := b.id()
		if _, err := b.start(id); err != nil {
			return err
		}
		b.standing = id
	}
	d, err := b.call("exec", b.standing, insideTrue)
	w.add(d.Total)
	return err
}

func (b *bare) run() string { return b.name + " run" }

func (b *bare) end() error {
	if b.standing == "" {
		return nil
	}
	_, err := b.stop(b.standing)
	return err
}

// rows are those of one runtime.
func (b *bare) rows() []*row {
	rows := []*row{
		{name: b.run(), what: b.name + " run of a container that prints one byte, until it is deleted", once: b.once},
		{name: first(b.run()), what: "of which: until the byte", partOf: b.run()},
		{name: last(b.run()), what: "of which: the rest", partOf: b.run()},
		{name: b.name + " exec", what: "busybox true in a running container, output collected", against: rowBusybox, once: b.exec},
	}
	for _, r := range rows {
		if r.optional = b.name == "runsc"; r.partOf == "" {
			r.missing = b.missing // where it is not there, kavach-runsc may be
		}
	}
	return rows
}

// first and last are the names of the parts of a row.
func first(whole string) string { return whole + ": first byte" }
func last(whole string) string  { return whole + ": the rest" }

// doRow is "runsc do", which makes a container of the host's own root.
func (b *bare) doRow() *row {
	return &row{name: "runsc do", what: "runsc do /bin/echo", missing: b.missing, optional: true, against: b.run(), once: func(w *watch) error {
		d, err := b.call("do", "/bin/echo")
		w.add(d.Total)
		return err
	}}
}

// podmanRow is podman with a runtime, without a network, and without raising
// limits, which takes CAP_SYS_RESOURCE.
func (s *stage) podmanRow(runtime string) *row {
	r := &row{
		name: "podman run, " + runtime, what: "podman run --rm --network none --rootfs", optional: true,
		against: runtime + " run", missing: s.bundle.busybox,
	}
	path, err := s.programs.find("podman")
	if err != nil {
		r.missing = err.Error()
		return r
	}
	in := func(name string) string { return filepath.Join(s.bundle.dir, "podman", name) }
	argv := []string{
		path, "--root", in("root"), "--runroot", in("run"), "--tmpdir", in("tmp"), "--cgroup-manager", "cgroupfs",
		"--events-backend", "none", "--runtime", runtime, "run", "--rm", "--network", "none", "--cgroups", "no-conmon",
		"--cgroup-parent", s.group(),
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		limit := fmt.Sprintf("%d:%d", files.Max, files.Max)
		argv = append(argv, "--ulimit", "nofile="+limit, "--ulimit", "nproc="+limit)
	}
	r.once = func(w *watch) error {
		root, err := s.podmanRoot()
		if err != nil {
			return err
		}
		d, err := s.run(order{Argv: append(argv[:len(argv):len(argv)], "--rootfs", root, insideEcho)})
		w.add(d.Total)
		return err
	}
	return r
}
