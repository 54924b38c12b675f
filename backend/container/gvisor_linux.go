package container

import (
	"cmp"
	"os"
	"path"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/policy"
)

// What is different where the runtime is runsc, which brings a kernel of its own:
// the sentry, a program that serves the system calls of the container, and the
// gofer, which opens its files.

// What a sandbox of gVisor takes of this machine beside what its commands use: the
// memory of the sentry and the gofer, their threads, and for each process inside
// the one that its code is run in, with its threads. How many processes there may
// be inside is the sentry's to keep (RLIMIT_NPROC).
const (
	sentryMemory = 64 << 20
	sentryTasks  = 256
	stubTasks    = 3
)

const kvmDevice = "/dev/kvm"

// devices are what the platform needs.
func (b *Backend) devices() []string {
	if b.Platform == "kvm" {
		return []string{kvmDevice}
	}
	return nil
}

// refuses says what of a policy gVisor cannot do.
func (b *Backend) refuses(p *policy.Policy) error {
	if b.Kind != GVisor {
		return nil
	}
	if err := b.platformError(); err != nil {
		return err
	}
	narrowed := func(m policy.Mount) bool { return len(m.Rights) > 0 }
	switch {
	case p.Seccomp.Mode == policy.SeccompLog:
		return &backend.UnsupportedError{
			Backend: b.Name(), Control: policy.SeccompOn, Reason: "gVisor's kernel tells nobody of the calls that a filter refuses, so none can be let pass and logged",
			Fix: "log on backend process or oci",
		}
	case slices.ContainsFunc(p.Filesystem.Mounts, narrowed) && !p.MayMiss(policy.LandlockOn):
		return &backend.UnsupportedError{
			Backend: b.Name(), Control: policy.LandlockOn, Reason: "gVisor's kernel has no Landlock, which is what keeps the rights that a mount leaves out",
			Fix: "leave out filesystem.mounts[].rights, or use backend process or oci",
		}
	}
	return nil
}

// adaptSpec makes of the configuration of a container one that means the same to
// runsc. The namespaces are those of the sentry and the gofer: what is inside is
// in none of this kernel.
func adaptSpec(s *specs.Spec, o specOptions, loopback bool) {
	s.Linux.Seccomp = nil // the sentry has one of its own, and the guest puts on the policy's inside
	s.Linux.UIDMappings, s.Linux.GIDMappings, s.Linux.Namespaces = nil, nil, nil
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.MountNamespace, specs.IPCNamespace, specs.UTSNamespace} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind})
	}
	if !loopback { // a new one, in which lo is down, is one without interfaces inside
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	if o.ids == 0 {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings, s.Linux.GIDMappings = nested(o.uid), nested(o.gid)
	}
	// It would show a /sys that it has made up.
	s.Mounts = append(s.Mounts, specs.Mount{
		Destination: "/sys", Type: "tmpfs", Source: "tmpfs", Options: []string{"ro", "nosuid", "nodev", "noexec", "size=4k"},
	})
}

// nested maps an id where the keeper has but one. kavach-runsc makes a namespace in
// which that is another than 0, which it could not do without.
func nested(id int) []specs.LinuxIDMapping {
	const nobody = 65534
	host := id
	if host == 0 {
		host = nobody
	}
	return []specs.LinuxIDMapping{{ContainerID: uint32(id), HostID: uint32(host), Size: 1}}
}

// knownMounts are mounts that the sentry knows of: to it the root directory is one,
// whatever is mounted in there for the gofer. What is to be written to has to be one, as
// the root directory is read-only as a whole else; what the keeper has mounted read-only
// stays so. So have the directories of secret files, as what is in the root directory is
// looked at once, and these come and go; and what is above them, which could be moved
// away else.
func knownMounts(p *policy.Policy, cfg *jail.Config) (list []specs.Mount) {
	add := func(at string, options ...string) {
		list = append(list, specs.Mount{
			Destination: at, Type: "bind", Source: jail.Bundle + "/rootfs" + at, Options: append(options, "nosuid", "nodev"),
		})
	}
	for _, m := range p.Filesystem.Mounts {
		if m.Access != "" && m.Access != policy.AccessRead {
			add(cmp.Or(m.Target, m.Source), "rbind", "rw")
		}
	}
	for _, parent := range cfg.SecretParents() {
		add(parent, "rbind", "rw")
	}
	for _, file := range cfg.SecretFiles {
		add(path.Dir(file), "bind", "ro", "noexec")
	}
	slices.SortFunc(list, func(a, b specs.Mount) int { return cmp.Compare(a.Destination, b.Destination) }) // what is above comes first
	return slices.CompactFunc(list, func(a, b specs.Mount) bool { return a.Destination == b.Destination })
}

// adaptSetup leaves out what gVisor's kernel does not have, and the sentry's own
// layers are there for.
func adaptSetup(s *guest.Setup) {
	s.Confine.Landlock, s.Confine.Unheard = false, true
	for n := range s.Rlimits { // it is there where there is no cgroup
		if l := &s.Rlimits[n]; l.Resource == unix.RLIMIT_DATA {
			l.Resource, l.Value = unix.RLIMIT_AS, l.Value+reserved
			s.ProbeLimits = true
		}
	}
}

// reserved is for what programs map and never use, which counts for RLIMIT_AS: the
// runtime of Go takes 600 MiB of addresses. To RLIMIT_DATA, which leaves it out,
// gVisor holds nothing but the heap of brk(2).
const reserved = 1 << 30

// runscFlags are for every call of runsc. The sentry opens no file: the gofer does
// (directfs=false). Overlays are the keeper's, whose layers are looked at.
func (r *run) runscFlags() []string {
	network := "sandbox"
	if r.loopback {
		network = "none" // but lo
	}
	flags := []string{"--ignore-cgroups", "--network=" + network, "--overlay2=none", "--directfs=false"}
	if p := r.backend.Platform; p != "" {
		flags = append(flags, "--platform="+p)
	}
	return flags
}

// logFlags name the log to a runsc that inherits it.
var logFlags = []string{"--log", "/proc/self/fd/5", "--log-format", "json"}

// newLog makes a file that the runtime writes to, and that is ours to read.
func newLog() (*os.File, error) {
	fd, err := unix.MemfdCreate("runsc-log", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "runsc-log"), nil
}
