package quarantine

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"
)

// An id sorts by time: 48 bits of milliseconds since 1970, then 32 that are random,
// in base32 with the alphabet that keeps the order (RFC 4648, section 7), in lower
// case. Two that are the same would be an error of the second to write.
const (
	idDigits = "0123456789abcdefghijklmnopqrstuv"
	idTime   = 6 // bytes
	idRandom = 4
	idLen    = (idTime + idRandom) * 8 / 5
)

func newID(now time.Time) string {
	var raw [idTime + idRandom]byte
	for i, left := idTime-1, now.UnixMilli(); i >= 0; i, left = i-1, left>>8 {
		raw[i] = byte(left)
	}
	_, _ = rand.Read(raw[idTime:]) // it never fails, and says so
	return base32.NewEncoding(idDigits).WithPadding(base32.NoPadding).EncodeToString(raw[:])
}

// isID reports whether a name is one that newID could have made. Names of items
// become paths, so nothing else is ever looked up.
func isID(name string) bool { return len(name) == idLen && isPrefix(name) }

// isPrefix reports whether ids can begin so.
func isPrefix(name string) bool {
	return name != "" && len(name) <= idLen && strings.Trim(name, idDigits) == ""
}
