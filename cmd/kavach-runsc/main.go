// Command kavach-runsc is gVisor's OCI runtime, for the gvisor backend of Kavach:
// the commands that Kavach needs, no others, and its processes confined further
// than gVisor confines them (internal/confine).
//
//	kavach (in a jail of its own)
//	  │ kavach-runsc run --detach …      main: nest, then gVisor's run
//	  │     ├─▶ kavach-runsc gofer …     opens files for the sentry; confined by goferDomain
//	  │     └─▶ kavach-runsc boot …      builds the sentry's empty root, executes itself
//	  │            └─▶ boot …            without capabilities; enters its domain, executes itself
//	  │                   └─▶ boot …     the sentry: checks its domain, then serves
//
// It is a program and a Go module of its own, as it is ten times as large as
// kavach, which starts for each command of a user.
//
// What this program does not protect: it is no sandbox by itself. Limits, the
// container's files, and the walls around the gofer are those of the jail that
// Kavach runs it in.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"gvisor.dev/gvisor/runsc/cli"
	"gvisor.dev/gvisor/runsc/cmd"
	"gvisor.dev/gvisor/runsc/cmd/util"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/flag"
	"gvisor.dev/gvisor/runsc/fsgofer/extension"
	"gvisor.dev/gvisor/runsc/specutils"
)

func main() {
	// The sentry executes itself where there is no C library to link it with.
	if config.CgoEnabled {
		fmt.Fprintln(os.Stderr, "kavach-runsc: this was built with cgo, and cannot run in an empty root directory: build it with CGO_ENABLED=0")
		os.Exit(1)
	}
	flag.CommandLine.Var(version{}, "version", "show which gVisor this is, and exit.")
	extension.Register(&goferDomain{})
	cli.Run(nil, commands(), nil)
}

// commands are those that Kavach uses, and "internal" what they start.
func commands() map[util.SubCommand]string {
	const internal = "internal"
	return map[util.SubCommand]string{
		new(run): "", new(create): "", new(restore): "",
		new(cmd.Start): "", new(cmd.State): "", new(cmd.Kill): "", new(cmd.Delete): "", new(cmd.Wait): "",
		new(cmd.Checkpoint): "",
		new(boot):           internal, new(cmd.Gofer): internal,
	}
}

// version prints the version when its flag is given, as the one of gVisor's own
// does; but that one has to be linked in, and is missing where it was not.
type version struct{}

// String is what flags print as the default.
func (version) String() string { return "false" }

// Get is what gVisor looks at when it has parsed its flags.
func (version) Get() any { return false }

// IsBoolFlag says that no value is needed.
func (version) IsBoolFlag() bool { return true }

// Set prints the version, and ends the program.
func (version) Set(string) error {
	fmt.Printf("kavach-runsc version %s\nspec: %s\n", gvisorVersion(), specutils.Version)
	os.Exit(0)
	return nil
}

const gvisorModule = "gvisor.dev/gvisor"

// gvisorVersion is that of the module which was built in.
func gvisorVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dep := range info.Deps {
			if dep.Path == gvisorModule {
				return dep.Version
			}
		}
	}
	return "unknown"
}
