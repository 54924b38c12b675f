package gate

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/policy"
)

// Spans are kept in order, and what overlaps is redacted once.
func TestRedact(t *testing.T) {
	const text = "0123456789"
	tests := []struct {
		spans []span
		want  string
		why   string
	}{
		{nil, text, "nothing"},
		{[]span{{2, 4, []byte("<a>")}}, "01<a>456789", "one"},
		{[]span{{6, 8, []byte("<b>")}, {2, 4, []byte("<a>")}}, "01<a>45<b>89", "two, in any order"},
		{[]span{{2, 6, []byte("<a>")}, {4, 8, []byte("<b>")}}, "01<a>89", "two that overlap are one"},
		{[]span{{4, 8, []byte("<b>")}, {2, 6, []byte("<a>")}}, "01<a>89", "whichever comes first"},
		{[]span{{2, 4, []byte("<a>")}, {4, 6, []byte("<a>")}}, "01<a>6789", "one mark for what is side by side"},
		{[]span{{2, 4, []byte("<a>")}, {4, 6, []byte("<b>")}}, "01<a><b>6789", "two for what differs"},
		{[]span{{0, 10, []byte("<a>")}}, "<a>", "all of it"},
		{[]span{{8, 14, []byte("<a>")}}, "01234567<a>", "beyond the end"},
	}
	for _, tt := range tests {
		var spans []span
		for _, s := range tt.spans {
			spans = addSpan(spans, s)
		}
		if out, _, _ := redact(nil, []byte(text), 0, spans); string(out) != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, out, tt.want)
		}
	}
}

// Where there is more to redact than is remembered, nothing is let out.
func TestTooManyPlaces(t *testing.T) {
	for _, collected := range []bool{false, true} {
		var out bytes.Buffer
		c := session(t, policy.Gate{Scanners: []string{policy.ScannerTerminal}}).Command(1, false)
		w := c.Stream("stdout", &out, How{Collected: collected, Shown: true})
		piece := strings.Repeat("\x1b[Hx", 16<<10)
		var err error
		for n := 0; err == nil && n < maxSpans+1<<16; n += 16 << 10 {
			_, err = io.WriteString(w, piece)
		}
		r, err := c.Finish(t.Context())
		if err != nil || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%v, %s, %d bytes", err, r.Verdict, out.Len())
		}
		if collected && (r.Verdict != Block || out.Len() > 0) {
			t.Errorf("%s, %d bytes", r.Verdict, out.Len())
		}
	}
}
