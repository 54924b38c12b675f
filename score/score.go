// Package score turns proofs into a number from 0 to 100.
//
// Of is a pure function: the same proofs give the same score, and no proof
// gives no points. A score is a report; nothing in Kavach switches on it but
// the caller's own require.min_score.
//
// What this package does not protect: it believes the proofs that it is given.
// Who took them, and how, is in each proof's words.
package score

import (
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// Score is how strong an isolation was proven to be.
type Score struct {
	// Value is 0 to 100.
	Value int `json:"value"`

	// Tier is the name of the range that Value is in.
	Tier string `json:"tier"`

	// Requested is what Value would be with every control enforced that the
	// policy asks for.
	Requested int `json:"requested"`

	// Controls has a line for each control of the backend, base first.
	Controls []Line `json:"controls"`

	// Notes say what the score does not count, for people.
	Notes []string `json:"notes,omitempty"`
}

// Line is what one control earned.
type Line struct {
	Name policy.Control `json:"name"`

	// Points were earned; Of were to be had.
	Points int           `json:"points"`
	Of     int           `json:"of"`
	State  backend.State `json:"state"`

	// Proof says what was looked at and what was seen, so that a person can
	// check it by hand.
	Proof string `json:"proof"`
}

// Of scores what was proven of an instance of the named backend under p.
func Of(name string, p *policy.Policy, proofs []backend.Proof) Score {
	byControl := make(map[policy.Control]backend.Proof, len(proofs))
	for _, proof := range proofs {
		byControl[proof.Control] = proof
	}
	s := Score{Controls: []Line{}}
	for _, entry := range table {
		points := entry.Points(name)
		if points == 0 {
			continue
		}
		if p.Asks(entry.Control) {
			s.Requested += points
		}
		line := judge(entry.Control, points, byControl[entry.Control])
		s.Value += line.Points
		s.Controls = append(s.Controls, line)
	}
	s.Value = min(max(s.Value, 0), 100)
	s.Requested = min(max(s.Requested, 0), 100)
	s.Tier = Tier(s.Value)
	for _, m := range p.Filesystem.Mounts {
		if m.Access == policy.AccessDirect {
			s.Notes = append(s.Notes, "unscanned: commands change "+m.Source+" on the host themselves")
		}
	}
	return s
}

// judge is where evidence becomes points: all of them for what was seen to
// hold, half (rounded down) for what holds in part, none for the rest.
func judge(c policy.Control, points int, proof backend.Proof) Line {
	line := Line{Name: c, Of: points, State: proof.State, Proof: words(proof)}
	if proof.State == "" {
		line.State, line.Proof = backend.Missing, "no evidence"
		return line
	}
	if c.IsBase() && proof.Outside == "" && proof.State != backend.Missing {
		// Only the guest says so, and a guest can lie (DESIGN §7).
		line.State = backend.Unverified
	}
	switch line.State {
	case backend.Enforced:
		line.Points = points
	case backend.Partial:
		line.Points = points / 2
	}
	return line
}

func words(p backend.Proof) string {
	switch {
	case p.Outside == "":
		if p.Inside == "" {
			return "nothing was seen"
		}
		return "inside: " + p.Inside + " (no witness outside)"
	case p.Inside == "":
		return "outside: " + p.Outside
	}
	return "outside: " + p.Outside + "; inside: " + p.Inside
}

// Tier names the range that a value is in.
func Tier(value int) string {
	switch {
	case value >= 85:
		return "fortress"
	case value >= 70:
		return "hardened"
	case value >= 50:
		return "standard"
	case value >= 30:
		return "basic"
	}
	return "minimal"
}
