// Package gate looks at whatever leaves a sandbox: it is released, redacted,
// quarantined or withheld, with findings that say why.
//
// A Gate opens a Session for each sandbox; a Session gives each command a Command,
// whose streams are written to, and looks at files. Scanners are functions with a
// name and a version; each looks at bytes as they come (Search), so that what is
// held back is only what could still be the beginning of a match.
//
// What this package does not protect: a program that knows the gate can encode
// what it has so that no scanner knows it again. What is looked into, and to which
// depth, is in docs/gate.md.
package gate

import (
	"fmt"
	"slices"
)

// Severity says how bad it is that something leaves.
type Severity int

// The severities, in their order. The zero value is none at all.
const (
	Info     Severity = iota + 1 // worth a line in a report
	Low                          // usually harmless
	Medium                       // looks like something that should stay
	High                         // has the form of a secret that is issued, or does harm
	Critical                     // is a secret that this sandbox was given, or a private key
)

var severities = []string{"", "info", "low", "medium", "high", "critical"}

func (s Severity) String() string {
	if s < 0 || int(s) >= len(severities) {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severities[s]
}

// MarshalText is the name of the severity.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText knows the names that policies use, and "" for none.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severities, string(text))
	if i < 0 {
		return fmt.Errorf("there is no severity %q; use info, low, medium, high or critical", text)
	}
	*s = Severity(i)
	return nil
}

// Verdict is what became of output, or of a file. The zero value is none yet.
type Verdict string

// The verdicts, from the mildest.
const (
	Pass        Verdict = "pass"       // released as it was
	Redact      Verdict = "redact"     // released, with marks in the place of what was found
	Quarantined Verdict = "quarantine" // not released, and kept for somebody to decide
	Block       Verdict = "block"      // not released, and not kept
)

// Finding is one match, for people and for reports. Nothing in it is the text
// that was found, but for what the preview shows of its ends.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`

	// Stream is "stdout", "stderr" or "memory", or the path of a file.
	Stream string `json:"stream"`

	// Offset and Length are in bytes of what the command wrote, before anything
	// was redacted. Of what was found in an encoding or an archive they are of
	// the encoded text, or of the archive.
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`

	// Preview is what was found, masked.
	Preview string `json:"preview"`

	// View is the way in which it was found: the decodings, from the outermost,
	// such as "base64", "gzip>utf-16". Empty: as it stands.
	View string `json:"view,omitempty"`

	// Released is how many of its bytes had been released before it was known:
	// live output only.
	Released int64 `json:"released,omitempty"`
}
