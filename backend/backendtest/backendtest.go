//go:build linux

// Package backendtest is the one table of what must hold on every backend.
//
// A row is an attempt to get out, or a fault, with the layers that it tests. It
// is run twice: with everything on, when it must fail; and with just those
// layers off, when the same attempt must get through. So a row cannot pass
// because something else happened to stop it, and no layer can be lost without a
// row going red. A backend that does not have a layer must not score for it.
//
// What this package does not protect: it is for tests. What it runs attacks the
// sandboxes that it made itself, and nothing else.
package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// Target is a backend under test.
type Target struct {
	// New makes the backend, with layers left out. A backend that cannot leave
	// layers out has no twins, and says so by a nil Layers.
	New func(without ...policy.Control) backend.Backend

	// Layers are the controls that New can leave out.
	Layers []policy.Control

	// Policy changes the policy of each row to what the backend cannot do without.
	// Nil: nothing.
	Policy func(*policy.Policy)

	// Fixed are those among them that are left out in vain, and why: something
	// that is not Kavach's does the same. The twins of rows with them are not run.
	Fixed map[policy.Control]string

	// Inside says that commands are no processes of this kernel: rows look for them
	// by a command inside, and on the host for what the sandbox is made of.
	Inside bool

	// NoTwin are rows, by their names, whose twin fails for a reason of the
	// backend's own, and which.
	NoTwin map[string]string

	// Refuses are rows, by their names, whose policy is refused, and why.
	Refuses map[string]string

	// Except are rows, by their names, that need not hold, and why what gets
	// through is not what the row is about. They are tried all the same.
	Except map[string]string
}

// strict is the policy that rows begin with.
func (t *Target) strict(tb testing.TB) policy.Policy {
	tb.Helper()
	p := strict(tb)
	if t.Policy != nil {
		t.Policy(&p)
	}
	return p
}

// fixed says why the twin of a row cannot be run. Empty: it can.
func (t *Target) fixed(row Row) string {
	for _, l := range row.Layers {
		if why := t.Fixed[l]; why != "" {
			return fmt.Sprintf("%s cannot be left out: %s", l, why)
		}
	}
	return ""
}

// Row is one thing that must hold.
type Row struct {
	// Number is the line of CONTAINMENT that the row is for.
	Number int

	// Name says what is attempted, and Why which rule is broken if it succeeds
	// and which real bug it descends from.
	Name, Why string

	// Layers are what stops the attempt, and what the twin leaves out. Where
	// more than one stands in the way, all that do are named.
	Layers []policy.Control

	// Bare are layers that are left out of both runs, so that Layers are seen to
	// hold by themselves. Nil: none.
	Bare []policy.Control

	// Loosen changes the policy of the twin where a layer is asked for by the
	// policy rather than left out of the backend. Nil: nothing.
	Loosen func(*policy.Policy)

	// RootTwin says that the twin needs root: without the layer, an ordinary
	// user still is stopped by being one.
	RootTwin bool

	// NoTwin says why there is no twin; each reason is a property, not a layer.
	NoTwin string

	// Contrast stands in for the twin where what holds is no layer that can be
	// left out: the same attempt gets through where Kavach does not stand in the
	// way, on the host, done so that it is harmless there. Nil: none.
	Contrast func(e *Env) (through bool, seen string)

	// AsRoot says that only root can set the stage for the attempt.
	AsRoot bool

	// RootHeld says why the row need not hold for a sandbox that an ordinary user
	// makes: there the layers must not be called enforced, unless it does hold.
	RootHeld string

	// Partly says why the row need not hold on a kernel whose layer is older: the
	// layers must not be called enforced there, unless it does hold.
	Partly string

	// Policy changes the policy of both runs. Nil: the strict preset as it is.
	Policy func(*policy.Policy)

	// Attempt tries, in a sandbox of its own, and says whether it got through,
	// and what was seen.
	Attempt func(e *Env) (through bool, seen string)
}

// Env is what an attempt works with.
type Env struct {
	testing.TB
	Sandbox *kavach.Sandbox

	// Dir is a directory of the host that is mounted, read-only, at its own
	// path, with the attack program in it. Secret is a file of the host beside
	// it, which is not mounted; SecretText is what it holds.
	Dir, Secret, SecretText string

	// Backend and Policy are what Sandbox was made with.
	Backend backend.Backend
	Policy  policy.Policy

	inside bool // see Target
}

// Run runs every row on the target.
func Run(t *testing.T, target Target) {
	for _, name := range slices.Concat(slices.Collect(maps.Keys(target.Except)), slices.Collect(maps.Keys(target.Refuses)), slices.Collect(maps.Keys(target.NoTwin))) {
		if !slices.ContainsFunc(Rows(), func(r Row) bool { return r.Name == name }) {
			t.Errorf("%q is named, and there is no such row", name)
		}
	}
	for _, row := range Rows() {
		t.Run(row.Name, func(t *testing.T) { runRow(t, target, row) })
	}
}

func runRow(t *testing.T, target Target, row Row) {
	if !has(target, row.Layers) {
		scoresNothing(t, target, row)
		return
	}
	if why := target.Refuses[row.Name]; why != "" {
		refused(t, target, row, why)
		return
	}
	if row.AsRoot && os.Geteuid() != 0 {
		t.Log("the stage is set by root only")
		return
	}
	try := func(name string, test func(t testing.TB)) {
		t.Run(name, func(t *testing.T) { testclock.Try(t, test) })
	}
	try("held", func(t testing.TB) {
		if row.RootHeld != "" && os.Geteuid() != 0 && !enforced(t, target, row) {
			t.Log("not enforced, and not called so:", row.RootHeld)
			return
		}
		if row.Partly != "" && !enforced(t, target, row) {
			t.Log("not enforced, and not called so:", row.Partly)
			return
		}
		through, seen := attempt(t, target, row, nil)
		switch why := target.Except[row.Name]; {
		case through && why != "":
			t.Logf("CONTAINMENT %d is excepted: %s: %s", row.Number, why, seen)
		case through:
			t.Errorf("CONTAINMENT %d: it got through: %s\n%s", row.Number, seen, row.Why)
		default:
			t.Log(seen)
		}
	})
	try("twin", func(t testing.TB) {
		switch {
		case row.NoTwin != "":
			t.Log("no twin:", row.NoTwin)
		case target.NoTwin[row.Name] != "":
			t.Log("no twin:", target.NoTwin[row.Name])
		case target.fixed(row) != "":
			t.Log("no twin:", target.fixed(row))
		case row.RootTwin && os.Geteuid() != 0:
			t.Log("the twin is run as root")
		case row.Contrast != nil:
			contrasted := row
			contrasted.Attempt = row.Contrast
			if through, seen := attempt(t, target, contrasted, nil); !through {
				t.Errorf("CONTAINMENT %d: without Kavach it fails as well, so the row proves nothing: %s", row.Number, seen)
			} else {
				t.Log(seen)
			}
		default:
			if through, seen := attempt(t, target, row, row.Layers); !through {
				t.Errorf("CONTAINMENT %d: without %v it still fails, so the row proves nothing: %s", row.Number, row.Layers, seen)
			} else {
				t.Log(seen)
			}
		}
	})
}

// refused sees a control named that the policy of a row asks for in vain.
func refused(t *testing.T, target Target, row Row, why string) {
	t.Helper()
	dir, _ := workspace(t, "")
	p := target.strict(t)
	p.Filesystem.Mounts = []policy.Mount{{Source: dir}}
	row.Policy(&p)
	b := target.New()
	sb, err := (&kavach.Runtime{Backends: []backend.Backend{b}}).Create(t.Context(), kavach.Config{Policy: p, Backend: b.Name()})
	var unsupported *backend.UnsupportedError
	if !errors.As(err, &unsupported) || !slices.Contains(row.Layers, unsupported.Control) {
		t.Errorf("CONTAINMENT %d: %v, want a refusal that names one of %v: %s", row.Number, err, row.Layers, why)
	}
	if sb != nil {
		_ = sb.Destroy(context.Background())
	}
	t.Log(err)
}

// has reports whether the target has all of these layers.
func has(target Target, layers []policy.Control) bool {
	for _, l := range layers {
		if !slices.Contains(target.Layers, l) {
			return false
		}
	}
	return len(target.Layers) > 0
}

// scoresNothing is what a backend without the layers of a row must do: earn
// nothing, and refuse a policy that requires a score.
func scoresNothing(t *testing.T, target Target, row Row) {
	p := target.strict(t)
	p.Require.MinScore = 1
	b := target.New()
	rt := &kavach.Runtime{Backends: []backend.Backend{b}}
	sb, err := rt.Create(t.Context(), kavach.Config{Policy: p, Backend: b.Name()})
	if err == nil {
		defer sb.Destroy(context.Background())
		for _, line := range sb.Score().Controls {
			if slices.Contains(row.Layers, line.Name) && line.Points > 0 {
				t.Errorf("%s scores %d for %s, which it does not have", b.Name(), line.Points, line.Name)
			}
		}
		return
	}
	var low *kavach.ScoreError
	if !errors.As(err, &low) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("refused with %v, want a *ScoreError or an unsupported control", err)
	}
}

func strict(t testing.TB) policy.Policy {
	t.Helper()
	p, err := policy.Preset("strict")
	if err != nil {
		t.Fatal(err)
	}
	p.Resources.Timeout = policy.Duration(2 * time.Minute) // far off: few rows are about it
	return p
}

// attempt makes a sandbox and tries.
func attempt(t testing.TB, target Target, row Row, without []policy.Control) (through bool, seen string) {
	t.Helper()
	e := &Env{TB: t, SecretText: "the host's secret", inside: target.Inside}
	e.Dir, e.Secret = workspace(t, e.SecretText)
	p := target.strict(t)
	p.Filesystem.Mounts = []policy.Mount{{Source: e.Dir}}
	if row.Policy != nil {
		row.Policy(&p)
	}
	if without != nil && row.Loosen != nil {
		row.Loosen(&p)
	}
	if without = slices.Concat(row.Bare, without); without != nil {
		p.BestEffort = policy.Controls() // what is left out is missing, and that is the point
	}
	e.Backend, e.Policy = target.New(without...), p
	e.Sandbox = e.Another()
	return row.Attempt(e)
}

// Another makes one more sandbox like the first.
func (e *Env) Another() *kavach.Sandbox {
	e.Helper()
	rt := &kavach.Runtime{Backends: []backend.Backend{e.Backend}}
	sb, err := rt.Create(e.Context(), kavach.Config{Policy: e.Policy, Backend: e.Backend.Name()})
	if err != nil {
		e.Fatalf("create: %v", err)
	}
	e.Cleanup(func() {
		if err := sb.Destroy(context.Background()); err != nil {
			e.Errorf("destroy: %v", err)
		}
	})
	return sb
}

// enforced reports whether the score calls a layer of the row enforced, here.
func enforced(t testing.TB, target Target, row Row) bool {
	t.Helper()
	p := target.strict(t)
	p.BestEffort = slices.Concat(p.BestEffort, row.Layers) // it may be in force in part only
	e := &Env{TB: t, Backend: target.New(), Policy: p}
	for _, line := range e.Another().Score().Controls {
		if slices.Contains(row.Layers, line.Name) && line.State == backend.Enforced {
			return true
		}
	}
	return false
}

// workspace makes a directory with the attack program in it, and a secret that
// is beside it.
func workspace(t testing.TB, secret string) (dir, secretFile string) {
	t.Helper()
	base := testbin.TempDir(t)
	dir, secretFile = filepath.Join(base, "work"), filepath.Join(base, "secret")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secretFile, []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(testbin.Attack(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "attack"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, secretFile
}

// Attack runs the attack program inside with these arguments. Its exit code
// says what came of it: 0 got through, 1 was stopped; anything else is a broken
// test, unless the command was killed.
func (e *Env) Attack(args ...string) (through bool, seen string) {
	e.Helper()
	return e.verdict(args, e.Exec(append([]string{filepath.Join(e.Dir, "attack")}, args...)...))
}

// verdict says what a run of the attack program came to.
func (e *Env) verdict(args []string, res *kavach.Result) (through bool, seen string) {
	e.Helper()
	seen = strings.TrimSpace(string(res.Stdout) + " " + string(res.Stderr))
	switch {
	case res.Signal != 0:
		return false, seen + " " + res.Signal.String()
	case res.ExitCode > 1:
		e.Fatalf("attack %v: exit %d: %s", args, res.ExitCode, seen)
	}
	return res.ExitCode == 0, seen
}

// Exec runs a command inside and fails the test where Kavach does.
func (e *Env) Exec(args ...string) *kavach.Result {
	e.Helper()
	res, err := e.Sandbox.Run(e.Context(), kavach.Cmd{Args: args})
	if err != nil {
		e.Fatalf("run %v: %v", args, err)
	}
	return res
}
