package gate

import "bytes"

// What a byte may be a part of.
const (
	asTrigger = 1 << iota // a digit, or @
	asLetter              // ASCII
	asCapital
	asNumeral
	asIdent // of words: letters, digits and _
	asLocal // of the local part of an address, as people have them
	asSoft  // of what may turn out to be something at the next byte
	asHex
)

const (
	ofSmall = asLetter | asIdent | asLocal | asSoft
	ofUpper = ofSmall | asCapital
	ofDigit = asTrigger | asNumeral | asIdent | asLocal | asSoft | asHex
)

// personalClass is laid out by the compiler.
var personalClass = [256]uint8{
	'0': ofDigit, '1': ofDigit, '2': ofDigit, '3': ofDigit, '4': ofDigit,
	'5': ofDigit, '6': ofDigit, '7': ofDigit, '8': ofDigit, '9': ofDigit,
	'a': ofSmall | asHex, 'b': ofSmall | asHex, 'c': ofSmall | asHex, 'd': ofSmall | asHex, 'e': ofSmall | asHex, 'f': ofSmall | asHex,
	'g': ofSmall, 'h': ofSmall, 'i': ofSmall, 'j': ofSmall, 'k': ofSmall, 'l': ofSmall, 'm': ofSmall,
	'n': ofSmall, 'o': ofSmall, 'p': ofSmall, 'q': ofSmall, 'r': ofSmall, 's': ofSmall, 't': ofSmall,
	'u': ofSmall, 'v': ofSmall, 'w': ofSmall, 'x': ofSmall, 'y': ofSmall, 'z': ofSmall,
	'A': ofUpper | asHex, 'B': ofUpper | asHex, 'C': ofUpper | asHex, 'D': ofUpper | asHex, 'E': ofUpper | asHex, 'F': ofUpper | asHex,
	'G': ofUpper, 'H': ofUpper, 'I': ofUpper, 'J': ofUpper, 'K': ofUpper, 'L': ofUpper, 'M': ofUpper,
	'N': ofUpper, 'O': ofUpper, 'P': ofUpper, 'Q': ofUpper, 'R': ofUpper, 'S': ofUpper, 'T': ofUpper,
	'U': ofUpper, 'V': ofUpper, 'W': ofUpper, 'X': ofUpper, 'Y': ofUpper, 'Z': ofUpper,
	'_': asIdent | asLocal | asSoft,
	'.': asLocal | asSoft, '%': asLocal | asSoft, '+': asLocal | asSoft, '-': asLocal | asSoft, '\'': asLocal | asSoft,
	':': asSoft,
	'@': asTrigger,
}

func wordly(c byte) bool          { return personalClass[c]&asIdent != 0 }
func numeral(c byte) bool         { return personalClass[c]&asNumeral != 0 }
func letter(c byte) bool          { return personalClass[c]&asLetter != 0 }
func capital(c byte) bool         { return personalClass[c]&asCapital != 0 }
func letterOrNumeral(c byte) bool { return c != '_' && wordly(c) }

// stands says that what is between start and end is no part of a longer number,
// name, path, version or identifier.
func (p *peek) stands(start, end int) bool {
	before, after := p.at(start-1), p.at(end)
	if wordly(before) || wordly(after) {
		return false
	}
	switch before {
	case '+':
		if wordly(p.at(start - 2)) {
			return false
		}
	case '.', '-', '$', '#', '~', '^', '%', '&', '*':
		return false
	}
	switch after {
	case '.', '-', '+', '/', '@', '*':
		return !wordly(p.at(end + 1))
	case '%', '(', '#', '$', '^', '~':
		return false
	}
	return true
}

// near says that one of the words, which are in lower case, stands shortly before
// what begins at start. A word that begins with a blank stands there as a word.
func (p *peek) near(start int, words ...string) bool {
	var text [personalNear]byte
	from := max(0, start-personalNear)
	n := copy(text[:], p.b[from:start])
	for i, c := range text[:n] {
		if capital(c) {
			text[i] = c | 0x20
		}
	}
	for _, word := range words {
		if containsWord(text[:n], word) {
			return true
		}
	}
	return false
}

// containsWord takes words only where they begin, so that "bsn" is not found in
// "absnormal", and as a whole where they are so short that others begin so.
func containsWord(text []byte, word string) bool {
	const short = 5
	for i := 0; ; i++ {
		at := bytes.Index(text[i:], []byte(word))
		if at < 0 {
			return false
		}
		i += at
		end := i + len(word)
		if i > 0 && letter(text[i-1]) || len(word) < short && end < len(text) && letter(text[end]) {
			continue
		}
		return true
	}
}
