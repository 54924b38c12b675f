package container

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// version is that of a runtime, as it tells it.
type version struct {
	numbers [3]int

	// candidate is the number of a release candidate, which comes before the
	// release. 0: it is the release.
	candidate int
}

// parseVersion reads what runtimes write: "1.1.5", "1.20", "1.4.0-rc.3",
// "1.0.0-rc95", and with what distributions add, "1.1.5+ds1", "1.0.0~rc93+ds1".
func parseVersion(text string) (v version, err error) {
	bad := fmt.Errorf("%q is no version", text)
	text, _, _ = strings.Cut(text, "+")
	release, candidate, isCandidate := strings.Cut(strings.ReplaceAll(text, "~", "-"), "-")
	parts := strings.Split(release, ".")
	if len(parts) < 2 || len(parts) > len(v.numbers) {
		return v, bad
	}
	for i, part := range parts {
		if v.numbers[i], err = strconv.Atoi(part); err != nil || v.numbers[i] < 0 {
			return v, bad
		}
	}
	if !isCandidate {
		return v, nil
	}
	digits, found := strings.CutPrefix(candidate, "rc")
	if !found {
		return v, nil // a revision of a distribution's: at least this
	}
	digits, _, _ = strings.Cut(strings.TrimPrefix(digits, "."), "-")
	if v.candidate, err = strconv.Atoi(digits); err != nil || v.candidate < 1 {
		return v, bad
	}
	return v, nil
}

func (v version) compare(w version) int {
	for i := range v.numbers {
		if c := cmp.Compare(v.numbers[i], w.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.candidate == w.candidate:
		return 0
	case v.candidate == 0:
		return 1
	case w.candidate == 0:
		return -1
	}
	return cmp.Compare(v.candidate, w.candidate)
}

// line reports whether two versions are of one release line, such as 1.2.
func (v version) line(w version) bool {
	return v.numbers[0] == w.numbers[0] && v.numbers[1] == w.numbers[1]
}
