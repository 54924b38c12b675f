package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/gate/quarantine"
	"github.com/kavach-dev/kavach/policy"
)

// gateFlags are the flags of kavach run that are about what leaves.
type gateFlags struct {
	gate string
}

func (f *gateFlags) registerGate(fs *flags) {
	fs.Text(&f.gate, "gate", "", "MODE", "live (what is found is redacted as it comes), collected (nothing leaves before all of it was looked at) or off (default: the policy's, else live)", gateModes)
}

// gateModes are what --gate takes.
func gateModes() []string { return []string{policy.GateLive, policy.GateCollected, policy.GateOff} }

// applyGate puts --gate over the policy. Off leaves nothing of what a policy says of
// the gate: it would say how to do what is not done.
func (f *gateFlags) applyGate(p *policy.Policy) error {
	switch {
	case f.gate == "":
	case !slices.Contains(gateModes(), f.gate):
		return usagef("use live, collected or off", "--gate: there is no %q", f.gate)
	case f.gate == policy.GateOff:
		p.Gate = policy.Gate{Mode: policy.GateOff}
	default:
		p.Gate.Mode = f.gate
	}
	return nil
}

// theGate is what everything that kavach runs passes through. The places of the
// quarantine are made before any sandbox is: what is not there is not hidden from it.
func theGate() *gate.Gate {
	store := new(quarantine.Store)
	_ = store.Prepare() // where it fails, Keep says so
	return &gate.Gate{Quarantine: store}
}

// gated is what the gate says of a command: the part that run --json and the exit
// event of a session have in common.
type gated struct {
	Verdict      gate.Verdict   `json:"verdict"` // "": nothing was looked at
	Findings     []gate.Finding `json:"findings"`
	More         map[string]int `json:"more_findings,omitempty"` // beyond those that are told, by rule
	Withheld     string         `json:"withheld,omitempty"`      // why; empty: nothing of the output was
	QuarantineID string         `json:"quarantine_id,omitempty"`
}

func newGated(r *gate.Report) gated {
	g := gated{Verdict: r.Verdict, Findings: r.Findings, More: r.More, QuarantineID: r.Quarantine}
	if r.Withheld() {
		g.Withheld = r.Reason
	}
	if g.Findings == nil {
		g.Findings = []gate.Finding{}
	}
	return g
}

// withFiles adds what was found in files.
func (g gated) withFiles(files []kavach.FileReport) gated {
	for i := range files {
		g.Findings = append(g.Findings, files[i].Findings...)
	}
	return g
}

// tellGate says on stderr what was not let out as it was.
func tellGate(w io.Writer, out paint, r *gate.Report, redactFrom gate.Severity) {
	switch {
	case r.Withheld():
		text := "kavach: the output was withheld: " + r.Reason
		if r.Quarantine != "" {
			text += "; kavach quarantine show " + r.Quarantine + " shows it, masked"
		}
		fmt.Fprintln(w, printable(text))
	case r.Verdict == gate.Redact:
		fmt.Fprintln(w, out.dim("kavach: redacted: "+printable(countRules(r.Findings, redactFrom))))
	}
}

// countRules says how often which rules have found something, from a severity on.
func countRules(list []gate.Finding, from gate.Severity) string {
	counts := make(map[string]int)
	gone := int64(0)
	for _, f := range list {
		if f.Severity >= from {
			counts[f.Rule]++
			gone += f.Released
		}
	}
	var parts []string
	for _, rule := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) }) {
		text := rule
		if counts[rule] > 1 {
			text += fmt.Sprintf(" (%d times)", counts[rule])
		}
		parts = append(parts, text)
	}
	text := strings.Join(parts, ", ")
	if gone > 0 {
		text += fmt.Sprintf("; %s of it had left before it was known (--gate collected prevents that)", count(int(gone), "byte"))
	}
	return text
}

// redactFrom is from which severity on a policy has output redacted.
func redactFrom(p policy.Policy) gate.Severity {
	var s gate.Severity
	if name := p.Gate.Effective().Redact; name == policy.Off || s.UnmarshalText([]byte(name)) != nil {
		return gate.Critical + 1 // nothing is
	}
	return s
}
