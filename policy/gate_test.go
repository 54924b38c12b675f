package policy

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestGateRefuses(t *testing.T) {
	const noRule = " is not the id of a rule; kavach scan --rules lists them"
	const dead = ": gate.mode is off, so nothing is looked at, and nothing would come of this; leave one of them out"
	const badName = " is not the name of a scanner; use lower-case letters, digits, dashes and dots, a letter or a digit first"
	rule := func(id, severity string) Gate { return Gate{Severity: map[string]string{id: severity}} }
	ignores := func(ids ...string) Gate { return Gate{Ignore: ids} }
	named := func(name string) Gate {
		return Gate{External: []ExternalScanner{{Name: name, Command: []string{"/av"}}}}
	}
	runs := func(argv ...string) Gate { return Gate{External: []ExternalScanner{{Name: "av", Command: argv}}} }
	within := func(d Duration) Gate {
		return Gate{External: []ExternalScanner{{Name: "av", Command: []string{"/av"}, Timeout: d}}}
	}
	av := ExternalScanner{Name: "av", Command: []string{"/av"}}
	tests := []struct {
		g         Gate
		want, why string // each line of want is one error
	}{
		{Gate{Mode: "collect"}, `gate.mode: unknown value "collect"; did you mean "collected"?`, "a typo"},
		{Gate{Mode: "none"}, `gate.mode: unknown value "none"; use live, collected, off`, "nothing is near"},
		{Gate{Mode: GateLive, External: []ExternalScanner{av}}, "gate.mode: output cannot be live with gate.external: such a program sees the whole before anything is released; set it to collected, or leave it out", "a program cannot look at half a thing"},
		{Gate{Mode: GateOff, External: []ExternalScanner{av}}, "gate.external" + dead, "it would never run"},
		{Gate{Mode: GateOff, Redact: SeverityLow, Quarantine: Off, Block: SeverityHigh}, "gate.redact" + dead + "\ngate.quarantine" + dead + "\ngate.block" + dead, "nothing would be found"},
		{Gate{Scanners: []string{"secret"}}, `gate.scanners[0]: unknown name "secret"; did you mean "secrets"?`, "a typo"},
		{Gate{Scanners: []string{"known-secrets"}}, `gate.scanners[0]: unknown name "known-secrets"; use secrets, personal, terminal, content`, "it always looks"},
		{Gate{Scanners: []string{ScannerContent, ScannerContent}}, `gate.scanners[1]: "content" is there twice; remove one`, "twice"},
		{Gate{Redact: "hihg"}, `gate.redact: unknown value "hihg"; did you mean "high"?`, "a typo"},
		{Gate{Quarantine: "always"}, `gate.quarantine: unknown value "always"; use info, low, medium, high, critical, off`, "nothing is near"},
		{Gate{Block: "5"}, `gate.block: unknown value "5"; use info, low, medium, high, critical, off`, "a number"},
		{Gate{Input: "allow"}, `gate.input: unknown value "allow"; did you mean "allowed"?`, "a typo"},

		{rule("", SeverityHigh), `gate.severity[""]: ""` + noRule, "no rule"},
		{rule("AWS", SeverityHigh), `gate.severity["AWS"]: "AWS"` + noRule, "ids are lower-case"},
		{rule("-a", SeverityHigh), `gate.severity["-a"]: "-a"` + noRule, "a dash first"},
		{rule("a b\n", SeverityHigh), `gate.severity["a b\n"]: "a b\n"` + noRule, "a second line"},
		{rule("a*", SeverityHigh), `gate.severity["a*"]: "a*"` + noRule, "a pattern would change more than it shows"},
		{rule("a", ""), `gate.severity["a"]: the severity is empty; use info, low, medium, high, critical, or leave the rule out`, "as it is?"},
		{rule("a", "hgih"), `gate.severity["a"]: unknown value "hgih"; did you mean "high"?`, "a typo"},
		{rule("a", Off), `gate.severity["a"]: a severity is raised here, and off is none; list the rule in gate.ignore, or leave it out`, "less than it has by itself"},
		{rule("known-secret", Off), `gate.severity["known-secret"]: a severity is raised here, and off is none; list the rule in gate.ignore, or leave it out`, "the same"},

		{ignores(""), `gate.ignore[0]: ""` + noRule, "no rule"},
		{ignores("AWS"), `gate.ignore[0]: "AWS"` + noRule, "ids are lower-case"},
		{ignores("av/*"), `gate.ignore[0]: "av/*"` + noRule, "a pattern would ignore more than it shows"},
		{ignores(" known-secret"), `gate.ignore[0]: " known-secret"` + noRule, "white space before what must count"},
		{ignores("a", "known-secret"), `gate.ignore[1]: a secret that the sandbox was given always counts; remove "known-secret"`, "what must never leave"},
		{ignores("known-secret-base64"), `gate.ignore[0]: a secret that the sandbox was given always counts; remove "known-secret-base64"`, "in any encoding"},
		{ignores("a", "b", "a"), `gate.ignore[2]: "a" is there twice; remove one`, "twice"},
		{Gate{Severity: map[string]string{"a": SeverityInfo}, Ignore: []string{"b", "a"}}, `gate.ignore[1]: "a" has a severity in gate.severity, and would not count; leave one of them out`, "which of the two?"},

		{named(""), `gate.external[0].name: is missing; give it a name, such as "clamav"`, "no name"},
		{named("Clam AV"), `gate.external[0].name: "Clam AV"` + badName, "not the form"},
		{named("a/b"), `gate.external[0].name: "a/b"` + badName, "whose rule would it be?"},
		{named("../x"), `gate.external[0].name: "../x"` + badName, "climbs, where a name becomes a path"},
		{named("secrets"), `gate.external[0].name: "secrets" is the name of a scanner of Kavach's own; choose another name`, "its findings would look like Kavach's"},
		{named("known-secrets"), `gate.external[0].name: "known-secrets" is the name of a scanner of Kavach's own; choose another name`, "the same"},
		{Gate{External: []ExternalScanner{av, av}}, `gate.external[1].name: "av" is the name of gate.external[0] too; give one of them another name`, "one name twice"},
		{runs(), `gate.external[0].command: is missing; list the program, by its absolute path, and its arguments`, "nothing to run"},
		{runs("av"), `gate.external[0].command[0]: "av" is not an absolute path; begin it with "/"`, "PATH is not asked"},
		{runs("/usr/../av"), `gate.external[0].command[0]: "/usr/../av" holds ".."; name the directory itself`, "climbs"},
		{runs("/av", "ok", "a\x00b"), `gate.external[0].command[2]: "a\x00b" holds a NUL byte; no argument can hold one`, "NUL"},
		{within(-2), `gate.external[0].timeout: -2ns is negative; give a duration, such as 30s`, "negative"},
		{within(Unlimited), `gate.external[0].timeout: a scanner is always bounded: output waits for it; give a duration, such as 30s`, "output would hang for ever"},
	}
	for _, test := range tests {
		p := Policy{Gate: test.g}
		err := p.Validate()
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %v", test.why, err, test.want)
		}
		if field := (*FieldError)(nil); !errors.As(err, &field) {
			t.Errorf("%s: %T holds no FieldError", test.why, err)
		}
	}
}

func TestGateTakes(t *testing.T) {
	av := ExternalScanner{Name: "av.2-x", Command: []string{"/av", "", "a b"}, Timeout: 1}
	tests := []struct {
		g   Gate
		why string
	}{
		{Gate{}, "zero looks"},
		{Gate{Mode: GateOff}, "nothing is looked at, spelled out"},
		{Gate{Mode: GateOff, Scanners: []string{ScannerSecrets}, Severity: map[string]string{"a": SeverityHigh}, Ignore: []string{"b"}, Input: InputAllowed}, "what is looked for may be said once, and switched off elsewhere"},
		{Gate{Mode: GateCollected, External: []ExternalScanner{av}}, "the whole, for a program to see"},
		{Gate{External: []ExternalScanner{av}}, "the mode follows"},
		{Gate{Redact: Off, Quarantine: Off, Block: Off}, "findings only"},
		{Gate{Redact: SeverityInfo, Quarantine: SeverityInfo, Block: SeverityInfo}, "each thing at the least"},
		{Gate{Scanners: GateScanners()}, "all scanners"},
		{Gate{Severity: map[string]string{"known-secret": SeverityCritical, "clamav/eicar.test": SeverityHigh, "0a": SeverityLow}}, "ids of all forms"},
		{Gate{Severity: map[string]string{"known-secret": SeverityLow}}, "it is critical, which is at least low"},
		{Gate{Ignore: []string{"clamav/eicar.test", "0a", "av/known-secret"}}, "ids of all forms, and one that only ends like what must count"},
	}
	for _, test := range tests {
		p := Policy{Gate: test.g}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", test.why, err)
		}
	}
}

func TestGateEffective(t *testing.T) {
	want := Gate{
		Mode: GateLive, Scanners: []string{ScannerSecrets, ScannerTerminal, ScannerContent},
		Redact: SeverityMedium, Quarantine: Off, Block: Off, Input: InputCounts,
	}
	if got := (Gate{}).Effective(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := want.Effective(); !reflect.DeepEqual(got, want) {
		t.Errorf("the defaults of the defaults are %+v", got)
	}
	given := Gate{Scanners: []string{ScannerPersonal, ScannerSecrets}, External: []ExternalScanner{{Name: "a", Command: []string{"/a"}}, {Name: "b", Command: []string{"/b"}, Timeout: 1}}}
	got := given.Effective()
	if got.Mode != GateCollected || got.External[0].Timeout != Duration(30*time.Second) || got.External[1].Timeout != 1 {
		t.Errorf("with programs: %+v", got)
	}
	if !slices.Equal(got.Scanners, []string{ScannerSecrets, ScannerPersonal}) {
		t.Errorf("scanners are not in their order: %v", got.Scanners)
	}
	if given.External[0].Timeout != 0 || given.Scanners[0] != ScannerPersonal {
		t.Errorf("what was given has changed: %+v", given)
	}
	if got := (Gate{Mode: GateOff}).Effective(); got.Mode != GateOff {
		t.Errorf("off becomes %s", got.Mode)
	}
}
