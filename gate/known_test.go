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
	"testing"
	"unicode/utf16"
)

func escapeAll(v []byte, format string) []byte {
	var b bytes.Buffer
	for _, c := range v {
		fmt.Fprintf(&b, format, c)
	}
	return b.Bytes()
}

// formsOf are the forms of a value, as libraries write them.
func formsOf(v []byte) (forms []string) {
	reversed := slices.Clone(v)
	slices.Reverse(reversed)
	forms = append(forms,
		string(v), hex.EncodeToString(v), strings.ToUpper(hex.EncodeToString(v)), string(reversed),
		url.QueryEscape(string(v)), url.PathEscape(string(v)), string(escapeAll(v, "%%%02X")), string(escapeAll(v, "%%%02x")))
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString(append(make([]byte, before), v...))
			forms = append(forms, text[(before*8+5)/6:(before+len(v))*8/6])
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(string(v))
	text := strings.TrimSuffix(b.String(), "\n")
	text = text[1 : len(text)-1]
	html, _ := json.Marshal(string(v))
	var ascii strings.Builder
	for _, r := range text {
		if r < 128 {
			ascii.WriteRune(r)
		} else {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&ascii, `\u%04x`, unit)
			}
		}
	}
	forms = append(forms, text, string(html[1:len(html)-1]), strings.ReplaceAll(text, "/", `\/`), ascii.String())
	if lines := strings.FieldsFunc(string(v), func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
		for _, line := range lines {
			if len(line) >= 16 {
				forms = append(forms, line)
			}
		}
	}
	return forms
}

// What is written into memory that is zeroed is what libraries would have written, and
// nothing had to move to where it is not.
func FuzzKnownForms(f *testing.F) {
	for _, v := range awkward() {
		if len(v) < 10_000 {
			f.Add(v)
		}
	}
	for c := range 256 {
		f.Add([]byte(fmt.Sprintf("%c1234567%s", c, string([]byte{byte(c), 'x', byte(c)}))))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		if len(v) < MinSecret {
			return
		}
		want := formsOf(v)
		if trimmed := bytes.TrimSpace(v); len(trimmed) >= MinSecret {
			want = append(want, formsOf(trimmed)...)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		set, err := newKnownSet([]Secret{NewSecret("NAME", v)})
		if err != nil {
			t.Fatal(err)
		}
		defer set.letGo()
		var got []string
		for i, form := range set.forms {
			got = append(got, string(form.text))
			if set.index.literals[i] != string(foldASCII(form.text)) {
				t.Errorf("form %q has the literal %q", form.text, set.index.literals[i])
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q:\n%q\nwant\n%q", v, got, want)
		}
		for _, how := range []jsonStyle{{html: true, slash: true, ascii: true}, {ascii: true}} {
			room := make([]byte, 0, longestEscape*len(v))
			if b := appendJSON(room, v, how); &b[0] != &room[:1][0] {
				t.Errorf("%q as %+v has %d bytes, for which there was no room", v, how, len(b))
			}
		}
		if n, most := len(set.index.entry), len(set.forms)*set.index.stride; n > most || cap(set.index.entry) != most {
			t.Errorf("%d entries for %d forms in a place for %d", n, len(set.forms), cap(set.index.entry))
		}
	})
}

// awkward are values of every kind that is not a word.
func awkward() map[string][]byte {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	return map[string][]byte{
		"lines":     []byte("the first line of it\nthe second line, longer\r\nno\nthe last one of them all\n"),
		"quotes":    []byte(`say "it's" \ 'quoted' /and/ <tagged> & more`),
		"no UTF-8":  []byte("\xff\xfe\x80abcdef\xc3(\xe2\x28\xa1"),
		"all bytes": every,
		"letters":   []byte("pässwörd 😀 日本語 \u2028 \ufffd end"),
		"spaces":    []byte("  \t around it all \n"),
		"shortest":  []byte("8 bytes!"),
		"64 KiB":    bytes.Repeat([]byte("0123456789abcdef, and \"other\" bytes \x00\xff\n"), 64<<10/32)[:64<<10],
	}
}

// Values of every kind are found in each of their forms, wherever that is cut.
func TestKnownAwkward(t *testing.T) {
	for name, v := range awkward() {
		known, _, err := Known([]Secret{NewSecret("NAME", v)})
		if err != nil {
			t.Fatal(err)
		}
		for i, form := range formsOf(v) {
			if len(form) < MinSecret {
				continue
			}
			text := []byte("before " + form + " after")
			for _, cuts := range [][]int{nil, {10, len(text) / 2, len(text) - 8}} {
				all := false // in one match: of a flood of lines a ledger keeps the first
				feedAt(newScan(Subject{Name: "stdout"}, []Scanner{known}), text, cuts, func(m Match) {
					all = all || m.Start <= 7 && m.End >= int64(len(text)-len(" after"))
				})
				if !all {
					t.Errorf("%s: form %d, %.40q of %d bytes, cut at %v, is not found", name, i, form, len(form), cuts)
				}
			}
		}
	}
}
