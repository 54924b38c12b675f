package gatetest

import (
	"hash/crc32"
	"strings"
)

// checksummed are the prefixes of tokens whose last six characters are the CRC-32
// of the thirty before them
// (github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats;
// npm took it over).
var checksummed = []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"}

const (
	checked  = 30 // characters that the sum is of
	checkLen = 6
)

// withChecksum gives a token the checksum that its issuer would.
func withChecksum(secret string) string {
	for _, prefix := range checksummed {
		if body, ok := strings.CutPrefix(secret, prefix); ok && len(body) == checked+checkLen {
			return prefix + body[:checked] + checksum(body[:checked])
		}
	}
	return secret
}

// hasChecksum says whether withChecksum does anything with it.
func hasChecksum(secret string) bool {
	for _, prefix := range checksummed {
		if strings.HasPrefix(secret, prefix) && len(secret) == len(prefix)+checked+checkLen {
			return true
		}
	}
	return false
}

// checksum is in base 62, with digits first, and leading zeros.
func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	out := make([]byte, checkLen)
	for i := checkLen - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return string(out)
}
