package quarantine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/gate"
)

func masked(t *testing.T, text string, findings ...gate.Finding) (string, error) {
	t.Helper()
	rec := Record{ID: "0", Held: gate.Held{Findings: findings}, Parts: []KeptPart{{Name: "stdout"}, {Name: "stderr"}}}
	spans, err := rec.spans("stdout", int64(len(text)))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = writeMasked(&b, strings.NewReader(text), int64(len(text)), spans)
	return b.String(), err
}

func found(stream string, offset, length int64) gate.Finding {
	return gate.Finding{Rule: "r", Stream: stream, Offset: offset, Length: length}
}

func TestMasked(t *testing.T) {
	far := strings.Repeat(".", 3*around)
	tests := []struct {
		text     string
		findings []gate.Finding
		want     string
		problem  string
		why      string
	}{
		{"ab SECRET cd", []gate.Finding{found("stdout", 3, 6)}, "ab [r: 6 bytes] cd", "", "in the middle"},
		{"SECRET", []gate.Finding{found("stdout", 0, 6)}, "[r: 6 bytes]", "", "all of it"},
		{"abSECRETcd", []gate.Finding{found("stdout", 5, 3), found("stdout", 2, 4)}, "ab[r: 6 bytes]cd", "", "overlapping, in any order"},
		{"abSECRETcd", []gate.Finding{found("stdout", 2, 3), found("stdout", 5, 3)}, "ab[r: 6 bytes]cd", "", "touching"},
		{"abSECRETcd", []gate.Finding{found("stdout", 2, 6), found("stdout", 3, 1)}, "ab[r: 6 bytes]cd", "", "one in the other"},
		{"SECRET x SECRET", []gate.Finding{found("stdout", 0, 6), found("stdout", 9, 6)}, "[r: 6 bytes] x [r: 6 bytes]", "", "two"},
		{far + "SECRET" + far, []gate.Finding{found("stdout", 3*around, 6)},
			"\n[… 2048 bytes]\n" + far[:around] + "[r: 6 bytes]" + far[:around] + "\n[… 2048 bytes]\n", "", "what is far away is left out"},
		{"clean", []gate.Finding{found("stderr", 0, 3)}, "\n[… 5 bytes]\n", "", "another part's"},
		{"SECRET x", []gate.Finding{found("/a/file", 0, 6)}, "[r: 6 bytes] x", "", "of a name that no part has: of each"},
		{"SECRET", nil, "", "without a finding", "nothing says what to mask"},
		{"SECRET", []gate.Finding{found("stdout", 0, 0)}, "", "does not say which", "a finding without bytes"},
		{"SECRET", []gate.Finding{found("stdout", 0, 7)}, "", "does not say which", "beyond the end"},
		{"SECRET", []gate.Finding{found("stdout", 0, 6), found("stdout", 9, 1)}, "", "does not say which", "one is beyond the end"},
	}
	for _, tt := range tests {
		got, err := masked(t, tt.text, tt.findings...)
		problem(t, tt.why, err, tt.problem)
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
	}
}

// TestFits: a part that lacks what was let out before is told from a whole one. By
// its offsets alone, half of the token would be shown.
func TestFits(t *testing.T) {
	const before, token = "some text: ", "ghp_0123456789abcdefghij"
	whole := before + token + " and more that follows it, to the end\n"
	of := func(preview, view string) gate.Finding {
		f := found("stdout", int64(len(before)), int64(len(token)))
		f.Preview, f.View = preview, view
		return f
	}
	own, later := of(gate.Mask([]byte(token)), ""), of(gate.Mask([]byte(token)), "")
	later.Offset += 20
	tests := []struct {
		text     string
		findings []gate.Finding
		want     bool
		why      string
	}{
		{whole, []gate.Finding{own}, true, "all of it"},
		{whole[len(before):], []gate.Finding{own}, false, "what was before it was let out"},
		{whole[1:], []gate.Finding{own}, false, "one byte was let out"},
		{whole, []gate.Finding{later, own}, false, "one of them is elsewhere"},
		{whole, []gate.Finding{of("PHRASE (24 bytes)", "")}, false, "a preview that shows a name"},
		{whole, []gate.Finding{of(gate.Mask([]byte(token)), "base64")}, false, "a preview of what was decoded"},
		{whole, []gate.Finding{of("PHRASE (24 bytes)", ""), own}, true, "one of them is enough"},
		{whole, []gate.Finding{of("… (24 bytes)", "")}, false, "a preview that shows nothing"},
		{"", []gate.Finding{own}, false, "nothing is there"},
		{whole, nil, false, "nothing was found"},
	}
	for _, tt := range tests {
		if got, err := fits(strings.NewReader(tt.text), tt.findings); err != nil || got != tt.want {
			t.Errorf("%s: %v, %v", tt.why, got, err)
		}
	}
	if got, err := masked(t, whole[len(before):], own); err != nil || !strings.Contains(got, token[:len(before)]) {
		t.Errorf("the twin: offsets alone have the wrong bytes masked: %q, %v", got, err)
	}
}

// TestMaskedIsBounded: what was found often is not a gigabyte on a terminal, and of
// what is beyond the findings that are told nothing is shown.
func TestMaskedIsBounded(t *testing.T) {
	tests := []struct {
		line string
		n    int
		told int
		want string
		why  string
	}{
		{"S" + strings.Repeat(".", 600), 200, 200, " more bytes]", "much around them"},
		{"S.", 50_000, 50_000, "[r: 99502 bytes]", "very many"},
		{"S.", 1100, 1000, "[r: 1702 bytes]", "some are not told"},
		{"S", 1100, 1000, "[r: 1100 bytes]", "they touch each other"},
	}
	for _, tt := range tests {
		text, findings := strings.Repeat(tt.line, tt.n), []gate.Finding(nil)
		for i := range tt.told {
			findings = append(findings, found("stdout", int64(len(tt.line)*i), 1))
		}
		got, err := masked(t, text, findings...)
		if err != nil || len(got) > maxShown+100 || strings.Contains(got, "S") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %d bytes were shown, ending in %q: %v", tt.why, len(got), got[max(0, len(got)-40):], err)
		}
	}
}

// FuzzMasked: no byte of a finding is shown, wherever findings are.
func FuzzMasked(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4}, uint16(10))
	f.Add([]byte{0, 200, 100, 7, 9, 255}, uint16(5000))
	f.Fuzz(func(t *testing.T, places []byte, size uint16) {
		text := bytes.Repeat([]byte("."), int(size))
		var findings []gate.Finding
		for i := 0; i+1 < len(places); i += 2 {
			offset, length := int64(places[i])*37, int64(places[i+1])
			if length == 0 || offset+length > int64(size) {
				continue
			}
			findings = append(findings, found("stdout", offset, length))
			copy(text[offset:], bytes.Repeat([]byte("\x00"), int(length)))
		}
		if len(findings) == 0 {
			return
		}
		got, err := masked(t, string(text), findings...)
		if err != nil || strings.Contains(got, "\x00") {
			t.Fatalf("a byte of a finding is shown: %v\n%q", err, got)
		}
	})
}
