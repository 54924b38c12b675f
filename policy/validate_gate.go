package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// knownSecret begins the ids of all rules for the values of credentials that the
// sandbox was given. Each of them is critical.
const knownSecret = "known-secret"

const (
	lowerAlnum   = "abcdefghijklmnopqrstuvwxyz0123456789"
	scannerChars = lowerAlnum + "-."
	ruleChars    = scannerChars + "/"
)

func (ps *problems) gate(g *Gate) {
	ps.oneOf("gate.mode", g.Mode, GateLive, GateCollected, GateOff)
	if g.Mode == GateLive && len(g.External) > 0 {
		ps.add("gate.mode", "output cannot be live with gate.external: such a program sees the whole before anything is released",
			"set it to collected, or leave it out")
	}
	checkNames(ps, "gate.scanners", g.Scanners, GateScanners())
	for _, at := range []struct{ field, value string }{
		{"gate.redact", g.Redact}, {"gate.quarantine", g.Quarantine}, {"gate.block", g.Block},
	} {
		ps.oneOf(at.field, at.value, severitiesOrOff()...)
		ps.notWithoutGate(g, at.field, at.value != "")
	}
	ps.ruleSeverities(g.Severity)
	ps.oneOf("gate.input", g.Input, InputCounts, InputAllowed)
	ps.externalScanners(g)
}

func severitiesOrOff() []string { return append(Severities(), Off) }

// notWithoutGate refuses what is asked for and would not happen.
func (ps *problems) notWithoutGate(g *Gate, field string, set bool) {
	if set && g.Mode == GateOff {
		ps.add(field, "gate.mode is off, so nothing is looked at, and nothing would come of this", "leave one of them out")
	}
}

// ruleSeverities checks the form of ids only: which rules there are is for the
// gate to say.
func (ps *problems) ruleSeverities(severity map[string]string) {
	for _, id := range slices.Sorted(maps.Keys(severity)) {
		field, value := severityField(id), severity[id]
		switch {
		case !isName(id, ruleChars):
			ps.add(field, quote(id)+" is not the id of a rule", "kavach scan --rules lists them")
		case value == "":
			ps.add(field, "the severity is empty", "use "+strings.Join(severitiesOrOff(), ", ")+", or leave the rule out")
		case !slices.Contains(severitiesOrOff(), value):
			ps.oneOf(field, value, severitiesOrOff()...)
		case strings.HasPrefix(id, knownSecret) && value != SeverityCritical:
			ps.add(field, "a secret that the sandbox was given is critical, and cannot be lowered", "leave the rule out")
		}
	}
}

func (ps *problems) externalScanners(g *Gate) {
	first := make(map[string]int)
	for i, x := range g.External {
		field := fmt.Sprintf("gate.external[%d]", i)
		ps.scannerName(field+".name", x.Name)
		if at, taken := first[x.Name]; taken {
			ps.add(field+".name", fmt.Sprintf("%s is the name of gate.external[%d] too", quote(x.Name), at), "give one of them another name")
		} else {
			first[x.Name] = i
		}
		ps.scannerCommand(field+".command", x.Command)
		switch {
		case x.Timeout == Unlimited:
			ps.add(field+".timeout", "a scanner is always bounded: output waits for it", "give a duration, such as 30s")
		case x.Timeout < 0:
			ps.add(field+".timeout", fmt.Sprintf("%s is negative", x.Timeout), "give a duration, such as 30s")
		}
	}
	ps.notWithoutGate(g, "gate.external", len(g.External) > 0)
}

func (ps *problems) scannerName(field, name string) {
	switch {
	case name == "":
		ps.add(field, "is missing", `give it a name, such as "clamav"`)
	case !isName(name, scannerChars):
		ps.add(field, quote(name)+" is not the name of a scanner", "use lower-case letters, digits, dashes and dots, a letter or a digit first")
	case slices.Contains(GateScanners(), name) || strings.HasPrefix(name, knownSecret):
		ps.add(field, quote(name)+" is the name of a scanner of Kavach's own", "choose another name")
	}
}

func (ps *problems) scannerCommand(field string, argv []string) {
	if len(argv) == 0 {
		ps.add(field, "is missing", "list the program, by its absolute path, and its arguments")
		return
	}
	ps.path(field+"[0]", argv[0])
	for i, arg := range argv[1:] {
		if strings.ContainsRune(arg, 0) {
			ps.add(fmt.Sprintf("%s[%d]", field, i+1), quote(arg)+" holds a NUL byte", "no argument can hold one")
		}
	}
}

// isName reports whether s is made of chars, and begins with a letter or digit.
func isName(s, chars string) bool {
	return s != "" && strings.Trim(s[:1], lowerAlnum) == "" && strings.Trim(s, chars) == ""
}

func severityField(rule string) string { return fmt.Sprintf("gate.severity[%q]", rule) }
