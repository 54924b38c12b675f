package jail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/policy"
)

// A keeper is a jail in which an OCI runtime is run. It has every namespace that a
// jail has, so nothing that the runtime does is done to the host: what it mounts
// is gone with the keeper, which is init of the PID namespace that the runtime and
// all that it starts are in. There, and nowhere else, the runtime is root.
//
// The keeper lays out the container's root directory as a jail's is, and the
// runtime finds it and config.json in Bundle.

// Where things are in a keeper.
const (
	Bundle     = "/run/kavach/bundle"
	bundleRoot = Bundle + "/rootfs"
	RuntimeDir = "/run/kavach/state" // for what the runtime keeps
	Shm        = "/run/kavach/shm"   // what is to be bound to the container's /dev/shm, if anything is writable
	Tmp        = "/run/kavach/tmp"   // and, with Container.BindTmp, to its /tmp
	runtimeTmp = "/tmp"
)

// runtimeSpace is what a runtime's own files may take of the stage: a state of
// some kilobytes, and an unpacked profile.
const runtimeSpace = 4 << 20

// planKeeper is plan for a keeper and for its container's root.
func planKeeper(c *Config, as ids) (ops []guest.Op, sources []source, err error) {
	if !c.with(policy.NSUser) {
		return nil, nil, errors.New("the runtime would be root on the host itself")
	}
	own := Config{Root: policy.RootHost, Without: c.Without}
	if ops, err = hostRoot(&own); err != nil {
		return nil, nil, err
	}
	dir := func(p string) guest.Op { return guest.Op{Kind: guest.OpDir, Path: p, Mode: 0o755} }
	ops = append(ops, dir("/proc"), dir("/dev"))
	ops = append(ops, kernelPlaces(&own)...)
	ops = append(ops, dir("/dev/shm"), dir(runtimeTmp), dir("/var"), dir("/sys/fs/cgroup"), guest.Op{Kind: guest.OpCgroup, Path: "/sys/fs/cgroup"},
		guest.Op{Kind: guest.OpDir, Path: RuntimeDir, Mode: 0o711}, dir(bundleRoot))
	for _, d := range c.Container.Devices {
		ops = append(ops, guest.Op{Kind: guest.OpBind, Path: d, Source: d, Flags: guest.BindDevice})
	}
	for _, program := range c.Container.Programs {
		s, err := resolve(policy.Mount{Source: program})
		if err != nil {
			return nil, nil, err
		}
		if s.target = s.path; !shown(s) {
			ops, sources = append(ops, s.op(guest.OpBind, as.root)), append(sources, s)
		}
	}
	if c.Scratch > 0 {
		ops = append(ops, guest.Op{Kind: guest.OpScratch, Path: Shm, Mode: 0o1777})
		if c.Container.BindTmp {
			ops = append(ops, guest.Op{Kind: guest.OpScratch, Path: Tmp, Mode: 0o1777})
		}
	}
	inner, more, err := planContainer(c, as)
	if err != nil {
		return nil, nil, err
	}
	for i := range inner {
		inner[i].Path = inKeeper(&inner[i], c.Scratch > 0 && c.Container.BindTmp)
	}
	ops = append(append(ops, inner...), guest.Op{Kind: guest.OpFile, Path: Bundle + "/config.json", Data: string(c.Container.Config), Mode: 0o400})
	return ops, append(sources, more...), nil
}

// planContainer is the plan of the container's root: without that layer, the
// host's whole.
func planContainer(c *Config, as ids) (ops []guest.Op, sources []source, err error) {
	if !c.with(policy.RootPivoted) {
		return []guest.Op{{Kind: guest.OpBind, Path: "/", Source: "/", Flags: guest.BindAsIs}}, nil, nil
	}
	return plan(c, as)
}

// inKeeper is where in the keeper an op works on the container's files. What is
// mounted in /tmp goes to where that is bound from.
func inKeeper(op *guest.Op, bindTmp bool) string {
	const tmp = "/tmp"
	if below, found := strings.CutPrefix(op.Path, tmp+"/"); bindTmp && found {
		return path.Join(Tmp, below)
	}
	if bindTmp && op.Path == tmp && op.Kind != guest.OpDir { // which makes the place to bind it to
		return Tmp
	}
	return path.Join(bundleRoot, op.Path)
}

// keeperSetup is what the keeper is told. It is confined in little, as runtimes
// need every capability that there is in its user namespace.
func (j *Jail) keeperSetup(ops []guest.Op) *guest.Setup {
	bytes, inodes := j.cfg.stage(ownSpace + runtimeSpace)
	return &guest.Setup{
		Hostname: Hostname, Scratch: bytes, ScratchInodes: inodes,
		Ops: ops, Pivot: true, Loopback: j.cfg.Loopback && j.cfg.with(policy.NSNet),
		Confine: guest.Confine{UserNS: j.cfg.Container.UserNS, NoNewPrivs: j.cfg.with(policy.NoNewPrivs), CloseFDs: true},
	}
}

// ReadFile reads a file of the keeper, of at most so many bytes. No link is
// followed, so that whoever made it cannot name one of the host's.
func (j *Jail) ReadFile(path string, most int64) ([]byte, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", j.process.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the keeper's root: %w", err)
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, strings.TrimPrefix(path, "/"), &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s of the keeper: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s of the keeper is no file: %v", path, info.Mode().Type())
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, most))
}
