package gatetest

import (
	"math/rand/v2"
	"strings"
)

// The alphabets that issuers use.
const (
	digits   = "0123456789"
	hexLower = "0123456789abcdef"
	lower    = "abcdefghijklmnopqrstuvwxyz"
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	base36   = digits + lower
	base62   = digits + upper + lower
	base64s  = upper + lower + digits + "+/"
	base64u  = upper + lower + digits + "-_"
	base32   = upper + "234567"
	base58   = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	bech32   = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
)

// chars is n characters of an alphabet.
func chars(r *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func bytesOf(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func uuid(r *rand.Rand) string {
	h := chars(r, hexLower, 32)
	return strings.Join([]string{h[:8], h[8:12], "4" + h[13:16], pick(r, []string{"8", "9", "a", "b"}) + h[17:20], h[20:]}, "-")
}

// password is what a manager of passwords makes, of characters that need no
// escaping in a URL or between quotes.
func password(r *rand.Rand) string {
	return chars(r, upper, 2) + chars(r, base62, 10+r.IntN(10)) + pick(r, []string{"!", "*", "_", "-", "."}) + chars(r, digits, 2)
}
