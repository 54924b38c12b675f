package tarfile

import (
	"strconv"
	"strings"
)

const (
	paxXattr = "SCHILY.xattr."

	// Maps of sparse files, versions 0.0, 0.1 and 1.0 (GNU tar manual, "Storing
	// Sparse Files").
	sparseMajor    = "GNU.sparse.major"
	sparseMinor    = "GNU.sparse.minor"
	sparseName     = "GNU.sparse.name"
	sparseSize     = "GNU.sparse.size"
	sparseRealSize = "GNU.sparse.realsize"
	sparseMap      = "GNU.sparse.map"
	sparseBlocks   = "GNU.sparse.numblocks"
	sparseOffset   = "GNU.sparse.offset"
	sparseBytes    = "GNU.sparse.numbytes"
)

// parsePAX reads records, "LENGTH KEY=VALUE\n". Those of version 0.0 of sparse
// files, which come many times, become one as in version 0.1.
func parsePAX(b []byte) (map[string]string, error) {
	records := make(map[string]string)
	var extents []string
	err := eachRecord(string(b), func(key, value string) error {
		switch key {
		case sparseOffset, sparseBytes:
			if (key == sparseBytes) != (len(extents)%2 == 1) || strings.Contains(value, ",") {
				return malformed("the map of a sparse file has no order")
			}
			extents = append(extents, value)
		default:
			records[key] = value
		}
		return nil
	})
	if len(extents) > 0 {
		records[sparseMap] = strings.Join(extents, ",")
	}
	return records, err
}

// checkGlobal refuses what would be about all entries: programs do not agree on
// whether it counts. Comments, as of git archive, are about none.
func checkGlobal(b []byte) error {
	return eachRecord(string(b), func(key, _ string) error {
		if key != "comment" {
			return malformed("it sets %q for all of its entries", key)
		}
		return nil
	})
}

func eachRecord(s string, do func(key, value string) error) error {
	for s != "" {
		digits, _, found := strings.Cut(s, " ")
		n, err := strconv.ParseUint(digits, 10, 31)
		if !found || err != nil || int(n) > len(s) || int(n) < len(digits)+len(" =\n") {
			return malformed("a PAX record has no length")
		}
		record := s[len(digits)+1 : n]
		s = s[n:]
		key, value, found := strings.Cut(strings.TrimSuffix(record, "\n"), "=")
		if !found || key == "" || !strings.HasSuffix(record, "\n") {
			return malformed("a PAX record is not KEY=VALUE")
		}
		if strings.Contains(key, "\x00") || strings.Contains(value, "\x00") && !strings.HasPrefix(key, paxXattr) {
			return malformed("PAX record %q has a zero byte in it", key)
		}
		if err := do(key, value); err != nil {
			return err
		}
	}
	return nil
}

// paxTime reads seconds with a fraction.
func paxTime(s string) (sec, nsec int64, err error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if sec, err = strconv.ParseInt(whole, 10, 64); err != nil {
		return 0, 0, err
	}
	if fraction == "" {
		return sec, 0, nil
	}
	const digits = 9
	for _, c := range fraction {
		if c < '0' || c > '9' {
			return 0, 0, ErrFormat
		}
	}
	nsec, err = strconv.ParseInt((fraction + "000000000")[:digits], 10, 64)
	if strings.HasPrefix(whole, "-") && nsec > 0 { // -1.25 is 0.75 after -2
		if sec == -1<<63 {
			return 0, 0, ErrFormat
		}
		sec, nsec = sec-1, 1e9-nsec
	}
	return sec, nsec, err
}
