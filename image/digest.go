package image

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"strings"
)

// Digest is "ALGORITHM:HEX" (OCI image-spec, descriptor.md), checked by
// ParseDigest: the algorithm is sha256 or sha512, the number lower-case and as
// long as it must be, so that it is safe as the name of a file.
type Digest string

// ParseDigest checks a digest.
func ParseDigest(s string) (Digest, error) {
	algorithm, number, found := strings.Cut(s, ":")
	if !found {
		return "", fmt.Errorf("%q is no digest: write ALGORITHM:HEX", short(s))
	}
	length := 0
	switch algorithm {
	case "sha256":
		length = 2 * sha256.Size
	case "sha512":
		length = 2 * sha512.Size
	default:
		return "", fmt.Errorf("digest %q is of another kind than sha256 and sha512", short(s))
	}
	if len(number) != length || strings.Trim(number, "0123456789abcdef") != "" {
		return "", fmt.Errorf("digest %q is not %d lower-case hexadecimal digits", short(s), length)
	}
	return Digest(s), nil
}

// Hex is the number without the algorithm.
func (d Digest) Hex() string {
	_, number, _ := strings.Cut(string(d), ":")
	return number
}

// Algorithm is "sha256" or "sha512".
func (d Digest) Algorithm() string {
	algorithm, _, _ := strings.Cut(string(d), ":")
	return algorithm
}

// newHash returns what computes digests of the same kind.
func (d Digest) newHash() hash.Hash {
	if d.Algorithm() == "sha512" {
		return sha512.New()
	}
	return sha256.New()
}

func (d Digest) of(h hash.Hash) Digest {
	return Digest(fmt.Sprintf("%s:%x", d.Algorithm(), h.Sum(nil)))
}

// digestOf is the sha256 digest of b.
func digestOf(b []byte) Digest { return Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(b))) }

// short is a part of a foreign string that is fit for an error.
func short(s string) string {
	const enough = 80
	if len(s) > enough {
		return s[:enough] + "…"
	}
	return s
}
