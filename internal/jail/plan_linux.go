package jail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/owndir"
	"github.com/kavach-dev/kavach/policy"
)

// systemDirs are what a host root shows of the host.
var systemDirs = policy.HostDirs()

// etcShown are what a host root shows of the host's /etc: what programs need to
// find libraries, certificates and the programs that distributions choose by
// links. Nothing here is a secret or says who uses the machine.
var etcShown = []string{
	"/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/services",
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
	"/etc/java-11-openjdk", "/etc/java-17-openjdk", "/etc/java-21-openjdk",
}

// Of /proc, what is hidden, and what can only be read.
var (
	procMasked = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/key-users",
		"/proc/keys", "/proc/kmsg", "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags",
		"/proc/latency_stats", "/proc/modules", "/proc/sched_debug", "/proc/scsi", "/proc/slabinfo",
		"/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo",
	}
	procReadonly = []string{"/proc/sys", "/proc/sysrq-trigger"}
	// These are root's to write, so only where root is mapped into the sandbox,
	// which is in a container whose root made it, there is somebody who could.
	procRoots = []string{"/proc/bus", "/proc/dynamic_debug", "/proc/fs", "/proc/irq"}
)

var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// ownSpace is what the sandbox's own files (its /etc, its mount points) may take
// of the stage beside what the policy lets commands write.
const (
	ownSpace  = 1 << 20
	ownInodes = 1024
	// bytesPerInode bounds the number of files by the bytes: what ext4 does.
	bytesPerInode = 16 << 10
	// MaxTerminals is enough for what opens many, such as tmux, and few of those
	// that all sandboxes of a machine share (3072; proc_sys_kernel(5), pty).
	MaxTerminals = "256"
)

// source is a host path that is to be seen inside.
type source struct {
	path     string // resolved: no symbolic link in it
	target   string
	dev, ino uint64
	dir      bool
	mount    policy.Mount
}

// layout is the plan of a jail, or of a keeper and its container.
func layout(c *Config, as ids) (ops []guest.Op, sources []source, err error) {
	if c.Container != nil {
		return planKeeper(c, as)
	}
	return plan(c, as)
}

// plan makes the ops that build the root of c. Sources are the host paths that
// the caller named: where the guest cannot take them itself, because the user
// that it runs as could not reach them, the host passes them as descriptors.
func plan(c *Config, as ids) (ops []guest.Op, sources []source, err error) {
	for _, dir := range c.layers() {
		s, err := resolve(policy.Mount{Source: dir, Target: "/"})
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, s.op(guest.OpLayer, as.root))
		sources = append(sources, s)
	}
	if len(ops) > 0 {
		ops = append(ops, c.merge())
	}
	if c.Root == policy.RootHost {
		system, err := hostRoot(c)
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, system...)
	}
	ops = append(ops, places(c)...)
	for _, m := range c.Mounts {
		s, err := resolve(m)
		if err != nil {
			return nil, nil, err
		}
		if c.Root == policy.RootHost && shown(s) && readonly(m) {
			continue // it is there already
		}
		op, err := mountOp(c, m, s, as)
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, op)
		sources = append(sources, s)
	}
	if c.Worker != nil {
		s, err := resolve(policy.Mount{Source: c.Worker.Program, Target: WorkerPath})
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, s.op(guest.OpBind, as.root), guest.Op{Kind: guest.OpScratch, Path: WorkerDir, Mode: 0o1777})
		sources = append(sources, s)
	}
	for _, p := range hidden(c, sources) {
		ops = append(ops, guest.Op{Kind: guest.OpMask, Path: p})
	}
	if c.with(policy.ProcMasked) && c.Container == nil { // else it is the runtime's
		for _, p := range procMasked {
			if c.with(policy.NSUser) && closedTo(as.uid, p) {
				continue
			}
			ops = append(ops, guest.Op{Kind: guest.OpMask, Path: p})
		}
		readonly := procReadonly
		if as.uid == 0 || !c.with(policy.NSUser) {
			readonly = slices.Concat(procReadonly, procRoots)
		}
		for _, p := range readonly {
			ops = append(ops, guest.Op{Kind: guest.OpReadonly, Path: p})
		}
	}
	secrets, err := c.memoryOps(ops, as.root)
	return append(ops, secrets...), sources, err
}

// layers are the directories that the root directory is made of.
func (c *Config) layers() []string {
	if c.Root == "" || c.Root == policy.RootHost {
		return c.Layers
	}
	return []string{c.Root}
}

// hidden says where what Kavach trusts would be seen inside: the directory of records
// at its own place, and that and others wherever a mount puts what they are in.
func hidden(c *Config, sources []source) (at []string) {
	dirs := slices.Concat(owndir.Places(), c.Hidden)
	if records, err := StateDir(); err == nil { // else none is written to it
		dirs, at = append(dirs, records), append(at, records)
	}
	for _, dir := range dirs {
		resolved, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue // there is nothing to see
		}
		for _, s := range sources {
			if below, err := filepath.Rel(s.path, resolved); err == nil && filepath.IsLocal(below) {
				at = append(at, filepath.Join(s.target, below))
			}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(at)))
}

// closedTo reports whether a file of procfs is another user's alone, or is not
// there: then there is nobody inside who could open it, and a mask would be a
// mount for nothing. These files are the same in every procfs.
func closedTo(uid int, name string) bool {
	var st unix.Stat_t
	err := unix.Lstat(name, &st)
	const others = 0o007
	return err == unix.ENOENT || err == nil && int(st.Uid) != uid && st.Mode&others == 0
}

// hostCanary picks a path that is there on the host and that nobody named: the
// probe looks whether it is there inside.
func hostCanary(c *Config, record string) (string, error) {
	for _, path := range []string{record, "/sys", "/boot", "/var/lib", "/etc/shadow"} {
		named := slices.ContainsFunc(c.Mounts, func(m policy.Mount) bool {
			return path == m.SeenAt() || strings.HasPrefix(path, m.SeenAt()+"/")
		})
		if _, err := os.Lstat(path); err == nil && !named && !c.shows(path) {
			return path, nil
		}
	}
	return "", errors.New("each file of the host that the probe could look for is among the mounts; mount less")
}

// shown reports whether a host root shows this at this place in any case.
func shown(s source) bool {
	return s.path == s.target && slices.ContainsFunc(systemDirs, func(dir string) bool {
		return s.path == dir || strings.HasPrefix(s.path, dir+"/")
	})
}

func (s source) op(kind guest.OpKind, passed bool) guest.Op {
	op := guest.Op{Kind: kind, Path: s.target, Source: s.path, Dev: s.dev, Ino: s.ino}
	if passed {
		op.Flags |= guest.BindFD
	}
	if s.mount.Access == policy.AccessDirect {
		op.Flags |= guest.BindWrite
	}
	return op
}

// resolve finds out what a mount means now. Links in what the caller wrote are
// followed here, once; whoever opens the result follows none, and looks whether
// it still is the same file.
func resolve(m policy.Mount) (s source, err error) {
	fail := func(err error) (source, error) {
		return s, fmt.Errorf("mount %s: %w", m.Source, err)
	}
	if s.path, err = filepath.EvalSymlinks(m.Source); err != nil {
		return fail(err)
	}
	if s.target = m.Target; s.target == "" {
		s.target = m.Source
	}
	var st unix.Stat_t
	if err := unix.Lstat(s.path, &st); err != nil {
		return fail(err)
	}
	s.mount = m
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		s.dir = true
	case unix.S_IFREG:
	default:
		return fail(errors.New("it is neither a directory nor a regular file; nothing else is let into a sandbox"))
	}
	s.dev, s.ino = st.Dev, st.Ino
	return s, nil
}

// hostRoot shows the host's system directories, and a small /etc.
func hostRoot(c *Config) ([]guest.Op, error) {
	var ops []guest.Op
	for _, dir := range systemDirs {
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(dir)
			if err != nil {
				return nil, err
			}
			ops = append(ops, guest.Op{Kind: guest.OpSymlink, Path: dir, Source: target})
		default:
			ops = append(ops, guest.Op{Kind: guest.OpBind, Path: dir, Source: dir})
		}
	}
	return append(ops, etc(c)...), nil
}

func etc(c *Config) []guest.Op {
	file := func(name, data string) guest.Op {
		return guest.Op{Kind: guest.OpFile, Path: name, Data: data, Mode: 0o444}
	}
	user, group := "sandbox", "sandbox"
	if c.UID == 0 {
		user = "root"
	}
	if c.GID == 0 {
		group = "root"
	}
	ops := []guest.Op{
		{Kind: guest.OpDir, Path: "/etc", Mode: 0o755},
		file("/etc/passwd", fmt.Sprintf("%s:x:%d:%d:%s:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", user, c.UID, c.GID, user)),
		file("/etc/group", fmt.Sprintf("%s:x:%d:\nnogroup:x:65534:\n", group, c.GID)),
		file("/etc/hosts", hostsFile),
		file("/etc/hostname", Hostname+"\n"),
		file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
		file("/etc/resolv.conf", resolvFile),
		{Kind: guest.OpSymlink, Path: "/etc/os-release", Source: "../usr/lib/os-release"},
	}
	for _, p := range etcShown {
		resolved, err := filepath.EvalSymlinks(p)
		if err != nil {
			continue // this distribution does not have it
		}
		ops = append(ops, guest.Op{Kind: guest.OpBind, Path: p, Source: resolved, Flags: guest.BindMaybe})
	}
	return ops
}

// places are the directories that each sandbox has of its own.
func places(c *Config) []guest.Op {
	dir := func(p string, mode uint32) guest.Op { return guest.Op{Kind: guest.OpDir, Path: p, Mode: mode} }
	ops := []guest.Op{
		{Kind: guest.OpFile, Path: guest.CanaryPath, Mode: 0o444, Flags: guest.FileReplace,
			Data: "Kavach opens this file from inside: Landlock must refuse it.\n"},
		dir("/proc", 0o555), dir("/dev", 0o755),
	}
	if len(c.Layers) > 0 {
		ops = append(ops, imageEtc()...)
	}
	if c.Container == nil {
		ops = append(ops, kernelPlaces(c)...)
	}
	for _, p := range []string{"/tmp", "/dev/shm"} {
		if c.Scratch > 0 && !c.runtimeMounts(p) {
			ops = append(ops, guest.Op{Kind: guest.OpScratch, Path: p, Mode: 0o1777})
		} else {
			ops = append(ops, dir(p, 0o755))
		}
	}
	if c.Writable {
		for _, p := range writableDirs {
			ops = append(ops, dir(p, 0o755))
		}
	}
	if len(c.Layers) > 0 { // an image has its own
		return ops
	}
	ops = append(ops, dir("/var", 0o755), dir("/run", 0o755))
	for _, p := range [][2]string{{"/var/tmp", "../tmp"}, {"/var/run", "../run"}} {
		below := func(m policy.Mount) bool { return fileBelow(p[0], m.SeenAt()) }
		if slices.ContainsFunc(c.Mounts, below) { // nothing is mounted through a link
			ops = append(ops, dir(p[0], 0o755))
		} else {
			ops = append(ops, guest.Op{Kind: guest.OpSymlink, Path: p[0], Source: p[1]})
		}
	}
	return ops
}

// runtimeMounts reports whether it is a runtime that puts something at this place.
func (c *Config) runtimeMounts(p string) bool {
	return c.Container != nil && (p != "/tmp" || c.Container.BindTmp)
}

// kernelPlaces are /proc and /dev.
func kernelPlaces(c *Config) []guest.Op {
	ops := []guest.Op{{Kind: guest.OpProc, Path: "/proc"}}
	for _, d := range devices {
		ops = append(ops, guest.Op{Kind: guest.OpBind, Path: d, Source: d, Flags: guest.BindDevice})
	}
	pts := guest.Op{Kind: guest.OpDevpts, Path: "/dev/pts"}
	if c.with(policy.Limits) {
		pts.Data = MaxTerminals
	}
	return append(ops,
		guest.Op{Kind: guest.OpDir, Path: "/dev/pts", Mode: 0o755}, pts,
		guest.Op{Kind: guest.OpSymlink, Path: "/dev/ptmx", Source: "pts/ptmx"},
		guest.Op{Kind: guest.OpSymlink, Path: "/dev/fd", Source: "/proc/self/fd"},
		guest.Op{Kind: guest.OpSymlink, Path: "/dev/stdin", Source: "fd/0"},
		guest.Op{Kind: guest.OpSymlink, Path: "/dev/stdout", Source: "fd/1"},
		guest.Op{Kind: guest.OpSymlink, Path: "/dev/stderr", Source: "fd/2"},
	)
}

// imageEtc are the files that name the machine, which no image knows.
func imageEtc() []guest.Op {
	file := func(name, data string) guest.Op {
		return guest.Op{Kind: guest.OpFile, Path: name, Data: data, Mode: 0o444, Flags: guest.FileReplace}
	}
	return []guest.Op{
		{Kind: guest.OpDir, Path: "/etc", Mode: 0o755},
		file("/etc/hosts", hostsFile), file("/etc/hostname", Hostname+"\n"), file("/etc/resolv.conf", resolvFile),
	}
}

const (
	hostsFile  = "127.0.0.1\tlocalhost " + Hostname + "\n::1\tlocalhost\n"
	resolvFile = "# There is no way out of this sandbox.\n"
)

// shows reports whether the root directory has something at this path itself.
func (c *Config) shows(path string) bool {
	return slices.ContainsFunc(c.layers(), func(dir string) bool {
		_, err := os.Lstat(filepath.Join(dir, path))
		return err == nil
	})
}
