package gatetest_test

import (
	"slices"
	"testing"

	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/gate/gatetest"
	"github.com/kavach-dev/kavach/gate/rules"
)

// seeds are any. One alone may flatter: what a rule leaves out by chance is in some
// of them only.
var seeds = []uint64{1, 2, 3, 20261124}

// found is what the rules for secrets find in a sample, of at least a severity.
func found(s *gatetest.Sample, least gate.Severity) []gate.Finding {
	subject := gate.Subject{Name: "stdout"}
	if s.Name != "" {
		subject = gate.Subject{Name: s.Name, File: true, Mode: 0o644}
	}
	all := gate.Whole(subject, s.Text, gate.Secrets())
	return slices.DeleteFunc(all, func(f gate.Finding) bool { return f.Severity < least })
}

func covered(s *gatetest.Sample, findings []gate.Finding) bool {
	return slices.ContainsFunc(findings, func(f gate.Finding) bool { return s.Overlaps(f.Offset, f.Length) })
}

// TestEverySecretIsFound asks for each rule's own secrets and for what issuers
// document, whatever the rules say: any rule may find them, of any severity.
func TestEverySecretIsFound(t *testing.T) {
	const ofRule, ofFormat = 8, 20
	missed, of := map[missing]int{}, map[string]int{}
	for _, seed := range seeds {
		samples, err := gatetest.Secrets(rules.All(), seed, ofRule)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, gatetest.Formats(seed, ofFormat)...)
		for i := range samples {
			s := &samples[i]
			of[s.Kind]++
			if covered(s, found(s, gate.Info)) {
				continue
			}
			if e := excused(s); e >= 0 {
				missed[missing{e, s.Kind}]++
				continue
			}
			t.Errorf("a secret of kind %s was not found (%s): %q", s.Kind, s.How, s.Text)
		}
	}
	for i, e := range exceptions {
		for _, kind := range e.kinds {
			switch n := missed[missing{i, kind}]; {
			case n == 0:
				t.Errorf("no %s is missed: its exception (%s) can go", kind, e.why)
			case float64(n) > e.most*float64(of[kind]):
				t.Errorf("%d of %d %s were not found, which is more than the exception (%s) allows", n, of[kind], kind, e.why)
			}
		}
	}
}

// TestNothingOfASecretIsLeft asks for more than a touch: of what is found, no byte
// may stay where it is redacted.
func TestNothingOfASecretIsLeft(t *testing.T) {
	const each = 10
	samples, err := gatetest.Secrets(rules.All(), seeds[0], each)
	if err != nil {
		t.Fatal(err)
	}
	samples = append(samples, gatetest.Formats(seeds[0], each)...)
	for i := range samples {
		s := &samples[i]
		findings := found(s, gate.Info)
		if !covered(s, findings) || hidden(s, findings) {
			continue // what is not found at all is the other test's
		}
		t.Errorf("of a secret of kind %s a part stays (%s): %q is in %q", s.Kind, s.How, s.Secret(), s.Text)
	}
}

// hidden reports whether the findings leave no byte of the secret.
func hidden(s *gatetest.Sample, findings []gate.Finding) bool {
	for at := int64(s.Start); at < int64(s.End); at++ {
		if !slices.ContainsFunc(findings, func(f gate.Finding) bool { return f.Offset <= at && at < f.Offset+f.Length }) {
			return false
		}
	}
	return true
}

func ordinary() []gatetest.Sample {
	const size = 64 << 10 // of each kind
	var all []gatetest.Sample
	for _, seed := range seeds {
		all = append(all, gatetest.Ordinary(seed, size)...)
	}
	return all
}

// TestOrdinaryMaterialPasses is the other half: what finds everything is no use.
func TestOrdinaryMaterialPasses(t *testing.T) {
	for _, s := range ordinary() {
		for i, f := range found(&s, gate.Medium) {
			const few = 3
			if i == few {
				t.Errorf("%s: and more", s.Kind)
				break
			}
			t.Errorf("%s: %s (%s) was found in %q", s.Kind, f.Rule, f.Severity, around(s.Text, f))
		}
	}
}

// around is a finding and what stands beside it.
func around(text []byte, f gate.Finding) []byte {
	const beside = 60
	return text[max(0, f.Offset-beside):min(int64(len(text)), f.Offset+f.Length+beside)]
}

// TestLookAlikesPass bounds what is taken for a secret and is none: a format says
// little, or a name says much, so that some always are.
func TestLookAlikesPass(t *testing.T) {
	const most = 0.02
	var samples []gatetest.Sample
	for _, seed := range seeds {
		samples = append(samples, gatetest.LookAlikes(rules.All(), seed, 1)...)
	}
	wrong, how := 0, map[string]int{}
	var last *gatetest.Sample
	for i := range samples {
		if s := &samples[i]; len(found(s, gate.Medium)) > 0 {
			wrong++
			how[s.How]++
			last = s
		}
	}
	if share := float64(wrong) / float64(len(samples)); share > most {
		t.Errorf("%.1f %% of %d look-alikes were taken for secrets, and at most %.1f %% may be: %v, such as %q",
			100*share, len(samples), 100*most, how, last.Text)
	}
}
