package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/backend/noop"
	"github.com/kavach-dev/kavach/backend/wasm"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// explanation is what policy explain --json prints.
type explanation struct {
	Policy   string           `json:"policy"` // as it was named
	Fields   []explainedField `json:"fields"`
	Controls []askedControl   `json:"controls"`
	Scores   []reachable      `json:"scores"`
	NotSafe  []string         `json:"not_protected"`
}

type explainedField struct {
	policy.Value
	Means string `json:"means"`
}

// askedControl is a control of one of the backends that are built.
type askedControl struct {
	Name    policy.Control `json:"name"`
	Asked   bool           `json:"asked"`
	MayMiss bool           `json:"may_miss"`
	Means   string         `json:"means"`
	Points  map[string]int `json:"points"` // by backend
}

// reachable is what the policy would get with all that it asks for proven.
type reachable struct {
	Backend string `json:"backend"`
	Built   bool   `json:"built"`
	Allowed bool   `json:"allowed"` // by require.backends, and by wasm

	noModules bool   // it runs none, and the policy is about them
	Value     int    `json:"value"` // 0 where it is not built
	Tier      string `json:"tier"`
}

func policyExplain() *command {
	asJSON := false
	return &command{
		name: "explain", args: "[flags] POLICY...", short: "say what a policy allows, asks for and does not protect from",
		long: `Say what a policy shows and allows, with the defaults of what it leaves out, which
controls it asks for and what they are worth, the score that it can reach, and
what it does not protect from. Several policies are merged. Nothing is tried:
kavach score does that.`,
		flags: jsonFlag(&asJSON),
		least: 1, most: -1, needs: "a policy, such as: kavach policy explain strict", values: policy.PresetNames,
		run: func(args []string) error {
			p, err := loadPolicies(args)
			if err != nil {
				return err
			}
			e := explainPolicy(p)
			for i, name := range args {
				args[i] = policyLabel(name)
			}
			e.Policy = strings.Join(args, " + ")
			if asJSON {
				return writeJSON(os.Stdout, e)
			}
			e.print(os.Stdout, newPaint(os.Stdout))
			return nil
		},
	}
}

func explainPolicy(p policy.Policy) explanation {
	e := explanation{Controls: []askedControl{}, NotSafe: notProtected(&p)}
	for _, v := range policy.Values(p) {
		if v.Field != "name" {
			e.Fields = append(e.Fields, explainedField{v, meaning(&p, v)})
		}
	}
	var built []string
	for _, b := range all.All() {
		built = append(built, b.Name())
	}
	for _, entry := range score.Table() {
		c := askedControl{
			Name: entry.Control, Means: entry.Means, MayMiss: p.MayMiss(entry.Control),
			Asked: p.Asks(entry.Control), Points: make(map[string]int),
		}
		for _, name := range built {
			if points := entry.Points(name); points > 0 {
				c.Points[name] = points
			}
		}
		if len(c.Points) > 0 {
			e.Controls = append(e.Controls, c)
		}
	}
	for _, name := range backend.Names() {
		r := reachable{Backend: name, Built: slices.Contains(built, name), Allowed: slices.Contains(p.Require.Backends, name)}
		if len(p.Require.Backends) == 0 {
			r.Allowed = name != noop.Name
		}
		if !reflect.ValueOf(p.Wasm).IsZero() && name != wasm.Name {
			r.Allowed, r.noModules = false, true
		}
		if r.Built {
			r.Value = score.Of(name, &p, nil).Requested
		}
		r.Tier = score.Tier(r.Value)
		e.Scores = append(e.Scores, r)
	}
	return e
}

func (e *explanation) print(w io.Writer, out paint) {
	fmt.Fprintln(w, out.bold(printable(e.Policy)))
	var rows [][]string
	for _, f := range e.Fields {
		rows = append(rows, []string{"  " + f.Field, f.String(), f.Means})
	}
	printTable(w, rows, func(_ int, line string) string { return line })

	fmt.Fprintf(w, "\n%s\n", out.bold("controls that it asks for"))
	rows = nil
	for _, c := range e.Controls {
		asked := "asked for"
		switch {
		case c.Asked && c.MayMiss:
			asked = "may be missing"
		case !c.Asked:
			asked = "not asked for"
		}
		rows = append(rows, []string{"  " + string(c.Name), pointsText(c.Points), asked, c.Means})
	}
	printTable(w, rows, func(i int, line string) string {
		if c := e.Controls[i]; !c.Asked || c.MayMiss {
			return out.bad(line)
		}
		return line
	})

	fmt.Fprintf(w, "\n%s\n", out.bold("score, where all of it is proven"))
	e.printScores(w)

	fmt.Fprintf(w, "\n%s\n", out.bold("what it does not protect from"))
	for _, line := range e.NotSafe {
		fmt.Fprintf(w, "  - %s\n", printable(line))
	}
}

func pointsText(points map[string]int) string {
	var parts []string
	same := slices.Compact(slices.Collect(maps.Values(points)))
	columns := 0
	for _, name := range backend.Names() {
		if score.Max(name) > 0 {
			columns++
		}
	}
	if len(points) == columns && len(same) == 1 {
		return fmt.Sprintf("%d on each", same[0])
	}
	for _, name := range backend.Names() {
		if n := points[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d on %s", n, name))
		}
	}
	return strings.Join(parts, ", ")
}

func (e *explanation) printScores(w io.Writer) {
	var missing []string
	for _, r := range e.Scores {
		switch {
		case !r.Built:
			missing = append(missing, r.Backend)
		case !r.Allowed && r.Backend == noop.Name:
			fmt.Fprintf(w, "  %-12s %d (%s), and only where it is named\n", r.Backend, r.Value, r.Tier)
		case r.noModules:
			fmt.Fprintf(w, "  %-12s refused: it runs no modules (wasm)\n", r.Backend)
		case !r.Allowed:
			fmt.Fprintf(w, "  %-12s not among require.backends\n", r.Backend)
		default:
			fmt.Fprintf(w, "  %-12s %d (%s)\n", r.Backend, r.Value, r.Tier)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(w, "  %s: %s\n", strings.Join(missing, ", "), notBuilt)
	}
}
