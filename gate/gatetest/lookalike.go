package gatetest

import (
	"math/rand/v2"
	"regexp"
	"strings"

	"github.com/kavach-dev/kavach/gate/rules"
)

// mutation makes of a secret what looks like one to somebody in a hurry.
type mutation struct {
	how string

	// named puts it beside its name, as documentation does; else it stands alone.
	named bool

	// formed says that it has the form, and that something else gives it away.
	formed bool

	write func(r *rand.Rand, secret string) string
}

// prefix is what an issuer puts before the random part: up to the last mark among
// the first characters.
func prefix(secret string) string {
	const first = 12
	return secret[:strings.LastIndexAny(secret[:min(first, len(secret))], "-_.:")+1]
}

var mutations = []mutation{
	{"one character short", false, false, func(_ *rand.Rand, s string) string { return s[:len(s)-1] }},
	{"half of it", false, false, func(_ *rand.Rand, s string) string { return s[:len(s)/2] }},
	{"a wrong character", false, false, func(r *rand.Rand, s string) string {
		at := len(s)/2 + r.IntN(len(s)/4+1)
		return s[:at] + pick(r, []string{"!", "*", "#", "…"}) + s[at+1:]
	}},
	{"alone", false, false, func(_ *rand.Rand, s string) string { return s }},
	{"a wrong checksum", false, true, func(_ *rand.Rand, s string) string {
		if !hasChecksum(s) {
			return ""
		}
		return s[:len(s)-1] + string(base62[(strings.IndexByte(base62, s[len(s)-1])+1)%len(base62)])
	}},
	{"crossed out", true, true, func(r *rand.Rand, s string) string {
		p := prefix(s)
		return p + strings.Repeat(pick(r, []string{"x", "X", "*", "."}), len(s)-len(p))
	}},
	{"variable", true, true, func(r *rand.Rand, _ string) string {
		return pick(r, []string{"${API_TOKEN}", "$SECRET_KEY", "{{ secrets.token }}", "%API_KEY%", "<your-token>", "<API_KEY>", "${{ secrets.API_TOKEN }}", "@SECRET@"})
	}},
	{"word", true, true, func(r *rand.Rand, _ string) string {
		return pick(r, []string{"changeme", "your-api-key-here", "your_secret_token", "redacted", "null", "undefined", "example", "placeholder", "process.env.API_KEY", "os.environ"})
	}},
}

// encodedPEM is "-----BEGIN" in base64: what is left of such a key is a key's
// beginning still, for who decodes it.
const encodedPEM = "LS0tLS1CRUdJTi"

// LookAlikes writes for each rule up to n texts of each kind that look like its
// secrets and are none. What the rule itself would take by the letter is left out,
// where only its shape is wrong; so is what another rule of the same issuer takes.
func LookAlikes(all []rules.Rule, seed uint64, n int) []Sample {
	secrets, _ := Secrets(all, seed, n) // what cannot be written is the caller's to see there
	families := families(all)
	var samples []Sample
	for _, s := range secrets {
		secret := string(s.Secret())
		if strings.Contains(secret, "\n") || strings.HasPrefix(secret, encodedPEM) {
			continue // keys in PEM have look-alikes of their own: Ordinary
		}
		r := random(seed, s.Kind+" looks like "+s.How)
		for _, m := range mutations {
			text := m.text(r, s.Kind, secret)
			if text == "" || !m.formed && matches(families[family(s.Kind)], text) {
				continue
			}
			samples = append(samples, Sample{Kind: s.Kind, How: m.how, Text: []byte(text)})
		}
	}
	return samples
}

func (m *mutation) text(r *rand.Rand, id, secret string) string {
	fake := m.write(r, secret)
	if fake == "" {
		return ""
	}
	c := pick(r, neutral)
	if m.named {
		c = pick(r, assignments)
	}
	text, _ := c.fill(family(id)+pick(r, endings), fake)
	text, _ = framed(r, text)
	return text
}

func family(id string) string {
	vendor, _, _ := strings.Cut(id, "-")
	return vendor
}

func families(all []rules.Rule) map[string][]*regexp.Regexp {
	of := map[string][]*regexp.Regexp{}
	for _, rule := range all {
		if re, err := regexp.Compile(rule.Regex); err == nil && rule.Regex != "" {
			of[family(rule.ID)] = append(of[family(rule.ID)], re)
		}
	}
	return of
}

func matches(of []*regexp.Regexp, text string) bool {
	for _, re := range of {
		if re.MatchString(text) {
			return true
		}
	}
	return false
}
