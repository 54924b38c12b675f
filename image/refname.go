package image

import (
	"fmt"
	"strings"
)

// The limits of names (github.com/opencontainers/distribution-spec, "Pull", and
// what Docker takes).
const (
	maxRepository = 255
	maxTag        = 128
	maxHost       = 255
)

func isLower(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func isWord(c byte) bool { return isLower(c) || 'A' <= c && c <= 'Z' || c == '_' }

// badRepository says what is wrong with a repository: parts of lower-case letters
// and digits, with one '.', one or two '_', or any number of '-' between them.
func badRepository(s string) string {
	if s == "" || len(s) > maxRepository {
		return fmt.Sprintf("a name has 1 to %d characters", maxRepository)
	}
	for _, part := range strings.Split(s, "/") {
		if part == "" {
			return fmt.Sprintf("the name %q has an empty part", s)
		}
		if strings.ToLower(part) != part {
			return fmt.Sprintf("the name %q has upper-case letters", s)
		}
		if !validPart(part) {
			return fmt.Sprintf("%q is no part of a name: lower-case letters and digits, with '.', '_', '__' or '-' between them", part)
		}
	}
	return ""
}

func validPart(s string) bool {
	if !isLower(s[0]) || !isLower(s[len(s)-1]) {
		return false
	}
	for i := 1; i < len(s); {
		if isLower(s[i]) {
			i++
			continue
		}
		run := i
		for run < len(s) && s[run] == s[i] {
			run++
		}
		switch sep := s[i:run]; {
		case sep == ".", sep == "_", sep == "__", sep[0] == '-':
		default:
			return false
		}
		if !isLower(s[run]) { // there is one: the last is lower
			return false
		}
		i = run
	}
	return true
}

func validTag(s string) bool {
	if s == "" || len(s) > maxTag || !isWord(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && s[i] != '.' && s[i] != '-' {
			return false
		}
	}
	return true
}

// validRefName is what org.opencontainers.image.ref.name may be (OCI image-spec,
// annotations.md), less the slash, which would be part of the path.
func validRefName(s string) bool {
	if s == "" || len(s) > maxTag {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && !strings.ContainsRune("-._@+", rune(s[i])) {
			return false
		}
	}
	return true
}

// validHost is a host name, an IPv4 address, or an IPv6 address in brackets, and
// perhaps a port.
func validHost(s string) bool {
	if len(s) > maxHost {
		return false
	}
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
		if port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && inner != "" && strings.Trim(strings.ToLower(inner), "0123456789abcdef:") == ""
	}
	for _, label := range strings.Split(host, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !isWord(label[i]) && label[i] != '-' || label[i] == '_' {
				return false
			}
		}
	}
	return true
}
