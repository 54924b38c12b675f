package gate

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// KnownRule is the rule of what Known finds.
const KnownRule = "known-secret"

// MinSecret is how many bytes a secret must have so that it is surely found.
// Shorter ones are not looked for: they would be found everywhere.
const MinSecret = 8

// Secret is a value that must not leave.
type Secret struct {
	Name  string // what it is called in findings
	Value []byte
}

// Known looks for values that the sandbox was given: as they are, in base64 (at each
// of the three places of a group, standard and URL-safe), in hexadecimal, escaped as
// in URLs and in JSON, reversed, and each long line of a value of several. Values of
// less than MinSecret bytes are left out, and their names returned.
//
// The values are copied, and stay in memory as long as the Scanner does.
func Known(secrets []Secret) (s Scanner, short []string) {
	set := &knownSet{index: newIndex(false, MinSecret)}
	for _, secret := range secrets {
		if len(secret.Value) < MinSecret {
			short = append(short, secret.Name)
			continue
		}
		set.add(secret)
	}
	s = Scanner{
		Name: "known", Version: "1",
		Rules: func() []Rule { return []Rule{knownRule} },
		hint:  set.hint,
		lines: true,
	}
	if len(set.forms) > 0 {
		s.New = func(Subject) Search { return &knownSearch{set} }
	}
	return s, short
}

var knownRule = Rule{
	ID: KnownRule, Scanner: "known", Severity: Critical,
	Description: "A secret that the sandbox was given; whatever else is let out, it is not.",
	Match:       "the value itself, in base64, hexadecimal, URL and JSON escaping, reversed",
	Source:      "kavach",
}

// knownSet is every form of every value.
type knownSet struct {
	index *index
	forms []knownForm // by literal
}

type knownForm struct {
	text []byte
	name string
	view string
	size int // of the value
}

func (k *knownSet) add(s Secret) {
	k.addForms(s, s.Value)
	if trimmed := bytes.TrimSpace(s.Value); len(trimmed) < len(s.Value) && len(trimmed) >= MinSecret {
		k.addForms(s, trimmed) // as programs read it out of a file
	}
}

func (k *knownSet) addForms(s Secret, v []byte) {
	k.form(s, "", v)
	k.base64(s, v)
	k.form(s, "hex", []byte(hex.EncodeToString(v)))
	k.form(s, "hex", bytes.ToUpper([]byte(hex.EncodeToString(v))))
	k.form(s, "url", []byte(url.QueryEscape(string(v))))
	k.form(s, "url", []byte(url.PathEscape(string(v))))
	k.form(s, "url", escapeAll(v, "%%%02X"))
	k.form(s, "url", escapeAll(v, "%%%02x"))
	for _, text := range jsonForms(string(v)) {
		k.form(s, "json", []byte(text))
	}
	reversed := slices.Clone(v)
	slices.Reverse(reversed)
	k.form(s, "reversed", reversed)
	const longLine = 16
	if lines := bytes.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
		for _, line := range lines {
			if len(line) >= longLine {
				k.form(s, "line", line)
			}
		}
	}
}

// base64 adds what is the same wherever in a longer text the value stands: of the
// characters at its ends, those that are its alone.
func (k *knownSet) base64(s Secret, v []byte) {
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString(append(make([]byte, before), v...))
			first := (before*8 + 5) / 6       // the first character with no bit of what is before
			last := (before + len(v)) * 8 / 6 // behind the last with no bit of what follows
			k.form(s, "base64", []byte(text[first:last]))
		}
	}
}

func escapeAll(v []byte, format string) []byte {
	var b bytes.Buffer
	for _, c := range v {
		fmt.Fprintf(&b, format, c)
	}
	return b.Bytes()
}

// jsonForms are the ways in which encoders write a string.
func jsonForms(v string) []string {
	var plain strings.Builder
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // to a builder
	html, _ := json.Marshal(v)
	text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(plain.String(), "\n"), `"`), `"`)
	var escaped strings.Builder
	for _, r := range text {
		if r < 128 {
			escaped.WriteRune(r)
		} else {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		}
	}
	return []string{text, string(html[1 : len(html)-1]), strings.ReplaceAll(text, "/", `\/`), escaped.String()}
}

// form adds one form, unless it is there already or too short to be told.
func (k *knownSet) form(s Secret, view string, text []byte) {
	if len(text) < MinSecret || slices.ContainsFunc(k.forms, func(f knownForm) bool { return bytes.Equal(f.text, text) && f.name == s.Name }) {
		return
	}
	k.forms = append(k.forms, knownForm{slices.Clone(text), s.Name, view, len(s.Value)})
	k.index.add(string(foldASCII(text)), "", true)
}

func foldASCII(text []byte) []byte {
	text = slices.Clone(text)
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c | lower
		}
	}
	return text
}

// hint reports whether there may be anything in data.
func (k *knownSet) hint(data []byte) bool {
	return holdsAny(k.index, data)
}

type knownSearch struct{ set *knownSet }

func (s *knownSearch) Next(w Window, found func(Match)) Hold {
	s.set.index.find(w.Data, w.Fresh, func(literal, at int) {
		f := &s.set.forms[literal]
		if !bytes.Equal(w.Data[at:at+len(f.text)], f.text) {
			return // in another case
		}
		from := w.Start + int64(at)
		found(Match{
			Rule: KnownRule, Severity: Critical, Start: from, End: from + int64(len(f.text)),
			Preview: fmt.Sprintf("%s (%d bytes)", f.name, f.size), View: f.view,
		})
	})
	h := None(w)
	if w.End {
		return h
	}
	h.Keep = max(w.Start, h.Keep-int64(s.set.index.longest))
	soft, hard := s.set.partial(w.Data)
	h.Soft -= int64(soft)
	h.Hard -= int64(hard)
	return h
}

// partial is how many bytes at the end of data may be the beginning of a form, and
// how many are enough of one to wait for the rest.
func (k *knownSet) partial(data []byte) (soft, hard int) {
	const enough = 8
	tail := data[max(0, len(data)-k.index.longest+1):]
	for start, c := range tail {
		if 'A' <= c && c <= 'Z' {
			c |= lower
		}
		rest := tail[start:]
		for _, id := range k.index.begins[c] {
			text := k.forms[id].text
			if len(rest) >= len(text) || !bytes.Equal(rest, text[:len(rest)]) {
				continue
			}
			soft = max(soft, len(rest))
			if len(rest) >= min(enough, len(text)/2) {
				hard = max(hard, len(rest))
			}
		}
	}
	return soft, hard
}
