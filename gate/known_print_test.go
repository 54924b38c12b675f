package gate

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// However a secret is printed, it is the name that is.
func TestSecretIsNotPrinted(t *testing.T) {
	s := NewSecret("NAME", []byte(secretValue))
	o := Options{Sandbox: "0123", Secrets: []Secret{s}}
	for _, v := range []any{s, &s, o, &o, []Secret{s}, map[string]Secret{"x": s}} {
		for _, text := range printed(t, v) {
			if hasValue(text) || !strings.Contains(text, "NAME") && !strings.Contains(text, "0x") {
				t.Errorf("%T is printed as %s", v, text)
			}
		}
	}
	if text := printed(t, struct{ Value []byte }{s.Value()}); !hasValue(text[0]) || !hasValue(text[len(text)-1]) {
		t.Errorf("what is no Secret is printed as %q: this test shows nothing", text)
	}
}

// printed is a value in all ways in which things are printed.
func printed(t *testing.T, v any) (all []string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		all = append(all, fmt.Sprintf(verb, v))
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, string(text))
}

// hasValue reports whether text shows the value of the tests' secret, in one of the
// ways in which bytes are printed.
func hasValue(text string) bool {
	v := []byte(secretValue)[:8]
	numbers := strings.Trim(fmt.Sprintf("%d", v), "[]")
	for _, form := range []string{
		string(v), hex.EncodeToString(v), numbers, strings.ReplaceAll(numbers, " ", ", "),
		fmt.Sprintf("%#v", v)[len("[]byte{"):30], base64.StdEncoding.EncodeToString(v)[:8],
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
			return true
		}
	}
	return false
}
