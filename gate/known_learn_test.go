package gate

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// A command that runs, and has printed something, when another is given a secret does
// not let it out: it may read it of that other one.
func TestLearns(t *testing.T) {
	const value = "given-while-it-ran"
	tests := []struct {
		why    string
		learns bool
		first  []Secret
		seen   bool
	}{
		{"the session said that it would learn", true, nil, false},
		{"it knew of others", false, []Secret{NewSecret("other", []byte("another-secret"))}, false},
		{"nobody said that there would be any, and so nobody looks", false, nil, true},
	}
	for _, test := range tests {
		s, err := new(Gate).Open(Options{Learns: test.learns, Secrets: test.first})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		c := s.Command(1, false)
		w := c.Stream("stdout", &out, How{})
		write := func(text string) {
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		write("before " + value[:6] + "\n") // nobody had it then
		if err := s.Know(NewSecret("late", []byte(value))); err != nil {
			t.Fatal(err)
		}
		write("plain " + value + ", base64 " + base64.StdEncoding.EncodeToString([]byte(value)) + ", broken " + value[:9] + "\n" + value[9:] + "\n")
		write(value[:4])
		write(value[4:] + " and another-secret?\n")
		r, err := c.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen := strings.Contains(out.String(), value) || strings.Contains(out.String(), value[9:]); seen != test.seen {
			t.Errorf("%s: %q, %+v", test.why, out.String(), r)
		}
		if !strings.HasPrefix(out.String(), "before given-\n") {
			t.Errorf("%s: what came before is gone: %q", test.why, out.String())
		}
		s.Close()
	}
}
