package main

import (
	"context"
	"os"

	"github.com/google/subcommands"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"gvisor.dev/gvisor/pkg/lisafs"
	"gvisor.dev/gvisor/pkg/seccomp"
	"gvisor.dev/gvisor/runsc/cmd/sentry/sentrycmd"
	"gvisor.dev/gvisor/runsc/cmd/util"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/flag"
	"gvisor.dev/gvisor/runsc/fsgofer/extension"

	"github.com/kavach-dev/kavach/cmd/kavach-runsc/internal/confine"
)

// boot is gVisor's command that becomes the sentry, which does not go on unless
// what its domain forbids is refused.
type boot struct{ sentrycmd.Boot }

// Execute implements subcommands.Command.
func (b *boot) Execute(ctx context.Context, f *flag.FlagSet, args ...any) subcommands.ExitStatus {
	if err := allowed(args[0].(*config.Config)); err != nil {
		util.Fatalf("%v", err)
	}
	switch {
	case confine.IsSentry(os.Args):
		tell(confine.CheckSentry())
	case f.Lookup("setup-root").Value.String() != "true":
		util.Fatalf("a sentry without a root directory of its own is not confined: kavach-runsc run starts one that is")
	}
	return b.Boot.Execute(ctx, f, args...)
}

// tell writes a report to the log that --log names, or ends the program where
// something is not as it must be.
func tell(r confine.Report, err error) {
	if err != nil {
		util.Fatalf("%v", err)
	}
	if util.ErrorLogger == nil {
		return
	}
	if err := r.Write(util.ErrorLogger); err != nil {
		util.Fatalf("report what confines the %s: %v", r.Process, err)
	}
}

// goferDomain is an extension of gVisor's gofer that serves nothing. gVisor calls
// its extensions at the two moments that a domain needs.
type goferDomain struct {
	gofer *confine.Gofer
}

// Name implements extension.Extension.
func (*goferDomain) Name() string { return "landlock" }

// TryHandleMount implements extension.Extension: gVisor serves all mounts.
func (*goferDomain) TryHandleMount(*specs.Spec, *specs.Mount, string, bool) (lisafs.ConnectionImpl, lisafs.ConnectionOpts, error) {
	return nil, lisafs.ConnectionOpts{}, nil
}

// PrepareGofer is called before the gofer has changed its root directory.
func (g *goferDomain) PrepareGofer(extension.GoferPrepareContext) (extension.GoferPrepareResult, error) {
	var err error
	g.gofer, err = confine.NewGofer()
	return extension.GoferPrepareResult{}, err
}

// SeccompRules is called after that, just before the gofer's filter is installed.
// It lets nothing more through.
func (g *goferDomain) SeccompRules() seccomp.SyscallRules {
	tell(g.gofer.Enter())
	return seccomp.NewSyscallRules()
}
