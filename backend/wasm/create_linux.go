package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/policy"
)

// What workers take beside the modules' own memory. A worker that waits has 10 MiB;
// a module that calls itself for ever has a stack of up to 50 MB, which is copied
// when it grows. A worker has six threads.
const (
	workerMemory = 256 << 20
	workerTasks  = 64
)

// Probe makes a sandbox with every control and says what was proven of it.
func (b *Backend) Probe(ctx context.Context) (backend.Info, error) {
	info, err := evidence.TrialFindings(ctx, b)
	note := b.cacheProblem()
	if note == "" {
		name, _ := b.cacheDir() // which was just opened
		note = "compiled modules are kept in " + name
	}
	info.Notes = append(info.Notes, note)
	return info, err
}

// Create makes a sandbox, with a worker that waits for its first command.
func (b *Backend) Create(ctx context.Context, spec backend.Spec) (_ backend.Instance, err error) {
	if err := refuse(&spec); err != nil {
		return nil, err
	}
	cfg, notes, err := b.place(&spec)
	if err != nil {
		return nil, err
	}
	dirs, err := preopened(&spec)
	if err != nil {
		return nil, err
	}
	j, err := start(ctx, cfg, &spec.Policy)
	if err != nil {
		return nil, err
	}
	if problem := b.cacheProblem(); problem != "" {
		notes = append(notes, problem)
	}
	i := &instance{backend: b, jail: j, policy: spec.Policy, dirs: dirs, preopens: preopens(dirs), notes: append(notes, j.Notes()...)}
	i.life, i.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Destroy(context.WithoutCancel(ctx)))
		}
	}()
	first, err := i.newWorker(ctx, backend.Cmd{})
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	i.idle = first
	i.proofs, err = prove(i, first, cfg)
	return i, err
}

// refuse names what a policy asks for and modules have no use for.
func refuse(spec *backend.Spec) error {
	p := &spec.Policy
	wrong := func(field, problem, fix string) error {
		return &policy.FieldError{Field: field, Problem: problem, Fix: fix}
	}
	switch f := &p.Filesystem; {
	case f.Image != "":
		return wrong("filesystem.image", "backend wasm runs modules, which see no root directory", "leave it out, and mount what modules are to see")
	case f.Root != "" && f.Root != policy.RootHost:
		return wrong("filesystem.root", "backend wasm runs modules, which see no root directory", "leave it out, and mount what modules are to see")
	case slices.ContainsFunc(f.Mounts, func(m policy.Mount) bool { return under("/.kavach", m.SeenAt()) }):
		return wrong("filesystem.mounts", "/.kavach is where backend wasm keeps its worker", "mount it elsewhere")
	case slices.ContainsFunc(spec.SecretFiles, func(file string) bool { return under("/.kavach", file) }):
		return wrong("credentials", "/.kavach is where backend wasm keeps its worker", "give the file elsewhere, such as in /run/secrets")
	}
	return nil
}

// place is the jail of a sandbox's workers: the policy's, with nothing of the host
// in it but the worker and what is mounted.
func (b *Backend) place(spec *backend.Spec) (cfg jail.Config, notes []string, err error) {
	program, err := jail.FindGuest(b.Guest, guest.CanBeSelf())
	if err != nil {
		return cfg, nil, &backend.UnavailableError{Backend: Name, Reason: err.Error()}
	}
	worker, err := b.findWorker()
	if err != nil {
		return cfg, nil, &backend.UnavailableError{Backend: Name, Reason: err.Error(), Fix: "make install puts kavach-wasm beside kavach; a program of your own sets wasm.Backend.Worker to its path"}
	}
	cfg, notes, err = jail.Of(spec, jail.Config{
		Backend: Name, Guest: program, Without: b.without,
		Worker: &jail.Worker{Program: worker, Memory: workerMemory, Tasks: workerTasks},
	})
	cfg.Root, cfg.Writable = "", false
	if dir, dirErr := b.cacheDir(); dirErr == nil {
		cfg.Hidden = []string{dir}
	}
	return cfg, notes, err
}

// start starts a jail, and says that there is none without namespaces.
func start(ctx context.Context, cfg jail.Config, p *policy.Policy) (*jail.Jail, error) {
	j, err := jail.StartFor(ctx, cfg, p)
	var refused *jail.NamespaceError
	if errors.As(err, &refused) {
		return nil, &backend.UnavailableError{Backend: Name, Reason: refused.Error(), Fix: jail.NamespaceFix}
	}
	return j, err
}

// findWorker returns the path of kavach-wasm.
func (b *Backend) findWorker() (string, error) {
	const name = "kavach-wasm"
	if b.Worker != "" {
		return filepath.EvalSymlinks(b.Worker)
	}
	var dirs []string
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	for _, dir := range append(dirs, filepath.SplitList(os.Getenv("PATH"))...) {
		file := filepath.Join(dir, name)
		if filepath.IsAbs(dir) && unix.Access(file, unix.X_OK) == nil {
			return filepath.EvalSymlinks(file)
		}
	}
	return "", fmt.Errorf("there is no %s beside this program or in PATH", name)
}

// filter is what each worker puts on itself.
var filter = sync.OnceValues(func() ([]byte, error) {
	program, err := seccomp.Worker(runtime.GOARCH)
	return seccomp.Marshal(program), err
})

func under(dir, name string) bool {
	return name == dir || dir == "/" || strings.HasPrefix(name, dir+"/")
}

// preopened lists the directories that modules see: what is mounted, /tmp, and those of
// secret files. A file that is mounted is seen in its directory, where nothing else
// is.
func preopened(spec *backend.Spec) (dirs []string, err error) {
	p := &spec.Policy
	add := func(dir string) {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for i, m := range p.Filesystem.Mounts {
		at := m.SeenAt()
		if info, err := os.Stat(m.Source); err == nil && !info.IsDir() {
			if at = path.Dir(at); at == "/" {
				return nil, &policy.FieldError{
					Field: fmt.Sprintf("filesystem.mounts[%d]", i), Problem: "a module sees directories, and the one that this file would be in is /",
					Fix: "mount the file into a directory, such as /data/" + path.Base(m.SeenAt()),
				}
			}
		}
		add(at)
	}
	if p.Filesystem.TmpSize > 0 {
		add("/tmp")
	}
	for _, file := range spec.SecretFiles {
		add(path.Dir(file))
	}
	return dirs, nil
}

// preopens are these directories, under their own names.
func preopens(dirs []string) (list []wasmwire.Preopen) {
	for _, dir := range dirs {
		if o, shown := below(dirs, dir, dir); shown {
			list = append(list, o)
		}
	}
	return list
}

// below is a directory that modules see as name. What is mounted in another mount is
// opened by way of that, as what leads there is a module's to change where it may
// write; what leads to the outermost is not.
func below(dirs []string, dir, name string) (o wasmwire.Preopen, shown bool) {
	base := ""
	for _, d := range dirs {
		if under(d, dir) && (base == "" || len(d) < len(base)) {
			base = d
		}
	}
	rel, err := filepath.Rel(base, dir)
	return wasmwire.Preopen{Base: base, Path: rel, Name: name}, base != "" && err == nil
}
