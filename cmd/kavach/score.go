package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// scored is what a policy gets on one backend.
type scored struct {
	Backend   string       `json:"backend"`
	Available bool         `json:"available"`
	Value     int          `json:"value"`
	Tier      string       `json:"tier"`
	Requested int          `json:"requested"`
	Reason    string       `json:"reason"`
	Fix       string       `json:"fix"`
	Controls  []score.Line `json:"controls"`
	Notes     []string     `json:"notes,omitempty"`
	Image     *fromImage   `json:"image,omitempty"` // nil: none
}

// notBuilt is the reason for a backend that is to come.
const notBuilt = "not built in this version"

func scoreCommand() *command {
	var policies []string
	backendFlag, runtime, asJSON := "auto", "", false
	of := &imageFlags{}
	return &command{
		name: "score", args: "[flags]", short: "say what a policy would get on each backend here, and why",
		long: `Make a sandbox with the policy on each backend, and show what was proven of it.

Nothing is refused for what is missing: require.min_score does not count, and
each control may be missing. Exits with 125 where --backend names one that is not
available.`,
		flags: func(f *flags) {
			f.Texts(&policies, "policy", "", "POLICY", "as for kavach run (default basic)", policy.PresetNames)
			f.Text(&backendFlag, "backend", "", "NAME", "this backend only", backendNames)
			of.registerImage(f)
			registerRuntime(f, &runtime)
			f.Bool(&asJSON, "json", "", "print one JSON array")
		},
		run: func([]string) error { return showScores(policies, of, backendFlag, runtime, asJSON) },
	}
}

func showScores(policies []string, of *imageFlags, only, runtime string, asJSON bool) error {
	p, err := loadPolicies(policies)
	if err == nil {
		err = of.applyImage(&p)
	}
	if err != nil {
		return err
	}
	only, err = backendName(only)
	if err != nil {
		return err
	}
	p.Require = policy.Require{}
	p.BestEffort = policy.Controls()
	stop := catch()
	var list []scored
	for _, name := range backend.Names() {
		if only == "auto" || only == name {
			s, err := scoreOn(stop.ctx, name, p, &kavach.Runtime{Backends: all.Using(runtime), Images: imagesFor(of.pull)})
			if err != nil {
				return stop.instead(err)
			}
			list = append(list, s)
		}
	}
	if stop.ctx.Err() != nil {
		return stop.instead(stop.ctx.Err())
	}
	if asJSON {
		err = writeJSON(os.Stdout, list)
	} else {
		printScores(os.Stdout, newPaint(os.Stdout), list)
	}
	if only != "auto" && !list[0].Available && err == nil {
		return exitStatus(codeFailed) // there is no score to be had, and why was said
	}
	return err
}

// scoreOn makes a sandbox on one backend. An error is about the image, and so is
// the same for all of them.
func scoreOn(ctx context.Context, name string, p policy.Policy, rt *kavach.Runtime) (scored, error) {
	s := scored{Backend: name, Reason: notBuilt, Controls: []score.Line{}}
	if rt.Find(name) == nil {
		return s, nil
	}
	sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: name})
	if err == nil {
		err = sb.Destroy(ctx)
	}
	var image *kavach.ImageError
	if errors.As(err, &image) {
		return s, err
	}
	if err != nil {
		s.Reason, s.Fix = unavailable(err)
		return s, nil
	}
	proven := sb.Score()
	s.Available, s.Reason, s.Controls, s.Notes, s.Image = true, "", proven.Controls, slices.Concat(proven.Notes, sb.Notes()), imageOf(sb)
	s.Value, s.Tier, s.Requested = proven.Value, proven.Tier, proven.Requested
	return s, nil
}

// unavailable says why a backend cannot be used, and what to do.
func unavailable(err error) (reason, fix string) {
	var e *backend.UnavailableError
	if errors.As(err, &e) {
		return e.Reason, e.Fix
	}
	var what, todo []string
	for _, p := range explain(err) {
		what = append(what, p.what)
		if p.fix != "" {
			todo = append(todo, p.fix)
		}
	}
	return strings.Join(what, "; "), strings.Join(todo, "; ")
}

func printScores(w io.Writer, out paint, list []scored) {
	var missing []string
	for _, s := range list {
		switch {
		case s.Reason == notBuilt:
			missing = append(missing, s.Backend)
		case !s.Available:
			fmt.Fprintf(w, "%s  %s\n", out.bold(s.Backend), out.bad("not available: "+printable(s.Reason)))
			printFix(w, s.Fix)
		default:
			fmt.Fprintf(w, "%s  %d (%s), %d was asked for\n", out.bold(s.Backend), s.Value, s.Tier, s.Requested)
			printControls(w, out, s.Controls)
			for _, note := range s.Notes {
				fmt.Fprintln(w, "  "+printable(note))
			}
		}
		if s.Reason != notBuilt {
			fmt.Fprintln(w)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(w, "%s: %s\n", strings.Join(missing, ", "), notBuilt)
	}
}

func printControls(w io.Writer, out paint, lines []score.Line) {
	for _, c := range lines {
		row := fmt.Sprintf("  %-16s %2d/%-2d  %-10s  ", c.Name, c.Points, c.Of, c.State)
		if c.Points < c.Of {
			row = out.bad(row)
		}
		fmt.Fprintln(w, row+out.dim(printable(c.Proof)))
	}
}

func printFix(w io.Writer, fix string) {
	if fix != "" {
		fmt.Fprintf(w, "  fix: %s\n", printable(fix))
	}
}
