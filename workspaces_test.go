//go:build linux

package kavach_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/workspace"
)

// writable makes a world with one writable mount, in which files were made.
func writable(t *testing.T, files map[string]string) (w *world, base string, p policy.Policy) {
	t.Helper()
	dir := t.TempDir()
	base, upper := filepath.Join(dir, "base"), filepath.Join(dir, "upper")
	if err := errors.Join(os.Mkdir(base, 0o755), os.Mkdir(upper, 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(upper, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := policy.Mount{Source: base, Access: policy.AccessWrite}
	w = newWorld()
	w.layers = []backend.Layer{{Mount: m, Base: open(t, base), Upper: open(t, upper)}}
	p.Filesystem.Mounts, p.Filesystem.TmpSize = []policy.Mount{m}, 1<<20
	return w, base, p
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// settle halts a sandbox and applies all changes.
func settle(t *testing.T, sb *kavach.Sandbox) ([]workspace.Outcome, error) {
	t.Helper()
	if err := sb.Halt(t.Context()); err != nil {
		t.Fatal(err)
	}
	changes, err := sb.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sb.Apply(t.Context(), changes)
}

func states(outcomes []workspace.Outcome) string {
	var all []string
	for _, o := range outcomes {
		all = append(all, fmt.Sprintf("%s %s", o.Path, o.State))
	}
	return strings.Join(all, ", ")
}

func namesIn(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// Nothing is applied before its record, and the record says what.
func TestApplyIsRecorded(t *testing.T) {
	w, base, p := writable(t, map[string]string{"a": "text", ".bashrc": "x"})
	sb := w.create(t, p)
	out, err := settle(t, sb)
	if err != nil || states(out) != ".bashrc protected, a applied" {
		t.Fatalf("%v: %s", err, states(out))
	}
	if got := namesIn(t, base); got != "a" {
		t.Errorf("the host has %q", got)
	}
	last := w.events[len(w.events)-1]
	if last.Act != kavach.ActApply || len(last.Changes) != 1 || last.Changes[0].Path != "a" ||
		last.Changes[0].SHA256 != "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1" {
		t.Errorf("recorded: %+v", last)
	}
	want := []string{"record halt", "halt", "halt", "record apply"} // the second by Changes, which makes sure
	if got := w.journal(); !slices.Equal(got[len(got)-len(want):], want) {
		t.Errorf("journal %q, want %q at its end", got, want)
	}

	for _, act := range []kavach.Act{kavach.ActHalt, kavach.ActApply} {
		w, base, p := writable(t, map[string]string{"a": "text"})
		sb := w.create(t, p)
		w.refuse = act
		err := sb.Halt(t.Context())
		if err == nil {
			_, err = settle(t, sb)
		}
		if !errors.Is(err, errTest) || namesIn(t, base) != "" {
			t.Errorf("without a record of %s: %v, the host has %q", act, err, namesIn(t, base))
		}
		if act == kavach.ActHalt && (slices.Contains(w.journal(), "halt") || sb.State() != kavach.Running) {
			t.Error("it was halted without a record")
		}
	}
}

// What is named is applied, though it is protected.
func TestApplyProtected(t *testing.T) {
	w, base, p := writable(t, map[string]string{".bashrc": "x", ".zshrc": "x"})
	p.Filesystem.Protected = []string{".zshrc"}
	if out, err := settle(t, w.create(t, p)); err != nil || states(out) != ".bashrc protected, .zshrc applied" {
		t.Errorf("%v: %s", err, states(out))
	}
	if got := namesIn(t, base); got != ".zshrc" {
		t.Errorf("the host has %q", got)
	}
}

func TestFileGate(t *testing.T) {
	files := map[string]string{"a": "harmless", "b": "the secret is x", "c": "harmless", ".bashrc": "x"}
	create := func(g *gate.Gate, how policy.Gate) (*kavach.Sandbox, string) {
		w, base, p := writable(t, files)
		p.Gate = how
		sb, err := (&kavach.Runtime{Backends: []backend.Backend{w}, Gate: g}).Create(t.Context(), kavach.Config{Backend: "noop", Policy: p})
		if err != nil {
			t.Fatal(err)
		}
		return sb, base
	}

	seen := newWorld()
	high := &words{world: seen, find: map[string]gate.Severity{"secret": gate.High}}
	sb, base := create(high.gate(), policy.Gate{})
	out, err := settle(t, sb)
	if err != nil || states(out) != ".bashrc protected, a applied, b withheld, c applied" || !strings.Contains(out[2].Reason, "word (high)") {
		t.Errorf("%v: %s", err, states(out))
	}
	if got := namesIn(t, base); got != "a c" || strings.Join(seen.journal(), " ") != "open a close a open b close b open c close c" {
		t.Errorf("the host has %q, and the gate saw %q", got, seen.journal())
	}
	if r := sb.FileReports(); len(r) != 1 || r[0].Path != "b" || r[0].Verdict != gate.Block || len(r[0].Findings) != 1 {
		t.Errorf("%+v", r)
	}

	tests := []struct {
		severity gate.Severity
		policy   policy.Gate
		want     string
		why      string
	}{
		{gate.Medium, policy.Gate{}, "a b c", "what would be redacted in output is no reason to withhold a file"},
		{gate.Medium, policy.Gate{Block: policy.SeverityMedium}, "a c", "unless the policy says so"},
		{gate.High, policy.Gate{Redact: policy.Off}, "a b c", "nothing is, where nothing is redacted"},
		{gate.High, policy.Gate{Ignore: []string{"word"}}, "a b c", "a rule that does not count"},
		{gate.Low, policy.Gate{Severity: map[string]string{"word": policy.SeverityHigh}}, "a c", "a rule that counts for more"},
		{gate.High, policy.Gate{Mode: policy.GateOff}, "a b c", "no gate at all"},
	}
	for _, test := range tests {
		w := &words{find: map[string]gate.Severity{"secret": test.severity}}
		sb, base := create(w.gate(), test.policy)
		if _, err := settle(t, sb); err != nil || namesIn(t, base) != test.want {
			t.Errorf("%s: %v, the host has %q", test.why, err, namesIn(t, base))
		}
	}

	sb, base = create((&words{crash: "b"}).gate(), policy.Gate{})
	if out, err := settle(t, sb); err != nil || namesIn(t, base) != "a c" {
		t.Errorf("a scanner that crashes: %v %s, the host has %q", err, states(out), namesIn(t, base))
	}
}

// Some of the changes, and ones that are not the sandbox's.
func TestApplySome(t *testing.T) {
	w, base, p := writable(t, map[string]string{"a": "1", "b": "2"})
	sb := w.create(t, p)
	if err := sb.Halt(t.Context()); err != nil {
		t.Fatal(err)
	}
	changes, err := sb.Changes(t.Context())
	if err != nil || len(changes) != 2 {
		t.Fatal(changes, err)
	}
	if out, err := sb.Apply(t.Context(), changes[1:]); err != nil || states(out) != "b applied" {
		t.Errorf("%v: %s", err, states(out))
	}
	if got := namesIn(t, base); got != "b" {
		t.Errorf("the host has %q", got)
	}
	foreign := changes[0]
	foreign.Mount = "/elsewhere"
	if _, err := sb.Apply(t.Context(), []workspace.Change{foreign}); err == nil {
		t.Error("a change of no mount was taken")
	}
	if left, err := sb.Changes(t.Context()); err != nil || len(left) != 1 || left[0].Path != "a" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A backend that keeps nothing apart says so.
func TestHaltUnsupported(t *testing.T) {
	w := newWorld()
	sb, err := (&kavach.Runtime{Backends: []backend.Backend{plainBackend{w}}}).Create(t.Context(), kavach.Config{Backend: "noop"})
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Halt(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// plainBackend makes instances with no abilities beside the contract.
type plainBackend struct{ *world }

func (b plainBackend) Create(ctx context.Context, spec backend.Spec) (backend.Instance, error) {
	i, err := b.world.Create(ctx, spec)
	return struct{ backend.Instance }{i}, err
}
