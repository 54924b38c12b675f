package gate

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"

	"github.com/kavach-dev/kavach/internal/locked"
)

// former adds the forms of values to a set.
type former struct {
	set    *knownSet
	memory *locked.Arena // of room
	room   []byte        // where a form is written: empty, with room for the longest
	secret Secret
	first  int // of the forms of secret
	err    error
}

// add adds all forms of a value.
func (f *former) add(s Secret) error {
	// Six bytes of one are the most that a form makes: \u00XX. Of base64 it is what is
	// encoded, with two bytes before it, and the text.
	if need := longestEscape * len(s.Value()); need > cap(f.room) {
		room, err := f.memory.Alloc(need)
		if err != nil {
			return err
		}
		f.room = room[:0]
	}
	f.secret, f.first = s, len(f.set.forms)
	f.forms(s.Value())
	if trimmed := bytes.TrimSpace(s.Value()); len(trimmed) < len(s.Value()) && len(trimmed) >= MinSecret {
		f.forms(trimmed) // as programs read it out of a file
	}
	return f.err
}

func (f *former) forms(v []byte) {
	f.form("", v)
	f.base64(v)
	digits := f.room[:hex.EncodedLen(len(v))]
	hex.Encode(digits, v)
	f.form("hex", digits)
	for i, c := range digits {
		if c >= 'a' {
			digits[i] = c &^ lower
		}
	}
	f.form("hex", digits)
	f.form("url", appendURL(f.room, v, inQuery))
	f.form("url", appendURL(f.room, v, inPath))
	f.form("url", appendPercent(f.room, upperHex, v...))
	f.form("url", appendPercent(f.room, lowerHex, v...))
	for _, how := range []jsonStyle{{}, {html: true}, {slash: true}, {ascii: true}} {
		f.form("json", appendJSON(f.room, v, how))
	}
	reversed := append(f.room, v...)
	slices.Reverse(reversed)
	f.form("reversed", reversed)
	const longLine = 16
	if lines := bytes.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
		for _, line := range lines {
			if len(line) >= longLine {
				f.form("line", line)
			}
		}
	}
}

// base64 adds what is the same wherever in a longer text the value stands: of the
// characters at its ends, those that are its alone.
func (f *former) base64(v []byte) {
	behind := append(append(f.room, 0, 0), v...)
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			from := behind[2-before:]
			text := behind[len(behind):][:enc.EncodedLen(len(from))]
			enc.Encode(text, from)
			first := (before*8 + 5) / 6       // the first character with no bit of what is before
			last := (before + len(v)) * 8 / 6 // behind the last with no bit of what follows
			f.form("base64", text[first:last])
		}
	}
}

// form adds one form, unless it is there already or too short to be told.
func (f *former) form(view string, text []byte) {
	k := f.set
	if f.err != nil || len(text) < MinSecret || slices.ContainsFunc(k.forms[f.first:], func(o knownForm) bool { return bytes.Equal(o.text, text) }) {
		return
	}
	kept, err := k.memory.Copy(text)
	if err != nil {
		f.err = err
		return
	}
	k.forms = append(k.forms, knownForm{kept, f.secret.Name, view, len(f.secret.Value())})
}
