package score

import (
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

func preset(t *testing.T, name string) *policy.Policy {
	t.Helper()
	p, err := policy.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

// TestBaseSums: the weights of the base controls add up to the published base.
func TestBaseSums(t *testing.T) {
	for _, name := range []string{"process", "oci", "gvisor", "wasm"} {
		sum := 0
		for _, e := range Table() {
			if e.Control.IsBase() {
				sum += e.Points(name)
			}
		}
		if sum != Base[name] {
			t.Errorf("base controls of %s add up to %d, want %d", name, sum, Base[name])
		}
	}
}

func TestTableIsComplete(t *testing.T) {
	inTable := make(map[policy.Control]bool)
	for _, e := range Table() {
		if inTable[e.Control] || !e.Control.Known() || e.Means == "" || e.ProvenBy == "" {
			t.Errorf("row %q is there twice, is not known, or has no words", e.Control)
		}
		inTable[e.Control] = true
	}
	for _, c := range policy.Controls() {
		if !inTable[c] {
			t.Errorf("control %s is not in the table", c)
		}
	}
	for _, name := range backend.Names() {
		if _, ok := Base[name]; !ok {
			t.Errorf("backend %s has no base", name)
		}
	}
}

// proofs are such as a perfect run would give.
func proofs(change func(*backend.Proof)) []backend.Proof {
	var all []backend.Proof
	for _, c := range policy.Controls() {
		p := backend.Proof{Control: c, State: backend.Enforced, Outside: "seen", Inside: "tried"}
		if change != nil {
			change(&p)
		}
		all = append(all, p)
	}
	return all
}

func only(c policy.Control, do func(*backend.Proof)) func(*backend.Proof) {
	return func(p *backend.Proof) {
		if p.Control == c {
			do(p)
		}
	}
}

func TestOf(t *testing.T) {
	for _, row := range []struct {
		why, backend, preset string
		proofs               []backend.Proof
		value, requested     int
	}{
		{"everything that process has", "process", "strict", proofs(nil), 68, 68},
		{"noop earns nothing, whatever the policy says and the proofs claim", "noop", "strict", proofs(nil), 0, 0},
		{"a backend that nobody knows earns nothing", "trust-me", "strict", proofs(nil), 0, 0},
		{"no proof, no points; what was asked for is shown", "process", "strict", nil, 0, 68},
		{"what a policy does not ask for and is proven all the same counts", "process", "minimal", proofs(nil), 68, 55},
		{"a missing control costs its points", "process", "strict",
			proofs(only(policy.RootPivoted, func(p *backend.Proof) { p.State = backend.Missing })), 60, 68},
		{"unverified is worth nothing", "process", "strict",
			proofs(only(policy.SeccompOn, func(p *backend.Proof) { p.State = backend.Unverified })), 63, 68},
		{"partial is worth half, rounded down", "process", "strict",
			proofs(only(policy.LandlockOn, func(p *backend.Proof) { p.State = backend.Partial })), 66, 68},
		{"only the guest says so: no base points", "process", "strict",
			proofs(only(policy.NSUser, func(p *backend.Proof) { p.Outside = "" })), 62, 68},
		{"only the guest can say so, and it is a modifier", "process", "strict",
			proofs(only(policy.LandlockOn, func(p *backend.Proof) { p.Outside = "" })), 68, 68},
		{"a state that nobody knows is worth nothing", "process", "strict",
			proofs(only(policy.NSPid, func(p *backend.Proof) { p.State = "certain" })), 63, 68},
	} {
		s := Of(row.backend, preset(t, row.preset), row.proofs)
		if s.Value != row.value || s.Requested != row.requested {
			t.Errorf("%s: got %d of %d, want %d of %d", row.why, s.Value, s.Requested, row.value, row.requested)
		}
	}
}

func TestTier(t *testing.T) {
	for value, want := range map[int]string{
		0: "minimal", 29: "minimal", 30: "basic", 49: "basic", 50: "standard", 69: "standard",
		70: "hardened", 84: "hardened", 85: "fortress", 100: "fortress",
	} {
		if got := Tier(value); got != want {
			t.Errorf("Tier(%d) = %s, want %s", value, got, want)
		}
	}
}
