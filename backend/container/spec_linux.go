package container

import (
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// specOptions are what the configuration of a container depends on.
type specOptions struct {
	// uid and gid are who the guest and its commands are, as they see it.
	uid, gid int

	// ids is how many ids the keeper has, which all are the same inside. Zero: it
	// has one, 0, which inside is uid, and gid.
	ids int

	// writable says that commands may write to the root directory.
	writable bool

	// shm and tmp are directories of the keeper that are shown as /dev/shm, and as
	// /tmp, with what is mounted in it. Empty: none.
	shm, tmp string

	// refused is refused to everything in the container.
	refused []seccomp.Refusal

	// without leaves layers out.
	without []policy.Control
}

func (o *specOptions) with(layer policy.Control) bool { return !slices.Contains(o.without, layer) }

const (
	// specVersion is that of the OCI runtime specification. Nothing of a later one
	// is used, and older runtimes look at it.
	specVersion = "1.0.2"

	// devSize is for the /dev of a container: a directory with some links in it.
	devSize = "64k"
)

// newSpec is the configuration of a container (OCI runtime-spec, config.md).
//
// The root file system is whole when the runtime gets it, but for what has to be
// mounted in the namespaces that the runtime makes: /proc, and /dev, whose nodes
// it takes from the keeper. There are no cgroups in it: the container is in those
// of the keeper.
func newSpec(o specOptions) *specs.Spec {
	s := &specs.Spec{
		Version:  specVersion,
		Hostname: jail.Hostname,
		Root:     &specs.Root{Path: "rootfs", Readonly: !o.writable && o.with(policy.RootReadonly) && o.with(policy.RootPivoted)},
		Process: &specs.Process{
			User:            specs.User{UID: uint32(o.uid), GID: uint32(o.gid)},
			Args:            o.guestArgs(),
			Env:             guestEnv,
			Cwd:             "/",
			Capabilities:    &specs.LinuxCapabilities{},
			NoNewPrivileges: o.with(policy.NoNewPrivs),
			// See guest: 0 would still have a core handed to the host's core_pattern.
			Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 1, Soft: 1}},
		},
		Mounts: o.mounts(),
		Linux: &specs.Linux{
			Namespaces: o.namespaces(),
			Seccomp:    seccompSpec(o.refused),
		},
	}
	if o.ownUser() {
		s.Linux.UIDMappings, s.Linux.GIDMappings = mapping(o.uid, o.ids), mapping(o.gid, o.ids)
	}
	if !o.with(policy.CapsNone) {
		all := allCapabilities()
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all, Inheritable: all, Ambient: all}
	}
	if o.with(policy.ProcMasked) {
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = jail.ProcMasked(), jail.ProcReadonly()
	}
	if !o.with(policy.SeccompOn) {
		s.Linux.Seccomp = nil
	}
	return s
}

func (o *specOptions) mounts() []specs.Mount {
	terminals := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if o.with(policy.Limits) {
		terminals = append(terminals, "max="+jail.MaxTerminals)
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"ro", "nosuid", "noexec", "mode=755", "size=" + devSize}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: terminals},
	}
	for _, m := range [][2]string{{"/dev/shm", o.shm}, {"/tmp", o.tmp}} {
		if m[1] != "" {
			mounts = append(mounts, specs.Mount{
				Destination: m[0], Type: "bind", Source: m[1], Options: []string{"rbind", "rw", "nosuid", "nodev"},
			})
		}
	}
	return mounts
}

// namespaces are those of the container, inside those of the keeper: who gets out
// of one is in the other. The network is the keeper's, which is nobody else's.
func (o *specOptions) namespaces() []specs.LinuxNamespace {
	var list []specs.LinuxNamespace
	for _, ns := range []struct {
		kind specs.LinuxNamespaceType
		own  bool
	}{
		{specs.UserNamespace, o.ownUser()}, {specs.PIDNamespace, o.with(policy.NSPid)}, {specs.MountNamespace, o.with(policy.NSMount)},
		{specs.IPCNamespace, o.with(policy.NSIpc)}, {specs.UTSNamespace, o.with(policy.NSUts)}, {specs.CgroupNamespace, o.with(policy.NSCgroup)},
	} {
		if ns.own {
			list = append(list, specs.LinuxNamespace{Type: ns.kind})
		}
	}
	return list
}

// ownUser says that the container has a user namespace of its own, beside the
// keeper's: capabilities mean nothing in there to what the keeper has mounted.
func (o *specOptions) ownUser() bool { return o.with(policy.CapsNone) }

// seccompSpec is what the runtime itself installs: see seccomp.Filters.Outer.
func seccompSpec(refused []seccomp.Refusal) *specs.LinuxSeccomp {
	if len(refused) == 0 {
		return nil
	}
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: architectures[runtime.GOARCH]}
	for _, r := range refused {
		rule := specs.LinuxSyscall{Names: r.Calls, Action: specs.ActTrace}
		if r.Arg != nil {
			// Value is the mask, and what is left is compared to ValueTwo.
			rule.Args = []specs.LinuxSeccompArg{{
				Index: uint(r.Arg.Index), Value: r.Arg.Mask, ValueTwo: r.Arg.Value, Op: specs.OpMaskedEqual,
			}}
		}
		s.Syscalls = append(s.Syscalls, rule)
	}
	return s
}

// architectures are those whose calls are looked at; by any other the thread is
// killed. x32 is an ABI of amd64, with calls of its own: the guest's filter answers
// ENOSYS to them, where a thread that is killed might be waited for.
var architectures = map[string][]specs.Arch{"amd64": {specs.ArchX86_64, specs.ArchX32}, "arm64": {specs.ArchAARCH64}}

// mapping is that of the ids inside to those of the keeper.
func mapping(id, all int) []specs.LinuxIDMapping {
	if all > 0 {
		return []specs.LinuxIDMapping{{Size: uint32(all)}}
	}
	return []specs.LinuxIDMapping{{ContainerID: uint32(id), Size: 1}}
}

// allCapabilities are those that the container would have without that layer
// (capabilities(7)).
func allCapabilities() []string {
	return strings.Fields(`
		CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_BLOCK_SUSPEND CAP_BPF CAP_CHECKPOINT_RESTORE CAP_CHOWN
		CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_IPC_LOCK CAP_IPC_OWNER CAP_KILL CAP_LEASE
		CAP_LINUX_IMMUTABLE CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_MKNOD CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_BROADCAST
		CAP_NET_RAW CAP_PERFMON CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYSLOG CAP_SYS_ADMIN CAP_SYS_BOOT
		CAP_SYS_CHROOT CAP_SYS_MODULE CAP_SYS_NICE CAP_SYS_PACCT CAP_SYS_PTRACE CAP_SYS_RAWIO CAP_SYS_TIME
		CAP_SYS_RESOURCE CAP_SYS_TTY_CONFIG CAP_WAKE_ALARM`)
}

// guestEnv is the guest's own environment: without it the runtime would look for
// a HOME in the image's /etc/passwd.
var guestEnv = []string{"HOME=/"}

// guestArgs are what is executed in the container.
func (o *specOptions) guestArgs() []string {
	args := []string{guest.ProgramPath, guest.Name}
	if !o.with(policy.FDsClean) {
		args = append(args, guest.KeepFDs)
	}
	return args
}
