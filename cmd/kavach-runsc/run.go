package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"github.com/google/subcommands"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/runsc/cmd"
	"gvisor.dev/gvisor/runsc/cmd/util"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/flag"
	"gvisor.dev/gvisor/runsc/specutils"
)

// run, create and restore are gVisor's commands that start a sandbox.
type (
	run     struct{ cmd.Run }
	create  struct{ cmd.Create }
	restore struct{ cmd.Restore }
)

// Execute implements subcommands.Command.
func (r *run) Execute(ctx context.Context, f *flag.FlagSet, args ...any) subcommands.ExitStatus {
	return start(ctx, &r.Run, f, args)
}

// Execute implements subcommands.Command.
func (c *create) Execute(ctx context.Context, f *flag.FlagSet, args ...any) subcommands.ExitStatus {
	return start(ctx, &c.Create, f, args)
}

// Execute implements subcommands.Command.
func (r *restore) Execute(ctx context.Context, f *flag.FlagSet, args ...any) subcommands.ExitStatus {
	return start(ctx, &r.Restore, f, args)
}

// start runs a command of gVisor's, in another user namespace where that takes one.
func start(ctx context.Context, c util.SubCommand, f *flag.FlagSet, args []any) subcommands.ExitStatus {
	conf := args[0].(*config.Config)
	if err := allowed(conf); err != nil {
		return util.Errorf("%v", err)
	}
	_, spec, err := c.FetchSpec(conf, f)
	if err != nil {
		return util.Errorf("read the specification: %v", err)
	}
	id, needed, err := mustNest(spec)
	if err != nil {
		return util.Errorf("%v", err)
	}
	if !needed {
		return c.Execute(ctx, f, args...)
	}
	status, err := nest(id)
	if err != nil {
		return util.Errorf("run in a user namespace that maps uid %d and gid %d: %v", id.uid, id.gid, err)
	}
	*args[1].(*unix.WaitStatus) = status
	return subcommands.ExitSuccess
}

// allowed refuses what would undo the confinement of the sentry, or goes past it.
func allowed(conf *config.Config) error {
	for _, no := range []struct {
		is  bool
		why string
	}{
		{conf.DirectFS, "--directfs lets the sentry open files: give --directfs=false"},
		{conf.Rootless, "--rootless leaves the sentry its capabilities: leave it out; a user namespace in the specification does what it is for"},
		{conf.Network != config.NetworkNone && conf.Network != config.NetworkSandbox, "--network: use none or sandbox: any other gives the sandbox sockets of this kernel"},
		{conf.ProfileEnable, "--profile loosens the sentry's filter: leave it out"},
		{conf.TestOnlyAllowRunAsCurrentUserWithoutChroot, "--TESTONLY-unsafe-nonroot leaves the sentry this root directory: leave it out"},
		{conf.DisableSeccomp, "without its filter the sentry may make any system call: leave that out"},
		{conf.GetHostUDS() != config.HostUDSNone, "--host-uds connects the sandbox to sockets out here: leave it out"},
		{conf.HostFifo != config.HostFifoNone, "--host-fifo connects the sandbox to pipes out here: leave it out"},
		{conf.CharacterDevicePolicy != config.CharDevEmulatedOnly, "--character-device-policy opens devices of this kernel: leave it out"},
		{conf.AllowFlagOverride, "--allow-flag-override lets the specification say otherwise: leave it out"},
	} {
		if no.is {
			return errors.New(no.why)
		}
	}
	return nil
}

// owner is who owns the files of a container, here.
type owner struct{ uid, gid int }

// mustNest says whether a user namespace has to be made first. gVisor's files are
// those that its gofer sees, in the user namespace of the specification, which
// must be below one that maps those ids. As an ordinary user there is one id to
// map, and Kavach's keeper has it as 0: it is mapped to the one that the
// specification maps the container's to.
func mustNest(spec *specs.Spec) (id owner, needed bool, err error) {
	if _, ok := specutils.GetNS(specs.UserNamespace, spec); !ok {
		return owner{}, false, nil
	}
	uids, gids := spec.Linux.UIDMappings, spec.Linux.GIDMappings
	if os.Geteuid() != 0 { // nested already
		return owner{}, false, nil
	}
	if !single(uids) || !single(gids) {
		return owner{}, false, errors.New("the user namespace of the specification must map one uid and one gid, each to one that is not 0: " +
			"without a user namespace, the container has all ids that are mapped where it runs")
	}
	return owner{int(uids[0].HostID), int(gids[0].HostID)}, true, nil
}

// single says whether one id is mapped, and not to 0: as 0, gVisor would give its
// sentry another id, which is not there.
func single(m []specs.LinuxIDMapping) bool {
	return len(m) == 1 && m[0].Size == 1 && m[0].HostID != 0
}

// nest runs this program with the same arguments in a user namespace in which
// the id is what this user is here, with all capabilities in it. It inherits all
// descriptors that this program inherited.
func nest(id owner) (unix.WaitStatus, error) {
	child := exec.Command("/proc/self/exe", os.Args[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id.uid, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id.gid, HostID: os.Getgid(), Size: 1}},
		AmbientCaps: allCaps(), // an exec of any uid but 0 drops the others
		Pdeathsig:   unix.SIGKILL,
	}
	err := child.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return 0, fmt.Errorf("start kavach-runsc again: %w", err)
	}
	return unix.WaitStatus(child.ProcessState.Sys().(syscall.WaitStatus)), nil
}

func allCaps() []uintptr {
	caps := slices.Repeat([]uintptr{0}, unix.CAP_LAST_CAP+1)
	for i := range caps {
		caps[i] = uintptr(i)
	}
	return caps
}
