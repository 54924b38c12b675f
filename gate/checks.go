package gate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
)

// check is a test that secrets of some formats pass.
type check struct {
	passes    func(secret []byte) bool
	otherwise Severity // of what does not
}

// checks are by the names that rules use. What fails the one was not issued, or in a
// later format, and is still not for everybody; what fails the other is no token.
var checks = map[string]check{
	"crc62": {crc62, Medium},
	"jwt":   {isJWT, Low},
}

// crc62 reports whether the last six characters, a number in base 62, are the
// CRC-32 of the 30 before, as GitHub's and npm's tokens have it (GitHub's blog,
// "Behind GitHub's new authentication token formats", 2021).
func crc62(secret []byte) bool {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	const random, check = 30, 6
	_, token, ok := bytes.Cut(secret, []byte("_"))
	if !ok || len(token) != random+check {
		return true // a later format: nothing is known of it
	}
	var n uint64
	for _, c := range token[random:] {
		n = n*62 + uint64(bytes.IndexByte([]byte(digits), c))
	}
	return n == uint64(crc32.ChecksumIEEE(token[:random]))
}

// isJWT reports whether the first part is a header (RFC 7515, 4): an object in JSON
// that names an algorithm, "alg", or a type.
func isJWT(secret []byte) bool {
	first, _, _ := bytes.Cut(secret, []byte("."))
	text, err := base64.RawURLEncoding.DecodeString(string(first))
	if err != nil {
		return false
	}
	var header map[string]json.RawMessage
	if json.Unmarshal(text, &header) != nil {
		return false
	}
	return header["alg"] != nil || header["typ"] != nil || header["enc"] != nil
}
