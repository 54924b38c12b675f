package canary_test

import (
	"testing"

	"github.com/kavach-dev/kavach/internal/canary"
)

// TestFormats: nothing that has to do with a secret says it, however it is printed or
// encoded; plain bytes do.
func TestFormats(t *testing.T) {
	s := open(t, part{Place: "none", Source: "fd:5", Act: "formats"})
	w := s.expect("formats")
	if found := canary.Forms(s.twin.finder.In([]byte(w.Text))); len(found) < len([]string{"plain", "decimal", "Go syntax", "hex", "HEX", "base64"}) {
		t.Errorf("of plain bytes there is only %q", found)
	}
	s.goOn()
}
