package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
)

// runFlags are the flags of kavach run, as they were typed.
type runFlags struct {
	interactive bool
	backend     string
	policy      string
	minScore    int
	minScoreSet bool
	memory      string
	cpus        string
	pids        string
	timeout     string
	outputLimit string
	env         []string
	envFiles    []string
	volumes     []string
	workdir     string
	user        string
	rootfs      string
	writable    bool
	bestEffort  []string
	json        bool
	verbose     bool
}

func runCommand() *cobra.Command {
	f := new(runFlags)
	cmd := &cobra.Command{
		Use:   "run [flags] [--] COMMAND [ARG...]",
		Short: "run a command in a sandbox of its own",
		Long: `Run a command in a sandbox that is made for it and removed after it.

The current directory is visible at its own path, read-only; nothing else of
home is. There is no network, and nothing of the caller's environment.

Exit codes:
` + exitCodeTable(),
		Example: `  kavach run -- python3 program.py
  kavach run --policy strict --memory 256m --timeout 10s -- ./untrusted
  echo data | kavach run -i -- wc -c`,
		Args:              exactly(1, -1, "a command, such as: kavach run -- python3 -c 'print(6*7)'"),
		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.minScoreSet = cmd.Flags().Changed("min-score")
			return runSandboxed(f, args)
		},
	}
	f.register(cmd)
	return cmd
}

func (f *runFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows the command is the command's
	flags.SortFlags = false
	flags.BoolVarP(&f.interactive, "interactive", "i", false, "connect stdin (else it is /dev/null)")
	flags.StringVar(&f.backend, "backend", "auto", "where to run: auto, or one `NAME` that kavach doctor lists")
	flags.StringVar(&f.policy, "policy", "basic", "`PRESET` (minimal, basic, strict), FILE with a / or . in its name, or - for stdin")
	flags.IntVar(&f.minScore, "min-score", 0, "refuse to run with less proven than `N`, 0 to 100")
	flags.StringVar(&f.memory, "memory", "", "memory of all processes together: `SIZE` such as 512m, or unlimited")
	flags.StringVar(&f.cpus, "cpus", "", "processors' time: `N` such as 1.5, or unlimited")
	flags.StringVar(&f.pids, "pids", "", "processes and threads at once: `N`, or unlimited")
	flags.StringVar(&f.timeout, "timeout", "", "wall time: `DURATION` such as 30s, or unlimited")
	flags.StringVar(&f.outputLimit, "output-limit", "", "bytes of stdout, and of stderr, that get through: `SIZE`, or unlimited")
	flags.StringArrayVar(&f.env, "env", nil, "set a variable: `K=V`, or K to take its value from kavach's environment")
	flags.StringArrayVar(&f.envFiles, "env-file", nil, "set the variables in `FILE`, a line each, as with docker")
	flags.StringArrayVarP(&f.volumes, "volume", "v", nil, "show a file or directory, read-only: `SRC:DST[:ro]`")
	flags.StringVarP(&f.workdir, "workdir", "w", "", "start in `DIR` inside")
	flags.StringVar(&f.user, "user", "", "run as `UID[:GID]`, as seen inside")
	flags.StringVar(&f.rootfs, "rootfs", "", "use `DIR` as the root directory, instead of the host's system directories")
	flags.BoolVar(&f.writable, "writable", false, "let the command write to the root directory; it vanishes with the sandbox")
	flags.StringArrayVar(&f.bestEffort, "best-effort", nil, "go on without `CONTROL` where this machine cannot enforce it")
	flags.BoolVar(&f.json, "json", false, "print one JSON object instead of the output")
	flags.BoolVar(&f.verbose, "verbose", false, "say on stderr what was enforced and used")
	f.completions(cmd)
}

// runSandboxed is kavach run, when its flags are parsed.
func runSandboxed(f *runFlags, args []string) error {
	j, err := f.job(args)
	if err != nil {
		return err
	}
	j.announce(os.Stderr)
	stop := catch()
	rt := &kavach.Runtime{Backends: all.All()}
	sb, err := rt.Create(stop.ctx, j.config)
	if err != nil {
		return stop.instead(err)
	}
	e := attendUntil(stop, sb, j)
	// Nothing is left behind, whatever happened. Where something is, that is
	// what there is to say: it may still be running.
	if destroyErr := sb.Destroy(context.Background()); destroyErr != nil {
		return errors.Join(e.err, &leftoverError{destroyErr})
	}
	if e.err != nil {
		return e.err
	}
	if f.json {
		if err := writeJSON(os.Stdout, newReport(sb, e.res, e.code)); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	j.tell(os.Stderr, sb, e.res)
	return exitStatus(e.code)
}

// ended is what came of a command.
type ended struct {
	res  *kavach.Result
	code int
	err  error
}

// attendUntil is attend, but when kavach is stopped it does not wait for ever
// for a write that nobody reads.
func attendUntil(stop *stopper, sb *kavach.Sandbox, j *job) ended {
	done := make(chan ended, 1)
	go func() {
		res, code, err := attend(stop, sb, j)
		done <- ended{res, code, err}
	}()
	select {
	case e := <-done:
		return e
	case <-stop.ctx.Done():
	}
	select {
	case e := <-done:
		return e
	case <-time.After(endPatience):
		return ended{err: stop.instead(stop.ctx.Err())}
	}
}

// attend starts the command, passes on signals, and waits for its end.
func attend(stop *stopper, sb *kavach.Sandbox, j *job) (*kavach.Result, int, error) {
	cmd := j.cmd
	if !j.json {
		cmd.Stdout, cmd.Stderr = stop.outputs()
	}
	p, err := sb.Start(stop.ctx, cmd)
	if err != nil {
		return nil, 0, stop.instead(err)
	}
	stop.forward(p)
	res, err := p.Wait(stop.ctx)
	stop.forward(nil)
	if stop.ctx.Err() != nil && res != nil {
		return res, codeOfError(stop.instead(err)), nil
	}
	if err != nil {
		return nil, 0, err
	}
	return res, codeOf(res), nil
}

// leftoverError says that a sandbox could not be removed.
type leftoverError struct{ err error }

func (e *leftoverError) Error() string {
	return fmt.Sprintf("the sandbox could not be removed: %v; %s", e.err, leftoverFix)
}

func (e *leftoverError) Unwrap() error { return e.err }

const leftoverFix = "run kavach clean"
