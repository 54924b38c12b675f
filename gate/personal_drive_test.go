package gate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// driveSearch feeds a search as a caller does: windows begin where the last hold
// said, and end at the cuts. It checks what a hold promises: nothing that is found
// begins before what was said to be free of matches.
func driveSearch(t testing.TB, s Scanner, sub Subject, data []byte, cuts []int) []Match {
	t.Helper()
	search := s.New(sub)
	if search == nil {
		return nil
	}
	var all []Match
	start, had, free := 0, 0, int64(0)
	cuts = append(slices.Clone(cuts), len(data))
	for i, cut := range cuts {
		w := Window{Data: slices.Clone(data[start:cut]), Start: int64(start), Fresh: had - start, End: i == len(cuts)-1}
		hold := search.Next(w, func(m Match) {
			if m.Start < 0 || m.End < m.Start || m.End > int64(cut) {
				t.Fatalf("a match from %d to %d, and there are %d bytes", m.Start, m.End, cut)
			}
			if m.Start < free && s.Name != "content" {
				t.Fatalf("%s from %d to %d, and all before %d was said to be free\n%q", m.Rule, m.Start, m.End, free, data)
			}
			all = append(all, m)
		})
		if hold.Keep < int64(start) || hold.Keep > w.Tail() || hold.Soft > hold.Hard || hold.Hard > w.Tail() || hold.Soft < hold.Keep {
			t.Fatalf("hold %+v of a window from %d to %d", hold, start, w.Tail())
		}
		if held := w.Tail() - hold.Keep; held > 64<<10 {
			t.Fatalf("%d bytes are held", held)
		}
		for j := range w.Data {
			w.Data[j] = '7' // whoever kept it shall notice
		}
		free = max(free, hold.Soft)
		start, had = int(hold.Keep), cut
	}
	return all
}

// splitEverywhere holds what is found in one window against what is found in two,
// and in many.
func splitEverywhere(t testing.TB, s Scanner, sub Subject, data []byte) []Match {
	t.Helper()
	want := driveSearch(t, s, sub, data, nil)
	same := func(cuts []int) {
		t.Helper()
		if got := driveSearch(t, s, sub, data, cuts); !slices.EqualFunc(got, want, sameMatch) {
			t.Fatalf("cut at %v:\n got %s\nwant %s\nin %q", cuts, showMatches(got), showMatches(want), data)
		}
	}
	const many = 400
	step := len(data)/many + 1
	for cut := 0; cut <= len(data); cut += step {
		same([]int{cut})
	}
	if len(data) <= 4*many {
		var each []int
		for cut := range data {
			each = append(each, cut)
		}
		same(each)
	}
	r := rand.New(rand.NewPCG(1, uint64(len(data))))
	for range 4 {
		var cuts []int
		for cut := 0; cut < len(data); cut += 1 + r.IntN(1+len(data)/5) {
			cuts = append(cuts, cut)
		}
		same(cuts)
	}
	return want
}

func sameMatch(a, b Match) bool {
	return a.Rule == b.Rule && a.Severity == b.Severity && a.Start == b.Start && a.End == b.End && a.Preview == b.Preview &&
		(a.Instead == nil) == (b.Instead == nil) && string(a.Instead) == string(b.Instead)
}

func showMatches(list []Match) (s string) {
	for _, m := range list {
		s += fmt.Sprintf("%s/%s[%d:%d] ", m.Rule, m.Severity, m.Start, m.End)
	}
	return s
}

// benchSearch measures in windows of the size that pipes have.
func benchSearch(b *testing.B, s Scanner, sub Subject, data []byte) {
	const window = 64 << 10
	b.SetBytes(int64(len(data)))
	found := 0
	for b.Loop() {
		search := s.New(sub)
		if search == nil {
			b.Skip("nothing is looked for there")
		}
		start := int64(0)
		for cut := min(window, len(data)); ; cut = min(cut+window, len(data)) {
			w := Window{Data: data[start:cut], Start: start, End: cut == len(data)}
			hold := search.Next(w, func(Match) { found++ })
			if start = hold.Keep; w.End {
				break
			}
		}
	}
	b.ReportMetric(float64(found)/float64(b.N), "found/op")
}

// benchTexts are kinds of ordinary output, a few megabytes of each.
func benchTexts() map[string][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	const size = 4 << 20
	words := []string{"the", "sandbox", "is", "given", "a", "credential", "that", "it", "can", "use", "but", "never", "hold", "and", "whatever", "leaves", "passes", "one", "gate"}
	texts := map[string][]byte{}
	for len(texts["english"]) < size {
		s := words[r.IntN(len(words))]
		switch r.IntN(14) {
		case 0:
			s += "."
		case 1:
			s += ",\n"
		}
		if r.IntN(200) == 0 {
			s += fmt.Sprint(" ", r.IntN(3000))
		}
		texts["english"] = append(append(texts["english"], s...), ' ')
	}
	for len(texts["log"]) < size {
		line := fmt.Sprintf("2026-11-%02dT%02d:%02d:%02d.%06dZ INFO [%08x-%04x-4%03x-a%03x-%012x] 10.0.%d.%d GET /api/v1/items/%d status=200 bytes=%d sha256:%016x%016x took %.3fms\n",
			1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1e6), r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Uint64N(1<<48),
			r.IntN(256), r.IntN(256), r.IntN(1e7), r.IntN(1e6), r.Uint64(), r.Uint64(), r.Float64()*100)
		texts["log"] = append(texts["log"], line...)
	}
	for len(texts["code"]) < size {
		line := fmt.Sprintf("\tif err := s.%s%s(ctx, &w.Data[%d:], 0x%02x); err != nil {\n\t\treturn fmt.Errorf(\"%s %%q: %%w\", name, err) // %s\n\t}\n",
			words[r.IntN(len(words))], words[r.IntN(len(words))], r.IntN(100), r.IntN(256), words[r.IntN(len(words))], words[r.IntN(len(words))])
		texts["code"] = append(texts["code"], line...)
	}
	for len(texts["utf8"]) < size {
		texts["utf8"] = append(texts["utf8"], "ничто не уходит без осмотра — 没有经过检查的都不能离开，"...)
	}
	for len(texts["binary"]) < size {
		texts["binary"] = append(texts["binary"], byte(r.Uint32()))
	}
	return texts
}
