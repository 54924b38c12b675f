package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

func secret(t testing.TB) (*Secret, string) {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var plain strings.Builder
	if err := s.Write(&plain); err != nil {
		t.Fatal(err)
	}
	return s, plain.String()
}

func escaped(s, verb string) (out string) {
	for _, c := range []byte(s) {
		out += fmt.Sprintf(verb, c)
	}
	return out
}

func wide(s string) (out []byte) {
	for _, c := range utf16.Encode([]rune(s)) {
		out = append(out, byte(c), byte(c>>8))
	}
	return out
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// TestForms: what programs make of a value is found.
func TestForms(t *testing.T) {
	s, plain := secret(t)
	numbers := make([]int, len(plain))
	for i, c := range []byte(plain) {
		numbers[i] = int(c)
	}
	array, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ form, text, why string }{
		{"plain", plain, ""},
		{"plain", "PASSWORD=" + plain + "\x00", "a variable"},
		{"plain", url.QueryEscape(plain), "nothing of it has to be escaped"},
		{"plain", plain[13:26], "a part of it"},
		{"hex", hex.EncodeToString([]byte(plain)), ""},
		{"HEX", fmt.Sprintf("%X", plain), ""},
		{"spaced hex", fmt.Sprintf("% x", plain), ""},
		{"%XX", escaped(plain, "%%%02X"), ""},
		{"%xx", escaped(plain, "%%%02x"), ""},
		{"Go syntax", fmt.Sprintf("%#v", []byte(plain)), ""},
		{"decimal", fmt.Sprintf("%v", []byte(plain)), ""},
		{"JSON array", string(array), ""},
		{"reversed", reversed(plain), ""},
		{"UTF-16LE", string(wide(plain)), ""},
		{"base64", base64.StdEncoding.EncodeToString([]byte(plain)), "first in a group of three"},
		{"base64", base64.StdEncoding.EncodeToString([]byte("\xff" + plain + "\xff")), "second"},
		{"base64", base64.StdEncoding.EncodeToString([]byte("\xff\xff" + plain)), "third"},
		{"base64", base64.URLEncoding.EncodeToString([]byte("?>?" + plain)), "URL"},
	}
	for _, tt := range tests {
		for _, around := range []int{0, 1, 7, 4096, blockSize - len(tt.text)/2, blockSize, blockSize + longest - 3} {
			text := strings.Repeat("\x00x", around/2) + tt.text + strings.Repeat("y", around)
			got, err := s.Found(iotest.HalfReader(strings.NewReader(text)))
			if err != nil || !slices.Contains(got, tt.form) {
				t.Errorf("%s (%s), with %d bytes around it: %q, %v", tt.form, tt.why, around, got, err)
			}
		}
		if got, err := s.Found(strings.NewReader(strings.ToLower(tt.text[:len(tt.text)/8]))); err != nil || got != nil {
			t.Errorf("an eighth of %s: %q, %v", tt.form, got, err)
		}
	}
}

// TestNotThere: what is not the value is not taken for it.
func TestNotThere(t *testing.T) {
	s, plain := secret(t)
	_, other := secret(t)
	for _, text := range []string{
		"", other, hex.EncodeToString([]byte(other)), fmt.Sprintf("%v", []byte(other)), fmt.Sprintf("%#v", []byte(other)), escaped(other, "%%%02X"),
		plain[:9], plain[31:], strings.Repeat("%41%42%43", 1000), strings.Repeat("0x61, 0x62, ", 1000), strings.Repeat("97 98 99 100 ", 1000),
		strings.Repeat("\x00", 2*blockSize), fmt.Sprintf("%+v %s %x", s, s, s),
	} {
		if got, err := s.Found(strings.NewReader(text)); err != nil || got != nil {
			t.Errorf("%.60q: %q, %v", text, got, err)
		}
	}
}

// TestPlaces: each place is told once, whole or not.
func TestPlaces(t *testing.T) {
	s, plain := secret(t)
	f, err := s.Finder()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := strings.Repeat(".", 100) + plain + strings.Repeat(".", blockSize) + plain[:20] + plain
	want := []Hit{{"plain", 100, true}, {"plain", 140 + blockSize, false}, {"plain", 160 + blockSize, true}}
	if got, err := f.Find(strings.NewReader(text)); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got := f.In([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	broken := io.MultiReader(strings.NewReader(text[:120]), iotest.ErrReader(io.ErrClosedPipe))
	if got, err := f.Find(broken); err != io.ErrClosedPipe || len(got) != 1 || got[0].Whole || got[0].At != 100 {
		t.Errorf("%v, %v", got, err)
	}
	if got := f.In(bytes.Repeat([]byte(plain), 2*mostHits)); len(got) != mostHits {
		t.Errorf("%d hits", len(got))
	}
}

func TestSum(t *testing.T) {
	s, plain := secret(t)
	if len(plain) != Size || strings.Trim(plain, alphabet) != "" {
		t.Errorf("%q", plain)
	}
	const known = 64
	if sum, err := s.Sum(); err != nil || len(sum) != known {
		t.Errorf("%q, %v", sum, err)
	}
}

func BenchmarkFind(b *testing.B) {
	s, _ := secret(b)
	f, err := s.Finder()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, 64<<20)
	for i := range data {
		data[i] = byte(uint64(i) * 0x9e3779b97f4a7c15 >> 29)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if hits := f.In(data); hits != nil {
			b.Fatal(hits)
		}
	}
}
