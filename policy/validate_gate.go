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
	ps.ignored(g)
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

// notARule is what there is to do about an id that has not the form of one. Which
// rules there are is for the gate to say.
const notARule = "kavach scan --rules lists them"

func (ps *problems) ruleSeverities(severity map[string]string) {
	for _, id := range slices.Sorted(maps.Keys(severity)) {
		field, value := severityField(id), severity[id]
		switch {
		case !isName(id, ruleChars):
			ps.add(field, quote(id)+" is not the id of a rule", notARule)
		case value == "":
			ps.add(field, "the severity is empty", "use "+strings.Join(Severities(), ", ")+", or leave the rule out")
		case value == Off:
			ps.add(field, "a severity is raised here, and off is none", "list the rule in gate.ignore, or leave it out")
		default:
			ps.oneOf(field, value, Severities()...)
		}
	}
}

func (ps *problems) ignored(g *Gate) {
	there := make(map[string]bool, len(g.Ignore))
	for i, id := range g.Ignore {
		field := fmt.Sprintf("gate.ignore[%d]", i)
		_, raised := g.Severity[id]
		switch {
		case !isName(id, ruleChars):
			ps.add(field, quote(id)+" is not the id of a rule", notARule)
		case strings.HasPrefix(id, knownSecret):
			ps.add(field, "a secret that the sandbox was given always counts", "remove "+quote(id))
		case there[id]:
			ps.add(field, quote(id)+" is there twice", "remove one")
		case raised:
			ps.add(field, quote(id)+" has a severity in gate.severity, and would not count", "leave one of them out")
		}
		there[id] = true
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
