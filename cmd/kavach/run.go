package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/workspace"
)

// runFlags are the flags of kavach run, as they were typed.
type runFlags struct {
	workspaceFlags
	imageFlags
	wasmFlags
	exportFlags
	gateFlags
	secretFlags

	interactive bool
	tty         bool
	backend     string
	runtime     string
	policies    []string
	minScore    string
	memory      string
	swap        string
	ioRead      string
	ioWrite     string
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
	entrypoint  []string // the last counts; "" is none
	writable    bool
	seccomp     string
	seccompLog  bool
	bestEffort  []string
	json        bool
	verbose     bool
}

func runCommand() *command {
	f := &runFlags{backend: "auto"}
	return &command{
		name: "run", args: "[flags] [--] [COMMAND] [ARG...]",
		short: "run a command in a sandbox of its own",
		long: `Run a command in a sandbox that is made for it and removed after it.

The current directory is visible at its own path, read-only; nothing else of
home is. There is no network, and nothing of the caller's environment.

With --rw DIR the command may change what is in DIR. What it changes is kept
apart, and applied when the command has ended by itself, but for what programs
run or obey unasked: git hooks and settings, shell start files, settings of
editors and agents. --diff shows the changes instead.

With --image REF the files of a container image are the root directory, in the
place of the host's. The image says which command is run where none is named,
where it starts and as whom; the current directory is not shown then, unless
--rw or --volume names it.

What the command prints, and what it changes or exports, is looked at before it
leaves: secrets are redacted in output, and files that hold some are kept in
quarantine instead (kavach quarantine). --gate says when.

A file that is a WebAssembly module of WASI preview 1 is run by backend wasm. It
sees the directories that are shown, and nothing of the host's system.`,
		exit: exitCodes,
		example: `  kavach run -- python3 program.py
  kavach run --policy strict --memory 256m --timeout 10s -- ./untrusted
  kavach run --rw . -- make
  kavach run --rw . --diff -- npm install
  kavach run --secret GITHUB_TOKEN=env:GITHUB_TOKEN -- ./release
  kavach run --export /tmp/report.pdf:. -- ./build-report
  kavach run --image alpine:3.20 -- cat /etc/os-release
  kavach run tool.wasm --its-own-flag
  echo data | kavach run -i -- wc -c
  kavach run -it -- bash`,
		flags:  f.register,
		most:   -1,
		passes: true, // what follows the command is the command's
		run:    func(args []string) error { return runSandboxed(f, args) },
	}
}

func (f *runFlags) register(fs *flags) {
	fs.Bool(&f.interactive, "interactive", "i", "connect stdin (else it is /dev/null)")
	fs.Bool(&f.tty, "tty", "t", "give the command a terminal of its own; with -i, yours is connected to it")
	fs.Text(&f.backend, "backend", "", "NAME", "where to run: a backend that kavach doctor lists, or auto (default auto)", backendNames)
	registerRuntime(fs, &f.runtime)
	fs.Texts(&f.policies, "policy", "", "POLICY", "minimal, basic or strict; a file, with a / or . in its name; or - for stdin (default basic); of several, the stricter of each field", policy.PresetNames)
	fs.Text(&f.minScore, "min-score", "", "N", "refuse to run with less proven, 0 to 100", nil)
	fs.Text(&f.memory, "memory", "", "SIZE", "memory of all processes together, such as 512m, or unlimited", nil)
	fs.Text(&f.swap, "swap", "", "SIZE", "how much may be swapped out beyond --memory; 0 is none", nil)
	fs.Text(&f.ioRead, "io-read", "", "SIZE", "bytes a second that are read from each disk, or unlimited", nil)
	fs.Text(&f.ioWrite, "io-write", "", "SIZE", "bytes a second that are written to each disk, or unlimited", nil)
	fs.Text(&f.cpus, "cpus", "", "N", "processors' time, such as 1.5, or unlimited", nil)
	fs.Text(&f.pids, "pids", "", "N", "processes and threads at once, or unlimited", nil)
	fs.Text(&f.timeout, "timeout", "", "DURATION", "wall time, such as 30s, or unlimited", nil)
	fs.Text(&f.outputLimit, "output-limit", "", "SIZE", "bytes of stdout, and of stderr, that get through, or unlimited", nil)
	fs.Texts(&f.env, "env", "", "K=V", "set a variable; K alone takes its value from kavach's environment", nil)
	f.registerSecrets(fs)
	fs.Texts(&f.envFiles, "env-file", "", "FILE", "set variables, one a line, as with docker", nil)
	fs.Texts(&f.volumes, "volume", "v", "SRC:DST[:OPTS]", "show a file or directory: ro (read-only, the default); rw, as --rw; rw,direct, unscanned", nil)
	f.registerWorkspaces(fs)
	fs.Text(&f.workdir, "workdir", "w", "DIR", "start in this directory, inside", nil)
	fs.Text(&f.user, "user", "", "UID[:GID]", "run as this user, as seen inside", nil)
	fs.Text(&f.rootfs, "rootfs", "", "DIR", "use DIR as the root directory, instead of the host's system directories", nil)
	f.registerImage(fs)
	fs.Texts(&f.entrypoint, "entrypoint", "", "COMMAND", `run this in the place of the image's own command; "" is none`, nil)
	fs.Bool(&f.writable, "writable", "", "let the command write outside of /tmp; it vanishes with the sandbox")
	fs.Text(&f.seccomp, "seccomp", "", "PROFILE", "strict, default or off; or a file in the JSON of OCI or Docker, with a / or . in its name", seccompNames)
	fs.Bool(&f.seccompLog, "seccomp-log", "", "refuse no system call, and say at the end which would have been refused")
	f.registerWasm(fs)
	f.registerExport(fs)
	f.registerGate(fs)
	fs.Texts(&f.bestEffort, "best-effort", "", "CONTROL", "go on without a control where this machine cannot enforce it; namespaces: without all that takes them", controlNames)
	fs.Bool(&f.json, "json", "", "print one JSON object instead of the output")
	fs.Bool(&f.verbose, "verbose", "", "say on stderr what was enforced and used")
}

// runSandboxed is kavach run, when its flags are parsed.
func runSandboxed(f *runFlags, args []string) error {
	j, err := f.job(args)
	if err != nil {
		return err
	}
	j.announce(os.Stderr)
	stop := catch()
	rt := &kavach.Runtime{Backends: all.Using(f.runtime), Images: imagesFor(f.pull), Gate: theGate()}
	sb, err := rt.Create(stop.ctx, j.config)
	if err != nil {
		return stop.instead(j.byFlag(err))
	}
	warnMissing(os.Stderr, sb)
	var e ended
	if j.cmd.Args, e.err = f.command(sb, j.named(args)); e.err == nil {
		e = onConsole(j.console, func() ended { return attendUntil(stop, sb, j) })
	}
	var (
		exported []kavach.ExportOutcome
		outcomes []workspace.Outcome
	)
	if e.err == nil {
		exported, e.err = j.exports(stop, sb, e.res)
		e.code = codeWithExports(e.code, exported)
	}
	if e.err == nil {
		outcomes, e.err = j.changes(stop, sb, e.res)
		e.code = j.codeWith(e.code, outcomes)
	}
	// Nothing is left behind, whatever happened. Where something is, that is
	// what there is to say: it may still be running.
	if destroyErr := sb.Destroy(context.Background()); destroyErr != nil {
		return errors.Join(e.err, &leftoverError{destroyErr})
	}
	if e.err != nil {
		return e.err
	}
	if f.json {
		if err := writeJSON(os.Stdout, newReport(sb, e.res, e.code, outcomes, exported)); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	j.tell(os.Stderr, sb, e.res)
	if !j.json {
		j.tellOutcomes(os.Stderr, outcomes)
		tellExports(os.Stderr, exported, j.verbose)
	}
	return exitStatus(e.code)
}

// onConsole runs a session on kavach's own terminal, if there is one. What kavach
// itself has to say comes before and after: neither shows well in raw mode.
func onConsole(c *console, session func() ended) ended {
	if c != nil {
		if err := c.connect(); err != nil {
			return ended{err: err}
		}
	}
	e := session()
	e.err = errors.Join(e.err, c.close())
	return e
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
	switch {
	case j.console != nil:
		size := j.console.size()
		cmd.Terminal, cmd.Stdout = &size, stop.display(sb.Policy().Resources.Effective().Output)
	case !j.json:
		cmd.Stdout, cmd.Stderr = stop.outputs()
	}
	p, err := sb.Start(stop.ctx, cmd)
	if err != nil {
		return nil, 0, stop.instead(err)
	}
	stop.forward(p)
	if j.console != nil {
		defer j.console.follow(p)()
	}
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
