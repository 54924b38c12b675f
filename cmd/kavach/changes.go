package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/workspace"
)

// workspaceFlags are the flags of kavach run that are about what is writable.
type workspaceFlags struct {
	rw             []string
	diff           bool
	apply          string
	applyProtected []string
	tmpSize        string
}

func (f *workspaceFlags) registerWorkspaces(fs *flags) {
	fs.Texts(&f.rw, "rw", "", "DIR", "let the command change this directory; the changes are applied at the end", nil)
	fs.Bool(&f.diff, "diff", "", "show the changes on stderr, and apply nothing")
	fs.Text(&f.apply, "apply", "", "WHEN", "apply changes: ask, all or none (default all)", applyModes)
	fs.Texts(&f.applyProtected, "apply-protected", "", "PATH", "apply changes to this protected path, relative to its writable directory, too", nil)
	fs.Text(&f.tmpSize, "tmp-size", "", "SIZE", "what /tmp and all changes together may hold, such as 1g", nil)
}

// Values of --apply.
const (
	applyAll  = "all"
	applyNone = "none"
	applyAsk  = "ask"
)

// applyModes are what --apply takes.
func applyModes() []string { return []string{applyAsk, applyAll, applyNone} }

// applyWorkspaces adds what --rw names to what the policy shows, and checks the
// flags that are about it.
func (f *runFlags) applyWorkspaces(p *policy.Policy) error {
	for _, dir := range f.rw {
		source, err := hostPath("--rw", dir)
		if err == nil {
			source, err = filepath.EvalSymlinks(source) // as the current directory is shown
		}
		if err != nil {
			return err
		}
		if st, err := os.Stat(source); err == nil && !st.IsDir() {
			return usagef("name the directory that it is in", "--rw %s is not a directory", dir)
		}
		p.Filesystem.Mounts = append(withoutTarget(p.Filesystem.Mounts, source), policy.Mount{Source: source, Access: policy.AccessWrite})
	}
	for _, name := range f.applyProtected {
		if !slices.Contains(p.Filesystem.Protected, name) {
			p.Filesystem.Protected = append(p.Filesystem.Protected, name)
		}
	}
	return f.checkApply(p)
}

func (f *runFlags) checkApply(p *policy.Policy) error {
	switch {
	case f.apply != "" && !slices.Contains(applyModes(), f.apply):
		return usagef("use ask, all or none", "--apply: there is no %q", f.apply)
	case f.diff && f.apply != "" && f.apply != applyNone:
		return usagef("leave one out; --apply ask shows the changes first", "--diff applies nothing, and --apply %s does", f.apply)
	case (f.diff || f.apply != "" || len(f.applyProtected) > 0) && !hasAccess(p, policy.AccessWrite):
		return usagef("add --rw DIR", "--diff, --apply and --apply-protected are about writable directories, and there is none")
	case f.apply != applyAsk:
		return nil
	case f.interactive:
		return usagef("leave one out", "--apply ask and --interactive both read stdin")
	case !isTerminal(os.Stdin) || !isTerminal(os.Stderr):
		return usagef("use --diff to see the changes, and --apply all or none", "--apply ask needs a terminal to ask on")
	}
	return nil
}

// changes halts the sandbox, and shows and applies what was changed, as the
// flags say. Nothing is applied unless the command ended by itself: what one that
// was killed leaves is half done.
func (j *job) changes(stop *stopper, sb *kavach.Sandbox, res *kavach.Result) ([]workspace.Outcome, error) {
	p := sb.Policy()
	if !hasAccess(&p, policy.AccessWrite) {
		return nil, nil
	}
	why := j.whyNotApplied(stop, res)
	if err := sb.Halt(context.Background()); err != nil {
		return nil, err
	}
	changes, err := sb.Changes(stop.ctx)
	if err != nil {
		return nil, stop.instead(err)
	}
	if j.diff || j.apply == applyAsk {
		if !j.json {
			j.list(os.Stderr, changes)
		}
	}
	if why == "" && j.apply == applyAsk && len(changes) > 0 {
		why = ask(stop, os.Stdin, os.Stderr, changes, p.Filesystem.Protected)
	}
	if why != "" {
		return notApplied(changes, p.Filesystem.Protected, why), nil
	}
	out, err := sb.Apply(stop.ctx, changes)
	return out, err
}

// whyNotApplied is why nothing of a run is applied; empty: it is.
func (j *job) whyNotApplied(stop *stopper, res *kavach.Result) string {
	switch why := whyUnfinished(stop, res); {
	case why != "":
		return why
	case j.diff:
		return "--diff applies nothing"
	case j.apply == applyNone:
		return "--apply none"
	}
	return ""
}

// whyUnfinished is why what a command leaves is half done; empty: it ended by itself.
func whyUnfinished(stop *stopper, res *kavach.Result) string {
	switch {
	case stop.signalled():
		return "kavach was interrupted"
	case res.TimedOut:
		return "the command was killed at its deadline"
	case res.Signal != 0:
		return "the command was killed by " + signalName(res.Signal)
	}
	return ""
}

// notApplied are the outcomes of changes that nobody tried to apply.
func notApplied(changes []workspace.Change, named []string, why string) []workspace.Outcome {
	out := make([]workspace.Outcome, 0, len(changes))
	for _, c := range changes {
		o := workspace.Outcome{Change: c}
		if o.State, o.Reason = c.Verdict(named); o.State == workspace.Applied {
			o.State, o.Reason = workspace.Skipped, why
		}
		out = append(out, o)
	}
	return out
}

// ask asks whether to apply the changes that were listed. It returns why not.
func ask(stop *stopper, in io.Reader, w io.Writer, changes []workspace.Change, named []string) string {
	n := 0
	for i := range changes {
		if state, _ := changes[i].Verdict(named); state == workspace.Applied {
			n++
		}
	}
	if n == 0 {
		return "nothing of it can be applied"
	}
	fmt.Fprintf(w, "kavach: apply %s? [y/N] ", count(n, "change"))
	answer := make(chan string, 1)
	go func() { // not waited for: a read of a terminal cannot be called off
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil {
			fmt.Fprintln(w)
		}
		answer <- line
	}()
	select {
	case line := <-answer:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return ""
		}
		return "the answer was no"
	case <-stop.ctx.Done():
		return "kavach was interrupted"
	}
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// letters are the kinds of changes as git status shows them.
var letters = map[workspace.Kind]string{
	workspace.Added: "A", workspace.Modified: "M", workspace.Deleted: "D", workspace.Mode: "m",
}

// list shows the changes, one a line: what, permissions, size, name, and what
// speaks against applying it.
func (j *job) list(w *os.File, changes []workspace.Change) {
	out := newPaint(w)
	if len(changes) == 0 {
		fmt.Fprintln(w, out.dim("kavach: nothing was changed"))
	}
	for _, c := range changes {
		line := fmt.Sprintf("%s %4s %8s  %s", letters[c.Kind], permissionText(c), sizeText(c), changeName(c))
		why := c.Refused
		if why == "" && c.Protected != "" {
			why = "protected: " + c.Protected
		}
		if why != "" {
			line += out.dim("  (" + printable(why) + ")")
		}
		fmt.Fprintln(w, line)
	}
}

func permissionText(c workspace.Change) string {
	if c.Kind == workspace.Deleted || c.Type == workspace.Symlink || c.Type == workspace.Special {
		return "-"
	}
	return fmt.Sprintf("%04o", c.Mode)
}

func sizeText(c workspace.Change) string {
	if c.Type != workspace.File || c.Kind == workspace.Deleted || c.Kind == workspace.Mode {
		return "-"
	}
	return fmt.Sprint(c.Size)
}

// startedIn is the current directory, which kavach does not change.
var startedIn = sync.OnceValue(func() string {
	cwd, err := currentDir()
	if err != nil {
		return ""
	}
	return cwd
})

// changeName is the path of a change, as it is seen from the current directory.
// Names are hostile: they may hold what steers a terminal.
func changeName(c workspace.Change) string {
	name := filepath.Join(c.Mount, c.Path)
	if c.Mount == startedIn() {
		name = c.Path
	}
	name = printable(name)
	switch c.Type {
	case workspace.Dir:
		name += "/"
	case workspace.Symlink:
		if c.Kind != workspace.Deleted {
			name += " -> " + printable(c.Target)
		}
	}
	return name
}

// maxTold is how many changes that were not applied are named on stderr.
const maxTold = 20

// tellOutcomes says what was not applied, and why.
func (j *job) tellOutcomes(w *os.File, outcomes []workspace.Outcome) {
	out := newPaint(w)
	told, applied := 0, 0
	for _, o := range outcomes {
		if o.State == workspace.Applied {
			applied++
		}
		if o.State == workspace.Applied || o.State == workspace.Skipped {
			continue
		}
		if told++; told <= maxTold && !j.diff {
			fmt.Fprintln(w, out.dim(fmt.Sprintf("kavach: not applied: %s: %s", changeName(o.Change), printable(o.Reason))))
			if o.State == workspace.Protected {
				fmt.Fprintln(w, out.dim("        --apply-protected "+printable(o.Path)+" applies it"))
			}
		}
	}
	if told > maxTold && !j.diff {
		fmt.Fprintln(w, out.dim(fmt.Sprintf("kavach: and %d more; --diff and --json list all", told-maxTold)))
	}
	if i := slices.IndexFunc(outcomes, func(o workspace.Outcome) bool { return o.State == workspace.Skipped }); i >= 0 && !j.diff {
		fmt.Fprintln(w, out.dim(fmt.Sprintf("kavach: %s not applied: %s", count(len(outcomes)-applied, "change"), outcomes[i].Reason)))
	}
	if j.verbose && len(outcomes) > 0 {
		fmt.Fprintf(w, "%s %d of %d applied\n", out.dim("changes  "), applied, len(outcomes))
	}
}

// codeWith is the exit code of a run: the command's own, unless that is 0 and
// something that was to be applied was not.
func (j *job) codeWith(code int, outcomes []workspace.Outcome) int {
	tried := func(o workspace.Outcome) bool { return o.State != workspace.Applied && o.State != workspace.Skipped }
	if code == 0 && !j.diff && j.apply != applyNone && slices.ContainsFunc(outcomes, tried) {
		return codeWithheld
	}
	return code
}
