package gate

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// These write what net/url and encoding/json write, into room that the caller has:
// those return strings, of which nobody can zero what is left.

const (
	upperHex = "0123456789ABCDEF"
	lowerHex = "0123456789abcdef"

	// longestEscape is how many bytes of what is escaped a byte can become: \u00XX.
	longestEscape = 6
)

// urlPlace is where in a URL something stands.
type urlPlace struct {
	plain string // what is not escaped there, beside what never is (RFC 3986, 2.3)
	space string
}

var (
	inQuery = urlPlace{"", "+"}         // url.QueryEscape
	inPath  = urlPlace{"$&+:=@", "%20"} // url.PathEscape
)

func appendURL(b, v []byte, place urlPlace) []byte {
	for _, c := range v {
		switch {
		case isAlnum(c), strings.IndexByte("-_.~", c) >= 0, strings.IndexByte(place.plain, c) >= 0:
			b = append(b, c)
		case c == ' ':
			b = append(b, place.space...)
		default:
			b = appendPercent(b, upperHex, c)
		}
	}
	return b
}

func isAlnum(c byte) bool { return 'a' <= c|lower && c|lower <= 'z' || '0' <= c && c <= '9' }

// appendPercent escapes every byte.
func appendPercent(b []byte, digits string, v ...byte) []byte {
	for _, c := range v {
		b = append(b, '%', digits[c>>4], digits[c&15])
	}
	return b
}

// jsonStyle is how an encoder writes a string. The zero value: what must be escaped
// is, with the two characters that JavaScript takes for ends of lines.
type jsonStyle struct {
	html  bool // <, > and & are escaped, as Go does
	slash bool // / is, as PHP does
	ascii bool // what is not ASCII is, as Python does
}

func appendJSON(b, v []byte, how jsonStyle) []byte {
	const short, means = `"\bfnrt`, "\"\\\b\f\n\r\t"
	for len(v) > 0 {
		r, size := utf8.DecodeRune(v)
		i := strings.IndexRune(means, r)
		switch {
		case r == utf8.RuneError && size == 1:
			b = appendUnicode(b, r)
		case i >= 0:
			b = append(b, '\\', short[i])
		case r == '/' && how.slash:
			b = append(b, '\\', '/')
		case r < ' ', r == '\u2028', r == '\u2029', how.ascii && r >= utf8.RuneSelf, how.html && (r == '<' || r == '>' || r == '&'):
			b = appendUnicode(b, r)
		default:
			b = append(b, v[:size]...)
		}
		v = v[size:]
	}
	return b
}

// appendUnicode writes the number of a character in four digits; of one that has more,
// those of its surrogates (RFC 8259, section 7).
func appendUnicode(b []byte, r rune) []byte {
	if first, second := utf16.EncodeRune(r); first != utf8.RuneError {
		return appendUnicode(appendUnicode(b, first), second)
	}
	b = append(b, '\\', 'u')
	for shift := 12; shift >= 0; shift -= 4 {
		b = append(b, lowerHex[r>>shift&15])
	}
	return b
}
