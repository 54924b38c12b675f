package kavach_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/gate"
)

// However a Config is printed, of its secrets only the names are. Of bytes that are no
// Secret, all is: so the test can fail.
func TestConfigPrintsNoSecret(t *testing.T) {
	const value = "correct horse battery staple"
	cfg := kavach.Config{Backend: "noop", Secrets: []gate.Secret{gate.NewSecret("PHRASE", []byte(value))}}
	tests := []struct {
		v     any
		shown bool
		why   string
	}{
		{cfg, false, "a Config"},
		{&cfg, false, "a pointer to one"},
		{struct{ Inner kavach.Config }{cfg}, false, "one in something else"},
		{struct{ Value []byte }{[]byte(value)}, true, "the twin: no Secret"},
	}
	numbers := strings.Trim(fmt.Sprintf("%d", []byte(value)), "[]")
	for _, tt := range tests {
		text, err := json.Marshal(tt.v)
		if err != nil {
			t.Fatal(err)
		}
		base64, _ := json.Marshal([]byte(value))
		shown := strings.Contains(string(text), strings.Trim(string(base64), `"`))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			text := fmt.Sprintf(verb, tt.v)
			for _, form := range []string{value, numbers, fmt.Sprintf("%x", value), "0x63, 0x6f, 0x72"} {
				shown = shown || strings.Contains(text, form)
			}
			if !tt.shown && !strings.Contains(text, "PHRASE") {
				t.Errorf("%s, %s: the name is not there: %s", tt.why, verb, text)
			}
		}
		if shown != tt.shown {
			t.Errorf("%s: the value is shown: %v", tt.why, shown)
		}
	}
}
