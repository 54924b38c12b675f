package gate

import "strconv"

// shown is how many bytes of a match a preview shows at most: the prefixes by
// which issuers mark their tokens (ghp_, AKIA, xoxb) are so long.
const shown = 4

func mask(text []byte) string {
	var head [shown]byte
	n := copy(head[:min(shown, len(text)/4)], text)
	for i, c := range head[:n] {
		if c < ' ' || c > '~' {
			head[i] = '.'
		}
	}
	return string(head[:n]) + "… (" + strconv.Itoa(len(text)) + " bytes)"
}
