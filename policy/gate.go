package policy

import (
	"cmp"
	"slices"
	"time"
)

// Gate says what is looked for in whatever leaves a sandbox: output, exported
// files, changes to writable mounts. Values of credentials are always looked for,
// but where Mode is "off".
type Gate struct {
	// Mode is "" or "live": output is released as it comes, redacted; "collected":
	// nothing is released before all of it has been looked at; "off": nothing is
	// looked at, which shows in the result as unscanned. With External, "" is
	// "collected".
	Mode string `json:"mode,omitempty"`

	// Scanners are those that look beside the one for known secrets, which always
	// does: "secrets", "personal", "terminal", "content". Empty: secrets, terminal
	// and content.
	Scanners []string `json:"scanners,omitempty"`

	// Redact, Quarantine and Block are the lowest severities (info, low, medium,
	// high, critical) at which that is done; the worst finding decides. "off": at
	// none. Redact "": medium. Quarantine "" and Block "": off.
	Redact     string `json:"redact,omitempty"`
	Quarantine string `json:"quarantine,omitempty"`
	Block      string `json:"block,omitempty"`

	// Severity says how severe rules are at least, by their ids (kavach scan
	// --rules lists them): the higher of this and of what a rule has by itself
	// counts. Empty: as it is.
	Severity map[string]string `json:"severity,omitempty"`

	// Ignore lists rules that do not count, by their whole ids; none of them is in
	// Severity too. Rules for known secrets always count. Empty: all count.
	Ignore []string `json:"ignore,omitempty"`

	// Input says what it means that the sandbox was given what comes out of it (on
	// its stdin, in the host's version of a file): "" or "counts": a match there
	// counts as any; "allowed": it does not count. Known secrets always count.
	Input string `json:"input,omitempty"`

	// External are programs of the host that look too; docs/gate.md has the
	// contract. With any, output is collected. Empty: none.
	External []ExternalScanner `json:"external,omitempty"`
}

// ExternalScanner is a program of the host that looks at what leaves. It runs
// outside the sandbox, so whoever writes the policy can run it.
type ExternalScanner struct {
	// Name is made of lower-case letters, digits, dashes and dots; the rules that
	// it reports are NAME/RULE.
	Name string `json:"name"`

	// Command is its argv. The first is an absolute, clean path; no shell is run.
	Command []string `json:"command"`

	// Timeout is the wall time in which it has looked at one subject, or what it
	// looks at is withheld. Zero: 30s.
	Timeout Duration `json:"timeout,omitempty"`
}

// Values of Gate.Mode, beside Off.
const (
	GateLive      = "live"
	GateCollected = "collected"
	GateOff       = Off
)

// Scanners that a policy may name.
const (
	ScannerSecrets  = "secrets"
	ScannerPersonal = "personal"
	ScannerTerminal = "terminal"
	ScannerContent  = "content"
)

// Values of Gate.Input.
const (
	InputCounts  = "counts"
	InputAllowed = "allowed"
)

// Severities of rules. Where a threshold is one of them, Off can be one too.
const (
	SeverityInfo     = "info"
	SeverityLow      = "low"
	SeverityMedium   = "medium"
	SeverityHigh     = "high"
	SeverityCritical = "critical"
)

// DefaultScanTimeout stands for a zero Timeout of an ExternalScanner.
const DefaultScanTimeout Duration = Duration(30 * time.Second)

// GateScanners lists the scanners that a policy may name.
func GateScanners() []string {
	return []string{ScannerSecrets, ScannerPersonal, ScannerTerminal, ScannerContent}
}

// Severities lists the severities, mildest first.
func Severities() []string {
	return []string{SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical}
}

// Effective is g with each zero replaced by its default. Severity, Ignore and the
// arguments of commands are those of g, and not copies.
func (g Gate) Effective() Gate {
	g.Mode = g.mode()
	g.Scanners = effectiveScanners(g.Scanners)
	g.Redact = cmp.Or(g.Redact, SeverityMedium)
	g.Quarantine = cmp.Or(g.Quarantine, Off)
	g.Block = cmp.Or(g.Block, Off)
	g.Input = cmp.Or(g.Input, InputCounts)
	g.External = slices.Clone(g.External)
	for i, x := range g.External {
		g.External[i].Timeout = cmp.Or(x.Timeout, DefaultScanTimeout)
	}
	return g
}

func (g *Gate) mode() string {
	if g.Mode == "" && len(g.External) > 0 {
		return GateCollected
	}
	return cmp.Or(g.Mode, GateLive)
}

// effectiveScanners is list in the order of GateScanners.
func effectiveScanners(list []string) []string {
	if len(list) == 0 {
		list = []string{ScannerSecrets, ScannerTerminal, ScannerContent}
	}
	return slices.DeleteFunc(GateScanners(), func(name string) bool { return !slices.Contains(list, name) })
}
