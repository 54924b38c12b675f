package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
)

// form is one way to write a value.
type form struct {
	name string
	text []byte
}

// longest is how many bytes a form has at most: "0xff, " of each byte.
const longest = len("0xff, ") * Size

// forms writes a value in each way, into room, which has longest bytes for each of
// maxForms.
func forms(value, room []byte) (list []form) {
	add := func(name string, write func(to []byte) []byte) {
		text := bytes.TrimRight(write(room[:0:longest]), ", ")
		list = append(list, form{name, text})
		room = room[longest:]
	}
	add("plain", func(to []byte) []byte { return append(to, value...) })
	add("hex", func(to []byte) []byte { return hex.AppendEncode(to, value) })
	add("HEX", func(to []byte) []byte { return each(to, value, "", true, "") })
	add("spaced hex", func(to []byte) []byte { return each(to, value, "", false, " ") })
	add("%XX", func(to []byte) []byte { return each(to, value, "%", true, "") })
	add("%xx", func(to []byte) []byte { return each(to, value, "%", false, "") })
	add("Go syntax", func(to []byte) []byte { return each(to, value, "0x", false, ", ") })
	add("decimal", func(to []byte) []byte { return decimal(to, value, ' ') }) // %v of bytes
	add("JSON array", func(to []byte) []byte { return decimal(to, value, ',') })
	add("reversed", func(to []byte) []byte {
		to = append(to, value...)
		slices.Reverse(to)
		return to
	})
	add("UTF-16LE", func(to []byte) []byte {
		for _, c := range value {
			to = append(to, c, 0)
		}
		return to
	})
	for before := range 3 { // that for URLs is the same, of letters and digits
		add("base64", func(to []byte) []byte { return encode64(to, value, before) })
	}
	return list
}

const maxForms = 11 + 3

// each writes two digits for each byte, with something before and after them.
func each(to, value []byte, before string, upper bool, after string) []byte {
	digits := "0123456789abcdef"
	if upper {
		digits = "0123456789ABCDEF"
	}
	for _, c := range value {
		to = append(to, before...)
		to = append(to, digits[c>>4], digits[c&15])
		to = append(to, after...)
	}
	return to
}

func decimal(to, value []byte, after byte) []byte {
	for _, c := range value {
		to = append(strconv.AppendUint(to, uint64(c), 10), after)
	}
	return to
}

// encode64 is what base64 makes of a value that so many bytes stand before: those
// characters of it that have no bit of what is before or after it.
func encode64(to, value []byte, before int) []byte {
	from := append(append(to, make([]byte, before)...), value...)
	text := base64.RawStdEncoding.AppendEncode(from[len(from):], from)
	first, last := (before*8+5)/6, (before+len(value))*8/6 // bits of a byte, and of a character
	return text[first:last]
}
