package gatetest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/gate/rules"
)

// TestChecksum has the token that a blog of 2021 made public, when it was revoked,
// as the known answer; only its parts stand here.
func TestChecksum(t *testing.T) {
	const body = "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"
	if got := checksum(body); got != "0mLq17" {
		t.Errorf("the checksum is %s", got)
	}
	token := withChecksum("ghp" + "_" + body + "000000")
	if !strings.HasSuffix(token, "0mLq17") || withChecksum(token) != token {
		t.Errorf("with a checksum it is %s", token)
	}
}

func TestSamplesAreRepeatable(t *testing.T) {
	for _, rule := range rules.All() {
		if rule.ID != "github-pat" && rule.ID != "adafruit-api-key" {
			continue
		}
		one, err := Secrets([]rules.Rule{rule}, 1, 5)
		if err != nil {
			t.Fatal(err)
		}
		two, _ := Secrets([]rules.Rule{rule}, 1, 5)
		other, _ := Secrets([]rules.Rule{rule}, 2, 5)
		for i := range one {
			if !bytes.Equal(one[i].Text, two[i].Text) {
				t.Errorf("%s: the same seed made %q and %q", rule.ID, one[i].Text, two[i].Text)
			}
			if bytes.Equal(one[i].Secret(), other[i].Secret()) {
				t.Errorf("%s: another seed made the same %q", rule.ID, one[i].Secret())
			}
		}
	}
}

// TestSecretsAreWhereTheyAreSaidToBe: a measurement of spans is worth what they are.
func TestSecretsAreWhereTheyAreSaidToBe(t *testing.T) {
	samples := Formats(1, 3)
	for i := range samples {
		s := &samples[i]
		const short = 6
		if len(s.Secret()) < short {
			t.Errorf("%s: the secret is %q in %q", s.Kind, s.Secret(), s.Text)
		}
		if s.Overlaps(int64(s.End), 5) || s.Overlaps(0, int64(s.Start)) || !s.Overlaps(int64(s.End)-1, 5) || !s.Covers(int64(s.Start), int64(s.End-s.Start)) {
			t.Errorf("%s: a span is not where it is", s.Kind)
		}
	}
}

func TestLookAlikesHaveNoSecret(t *testing.T) {
	how := map[string]int{}
	for _, s := range LookAlikes(rules.All(), 1, 1) {
		how[s.How]++
		if len(s.Secret()) > 0 {
			t.Errorf("%s has a secret: %q", s.Kind, s.Secret())
		}
	}
	for _, m := range mutations {
		if how[m.how] == 0 {
			t.Errorf("there is no look-alike of the kind %q", m.how)
		}
	}
}
