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

// TestMaskedIsBounded: a million findings are not a gigabyte on a terminal.
func TestMaskedIsBounded(t *testing.T) {
	text, findings := strings.Repeat("S.", 50_000), []gate.Finding(nil)
	for i := range 50_000 {
		findings = append(findings, found("stdout", int64(2*i), 1))
	}
	got, err := masked(t, text, findings...)
	if err != nil || len(got) > maxShown+100 || strings.Contains(got, "S") || !strings.Contains(got, "more bytes]") {
		t.Errorf("%d bytes were shown: %v", len(got), err)
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
