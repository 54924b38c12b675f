package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/backend/noop"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
)

// job is what kavach run was asked to do.
type job struct {
	*runFlags
	config  kavach.Config
	cmd     kavach.Cmd
	console *console            // nil: the command gets no terminal
	notes   []string            // for --verbose
	given   []policy.Credential // by --secret
	lost    []string            // what is not given of what a policy names
	guard   secretGuard
	module  string // the path of a module that is shown by itself; "": a mount shows it, or it is none
}

// job makes of the flags a policy and a command.
func (f *runFlags) job(args []string) (*job, error) {
	j := &job{runFlags: f}
	var err error
	if j.given, err = f.parseSecrets(); err != nil {
		return nil, err
	}
	fromStdin := func(c policy.Credential) bool { return c.Source == policy.CredentialStdin }
	if slices.ContainsFunc(j.given, fromStdin) && slices.Contains(f.policies, "-") { // before it is read as what it is not
		return nil, usagef("put the policy into a file", "--policy - and --secret NAME=stdin both read stdin")
	}
	if f.interactive && slices.Contains(f.policies, "-") {
		return nil, usagef("put the policy into a file", "--policy - and --interactive both read stdin")
	}
	if f.interactive {
		j.cmd.Stdin = os.Stdin
	}
	name, err := backendName(f.backend)
	if err != nil {
		return nil, err
	}
	if name != "auto" && !slices.ContainsFunc(all.All(), func(b backend.Backend) bool { return b.Name() == name }) {
		return nil, usagef("kavach doctor lists those that are", "backend %s is %s", name, notBuilt)
	}
	if err := f.checkRuntime(name); err != nil {
		return nil, err
	}
	j.config.Backend = name
	list, err := loadEach(f.policies)
	if err != nil {
		return nil, err
	}
	p, err := policyfile.Merge(list...)
	if err != nil {
		return nil, err
	}
	j.lost = notGiven(list)
	if j.cmd.Env, err = f.environment(); err != nil {
		return nil, err
	}
	for _, apply := range []func(*policy.Policy) error{j.applySecrets, f.applyLimits, f.applyRoot, f.applyVolumes, f.applyWorkspaces, f.applySeccomp, f.applyWasm, f.applyExport, f.applyGate, f.applyRequire, j.applyWorkdir} {
		if err := apply(&p); err != nil {
			return nil, err
		}
	}
	j.applyModule(&p, args)
	switch {
	case p.Filesystem.Image == "" && len(args) == 0:
		return nil, usagef("", "kavach run needs a command, such as: kavach run -- python3 -c 'print(6*7)'")
	case p.Filesystem.Image == "" && len(f.entrypoint) > 0:
		return nil, needsImage("--entrypoint")
	}
	j.config.Policy = p
	return j, j.applyTTY(&p)
}

// applyTTY finds the terminal that the command's own will look like. Which kind
// it is, the command has to know; nothing else of the environment goes with it:
// the size is the terminal's to say, as it changes.
func (j *job) applyTTY(p *policy.Policy) (err error) {
	switch {
	case !j.tty:
		return nil
	case j.json:
		return usagef("leave one of them out", "--tty is for people, and --json for programs")
	case !isTerminal(os.Stdin):
		return usagef("leave --tty out, or start kavach on a terminal", "--tty: the input device is not a TTY")
	}
	if term := os.Getenv("TERM"); term != "" && p.Process.Env["TERM"] == "" {
		j.cmd.Env = append([]string{"TERM=" + term}, j.cmd.Env...) // first, so that --env wins
	}
	j.console, err = openConsole(os.Stdin, j.interactive)
	return err
}

// backendName checks --backend against the backends that there are.
func backendName(name string) (string, error) {
	known := backend.Names()
	if name == "" {
		name = "auto"
	}
	if name == "auto" || slices.Contains(known, name) {
		return name, nil
	}
	fix := "use auto, " + strings.Join(known, ", ")
	if near := policy.Nearest(name, backendNames()); near != "" {
		fix = fmt.Sprintf("did you mean %q?", near)
	}
	return "", usagef(fix, "there is no backend %q", name)
}

func backendNames() []string { return append([]string{"auto"}, backend.Names()...) }

// applyLimits puts --memory and its like over the limits of the policy.
func (f *runFlags) applyLimits(p *policy.Policy) error {
	r := &p.Resources
	return errors.Join(
		limit("--memory", f.memory, &r.Memory, policy.ParseBytes),
		f.applySwap(r),
		limit("--io-read", f.ioRead, &r.IORead, policy.ParseBytes),
		limit("--io-write", f.ioWrite, &r.IOWrite, policy.ParseBytes),
		limit("--cpus", f.cpus, &r.CPUs, parseCPUs),
		limit("--pids", f.pids, &r.PIDs, parsePIDs),
		limit("--timeout", f.timeout, &r.Timeout, policy.ParseDuration),
		limit("--output-limit", f.outputLimit, &r.Output, policy.ParseBytes),
		limit("--tmp-size", f.tmpSize, &p.Filesystem.TmpSize, policy.ParseBytes),
	)
}

// applySwap is apart from limit, as 0 means none.
func (f *runFlags) applySwap(r *policy.Resources) error {
	if f.swap == "0" {
		r.Swap = 0
		return nil
	}
	return limit("--swap", f.swap, &r.Swap, policy.ParseBytes)
}

// limit parses the value of a flag, if it was given. Zero would mean the
// default, which nobody who writes 0 means.
func limit[T int | float64 | policy.Bytes | policy.Duration](flag, text string, to *T, parse func(string) (T, error)) error {
	if text == "" {
		return nil
	}
	value, err := parse(text)
	var field *policy.FieldError
	switch {
	case errors.As(err, &field):
		return &policy.FieldError{Field: flag, Problem: field.Problem, Fix: field.Fix}
	case err != nil:
		return fmt.Errorf("%s: %w", flag, err)
	case value == 0:
		return &policy.FieldError{Field: flag, Problem: "0 is no limit", Fix: `write "unlimited" for no limit, or leave it out`}
	}
	*to = value
	return nil
}

func parseCPUs(s string) (float64, error) {
	if s == "unlimited" {
		return policy.Unlimited, nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 {
		return 0, &policy.FieldError{Problem: fmt.Sprintf("%q is not a number of processors", s), Fix: `write a number, such as 1.5, or "unlimited"`}
	}
	return n, nil
}

func parsePIDs(s string) (int, error) {
	if s == "unlimited" {
		return policy.Unlimited, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, &policy.FieldError{Problem: fmt.Sprintf("%q is not a number of processes", s), Fix: `write a whole number, such as 64, or "unlimited"`}
	}
	return n, nil
}

func (f *runFlags) applyRoot(p *policy.Policy) error {
	if f.rootfs != "" && len(f.images) > 0 {
		return usagef("leave one of them out", "--rootfs and --image both say what the root directory is")
	}
	if err := f.applyImage(p); err != nil {
		return err
	}
	if f.rootfs != "" {
		dir, err := hostPath("--rootfs", f.rootfs)
		if err != nil {
			return err
		}
		if st, err := os.Stat(dir); err == nil && !st.IsDir() {
			return usagef("unpack the image, and give its directory", "--rootfs %s is not a directory", f.rootfs)
		}
		p.Filesystem.Root, p.Filesystem.Image = dir, ""
	}
	if f.writable {
		p.Filesystem.Writable = true
	}
	if f.user != "" {
		p.Process.User = f.user
	}
	return nil
}

// applyRequire sets what must hold, and what may be missing.
func (f *runFlags) applyRequire(p *policy.Policy) error {
	if f.minScore != "" {
		n, err := strconv.Atoi(f.minScore)
		if err != nil {
			return &policy.FieldError{Field: "--min-score", Problem: fmt.Sprintf("%q is not a number", f.minScore), Fix: "write a score, such as 60"}
		}
		p.Require.MinScore = n
	}
	for _, name := range f.bestEffort {
		c := policy.Control(name)
		if !slices.Contains(policy.BestEffortNames(), c) {
			return unknownControl(name)
		}
		if !p.MayMiss(c) {
			p.BestEffort = append(p.BestEffort, c)
		}
	}
	return nil
}

func unknownControl(name string) error {
	known := controlNames()
	fix := "the controls are " + strings.Join(known, ", ")
	if near := policy.Nearest(name, known); near != "" {
		fix = fmt.Sprintf("did you mean %q?", near)
	}
	return usagef(fix, "--best-effort: there is no control %q", name)
}

// hostPath makes a path of the host absolute, and says when nothing is there.
func hostPath(flag, path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", flag, path, err)
	}
	if _, err := os.Stat(abs); err != nil {
		return "", usagef("check the path on the host", "%s %s: %v", flag, path, reason(err))
	}
	return abs, nil
}

// reason is err without the path and the operation, which the caller names.
func reason(err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}

// announce says before the command runs what must not be overlooked.
func (j *job) announce(w io.Writer) {
	if j.config.Backend == noop.Name {
		fmt.Fprintln(w, "kavach: warning: backend noop isolates nothing; the score is 0")
	}
	for _, lost := range j.lost {
		fmt.Fprintln(w, "kavach: "+lost)
	}
	if bounds := j.sessionBounds(); j.tty && len(bounds) > 0 {
		fmt.Fprintln(w, "kavach: the session ends after "+strings.Join(bounds, ", or "))
	}
}

// sessionBounds are what ends a session that a person may be in the middle of:
// limits that are made for programs hold for sessions too.
func (j *job) sessionBounds() (bounds []string) {
	r := j.config.Policy.Resources.Effective()
	if r.Timeout != policy.Unlimited {
		bounds = append(bounds, fmt.Sprintf("%s (--timeout)", r.Timeout))
	}
	if r.Output != policy.Unlimited {
		bounds = append(bounds, fmt.Sprintf("%s of output (--output-limit)", r.Output))
	}
	return bounds
}
