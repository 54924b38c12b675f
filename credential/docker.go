package credential

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

var errNotJSON = errors.New(`printed something that is no JSON object with a "Secret", as Docker's helpers do`)

// dockerSecret is the field "Secret" of the JSON object that Docker's helpers print.
// Package encoding/json would leave copies of it: this decodes it where it is.
func dockerSecret(said []byte) ([]byte, error) {
	rest, found := bytes.CutPrefix(bytes.TrimSpace(said), []byte("{"))
	var secret []byte
	for found {
		var key, value []byte
		if key, rest, found = jsonString(rest); !found {
			break
		}
		if rest, found = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":")); !found {
			break
		}
		if value, rest, found = jsonString(rest); !found {
			break
		}
		if bytes.EqualFold(key, []byte("Secret")) {
			secret = value
		}
		rest = bytes.TrimLeft(rest, " \t\r\n")
		if len(secret) > 0 && string(rest) == "}" { // what was cut short may be another secret
			return secret, nil
		}
		rest, found = bytes.CutPrefix(rest, []byte(","))
	}
	return nil, errNotJSON
}

// jsonString decodes the string that b begins with, in place.
func jsonString(b []byte) (value, rest []byte, ok bool) {
	b, ok = bytes.CutPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte(`"`))
	if !ok {
		return nil, nil, false
	}
	n := 0 // decoded bytes, which never are more than were read
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			return b[:n], b[i+1:], true
		case c < ' ':
			return nil, nil, false
		case c != '\\':
			b[n] = c
			n, i = n+1, i+1
		default:
			size, used := unescape(b[n:], b[i:])
			if used == 0 {
				return nil, nil, false
			}
			n, i = n+size, i+used
		}
	}
	return nil, nil, false
}

// unescape decodes the escape that b begins with into to, which may be b itself, and
// returns how many bytes it wrote and read; 0: it is none.
func unescape(to, b []byte) (wrote, read int) {
	const simple, stands = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if len(b) < len(`\n`) {
		return 0, 0
	}
	if i := bytes.IndexByte([]byte(simple), b[1]); i >= 0 {
		to[0] = stands[i]
		return 1, len(`\n`)
	}
	r, ok := unicodeEscape(b)
	if !ok {
		return 0, 0
	}
	read = len(`\u0000`)
	if utf16.IsSurrogate(r) {
		second, _ := unicodeEscape(b[read:])
		if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
			return 0, 0
		}
		read *= 2
	}
	return utf8.EncodeRune(to, r), read
}

func unicodeEscape(b []byte) (rune, bool) {
	if len(b) < len(`\u0000`) || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var digits [4]byte
	copy(digits[:], b[2:])
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	return rune(n), err == nil
}
