package gate

import (
	"bytes"
	"cmp"
	"slices"
	"testing"
)

// feed gives a search a text in pieces, as a stream does.
func feed(s Search, text []byte, size int, found func(Match)) {
	cuts := []int{}
	for at := size; at < len(text); at += size {
		cuts = append(cuts, at)
	}
	feedAt(s, text, cuts, found)
}

func feedAt(s Search, text []byte, cuts []int, found func(Match)) {
	keep, seen := int64(0), 0
	for i, cut := range append(cuts, len(text)) {
		w := Window{Data: text[keep:cut], Start: keep, Fresh: seen - int(keep), End: i == len(cuts)}
		h := s.Next(w, found)
		keep, seen = h.Keep, cut
	}
}

// ledgerOf is what is found in a text that comes in pieces.
func ledgerOf(text []byte, cuts []int, scanners ...Scanner) []Finding {
	var l ledger
	feedAt(newScan(Subject{Name: "stdout"}, scanners), text, cuts, func(m Match) { l.add("stdout", m, 0) })
	return l.findings()
}

func sameFindings(t *testing.T, text []byte, cuts []int, scanners ...Scanner) {
	t.Helper()
	want := Whole(Subject{Name: "stdout"}, text, scanners...)
	if got := ledgerOf(text, cuts, scanners...); !slices.Equal(got, want) {
		t.Errorf("%q cut at %v:\n%+v\nwant\n%+v", text, cuts, got, want)
	}
}

func FuzzSplit(f *testing.F) {
	known, _, _ := Known([]Secret{NewSecret("NAME", []byte("correct horse battery")), NewSecret("OTHER", []byte("aaaaaaab\xff\n123456789"))})
	for _, text := range samples() {
		f.Add(text, uint16(len(text)/2), uint16(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, cut, size uint16) {
		if len(text) > 4096 {
			t.Skip()
		}
		cuts := []int{min(int(cut), len(text))}
		for at := cuts[0]; size > 0 && at < len(text); at += int(size) {
			cuts = append(cuts, at)
		}
		slices.SortFunc(cuts, cmp.Compare[int])
		sameFindings(t, text, cuts, known, Secrets())
	})
}

// samples are texts in which there is something to find. They are put together here,
// so that nobody's scanner finds them in this file.
func samples() [][]byte {
	token := "gh" + "p_" + "k3Wq9zXv7LmN2pRt5YbC8dFg1HjA4sQeUoMh"
	return [][]byte{
		[]byte("nothing at all"),
		[]byte("token=" + token + "\n"),
		[]byte("correct horse battery"),
		[]byte("\ncorrect horse battery"),
		[]byte("correct\n\r\n horse bat\ntery\n"),
		[]byte("xx Y29ycmVjdCBob3JzZSBiYXR0ZXJ5 yy"),
		[]byte("x Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\ny"),
		[]byte("correct%20horse%20battery and c%6Frrect horse battery"),
		[]byte("c\x00o\x00r\x00r\x00e\x00c\x00t\x00 \x00h\x00o\x00r\x00s\x00e\x00 \x00b\x00a\x00t\x00t\x00e\x00r\x00y\x00"),
		gzipped("it is correct horse battery here"),
		[]byte("postgres://app:s3cr3tPassw0rd@db.internal/x Authorization: Basic dXNlcjpzM2NyM3RQYXNz"),
		bytes.Repeat([]byte("key=abcdefghij1234567890 password: 'x' "), 3),
		[]byte("-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq1Zr0xkVt5mNf3sYwLpQ8dHj2uGc6EoRa9TiXBnKvMzWUS\nAAAA\n-----END RSA " + "PRIVATE KEY-----\n"),
	}
}

// Any split finds the same.
func TestSplit(t *testing.T) {
	known, _, _ := Known([]Secret{NewSecret("NAME", []byte("correct horse battery"))})
	for _, text := range samples() {
		for cut := range len(text) {
			sameFindings(t, text, []int{cut}, known, Secrets())
		}
		var each []int
		for cut := range len(text) {
			each = append(each, cut)
		}
		sameFindings(t, text, each, known, Secrets())
	}
}
