package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/backend/process"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// diagnosis is what doctor found out.
type diagnosis struct {
	Backends []examined `json:"backends"`
	Machine  machine    `json:"machine"`
}

// examined is what a trial of one backend showed.
type examined struct {
	Name      string            `json:"name"`
	Available bool              `json:"available"`
	Reason    string            `json:"reason"`
	Fix       string            `json:"fix"`
	Base      int               `json:"base"`
	MaxScore  int               `json:"max_score"`
	Controls  []backend.Finding `json:"controls"`
	Notes     []string          `json:"notes,omitempty"` // what the backend is made of here, and what is known of that

	// Where the kernel refuses user namespaces: why, and what there is without.
	Refusals []refusal `json:"refusals,omitempty"`
	Bare     *bare     `json:"without_namespaces,omitempty"`
}

// machine is what the results depend on.
type machine struct {
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`
	Landlock int    `json:"landlock_abi"` // 0: none
	Cgroup   string `json:"cgroup"`       // v1, v2, hybrid, none
	UID      int    `json:"uid"`
	GID      int    `json:"gid"`
}

func doctorCommand() *command {
	asJSON, apparmor, runtime := false, false, ""
	return &command{
		name: "doctor", args: "[flags]", short: "try each backend and control here, and say how to fix what fails",
		long: `Make a sandbox on each backend with everything on, and show what was tried, what
came of it, and what to do. Exits with 0 where the process backend is available,
else with 1.`,
		one: "the process backend is not available",
		flags: func(f *flags) {
			f.Bool(&asJSON, "json", "", "print one JSON object")
			registerRuntime(f, &runtime)
			f.Bool(&apparmor, "apparmor", "", "print the AppArmor profile that lets this kavach make user namespaces, and nothing else")
		},
		run: func([]string) error {
			if apparmor {
				_, err := fmt.Print(apparmorProfile(ownPath()))
				return err
			}
			return examine(runtime, asJSON)
		},
	}
}

func examine(runtime string, asJSON bool) error {
	stop := catch()
	d := diagnose(stop.ctx, runtime)
	if stop.ctx.Err() != nil {
		return stop.instead(stop.ctx.Err())
	}
	if asJSON {
		if err := writeJSON(os.Stdout, d); err != nil {
			return err
		}
	} else {
		printDiagnosis(os.Stdout, newPaint(os.Stdout), d)
	}
	for _, e := range d.Backends {
		if e.Name == process.Name && !e.Available {
			return exitStatus(1)
		}
	}
	return nil
}

func diagnose(ctx context.Context, runtime string) diagnosis {
	built := make(map[string]backend.Backend)
	for _, b := range all.Using(runtime) {
		built[b.Name()] = b
	}
	d := diagnosis{Machine: thisMachine()}
	for _, name := range backend.Names() {
		e := examined{Name: name, Base: score.Base[name], MaxScore: score.Max(name), Controls: []backend.Finding{}}
		if e.MaxScore == 0 {
			e.MaxScore = e.Base // it has no column in the table yet
		}
		e.probe(ctx, built[name])
		d.Backends = append(d.Backends, e)
	}
	return d
}

func (e *examined) probe(ctx context.Context, b backend.Backend) {
	if b == nil {
		e.Reason = notBuilt
		return
	}
	info, err := b.Probe(ctx)
	if err != nil {
		e.Reason, e.Fix = unavailable(err)
		if e.Name == process.Name {
			e.Bare = tryBare(ctx, b)
		}
		if e.Bare != nil {
			e.Refusals = refusals("/proc", os.Geteuid(), ownPath())
		}
		return
	}
	e.Available = true
	e.Controls, e.Notes = append(e.Controls, info.Controls...), info.Notes
}

// tryBare tries the tier without namespaces. Nil: it does not work either.
func tryBare(ctx context.Context, b backend.Backend) *bare {
	p, err := policy.Preset("strict")
	if err != nil {
		return nil
	}
	p.BestEffort = policy.BestEffortNames()
	rt := &kavach.Runtime{Backends: []backend.Backend{b}}
	sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: b.Name()})
	if err != nil || sb.Destroy(ctx) != nil {
		return nil
	}
	s := sb.Score()
	return &bare{Score: s.Value, Tier: s.Tier, Missing: namespaceNames(), HowToUse: howToUseBare}
}

func printDiagnosis(w io.Writer, out paint, d diagnosis) {
	m := d.Machine
	landlock := "no Landlock"
	if m.Landlock > 0 {
		landlock = fmt.Sprintf("Landlock ABI %d", m.Landlock)
	}
	fmt.Fprintf(w, "%s  %s %s on %s, %s, cgroup %s, uid %d (the process backend needs Linux 5.12, and 5.13 for Landlock)\n\n",
		out.bold("machine"), m.OS, m.Kernel, m.Arch, landlock, m.Cgroup, m.UID)
	var missing []string
	for _, e := range d.Backends {
		if e.Reason == notBuilt {
			missing = append(missing, e.Name)
			continue
		}
		e.print(w, out)
	}
	if len(missing) > 0 {
		fmt.Fprintf(w, "%s: %s\n", strings.Join(missing, ", "), notBuilt)
	}
}

func (e *examined) print(w io.Writer, out paint) {
	if !e.Available {
		fmt.Fprintf(w, "%s  %s\n", out.bold(e.Name), out.bad("not available: "+printable(e.Reason)))
		if e.Bare == nil {
			printFix(w, e.Fix)
		} else {
			printRefusals(w, out, e.Refusals, ownPath())
			e.Bare.print(w)
		}
		fmt.Fprintln(w)
		return
	}
	fmt.Fprintf(w, "%s  %s, scores up to %d\n", out.bold(e.Name), out.good("available"), e.MaxScore)
	for _, c := range e.Controls {
		row := fmt.Sprintf("  %-16s %-10s  ", c.Control, c.State)
		if c.State != backend.Enforced {
			row = out.bad(row)
		}
		fmt.Fprintln(w, row+out.dim(printable(c.Detail)))
		if c.Fix != "" {
			fmt.Fprintf(w, "  %-16s fix: %s\n", "", printable(c.Fix))
		}
	}
	for _, note := range e.Notes {
		fmt.Fprintf(w, "  %s\n", printable(note))
	}
	fmt.Fprintln(w)
}
