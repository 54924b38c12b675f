package gate

import (
	"fmt"
	"strings"
)

// shown is how many bytes of a match a preview shows at most: the prefixes by
// which issuers mark their tokens (ghp_, AKIA, xoxb) are so long.
const shown = 4

func mask(text []byte) string {
	n := min(shown, len(text)/4)
	clean := func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}
	var head strings.Builder
	for _, c := range text[:n] {
		head.WriteRune(clean(rune(c)))
	}
	return fmt.Sprintf("%s… (%d bytes)", head.String(), len(text))
}
