package quarantine

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMoves goes over every pair of states.
func TestMoves(t *testing.T) {
	all := append(States(), Purged)
	legal := map[[2]State]string{ // to what waits for the retention
		{Held, Approved}: "", {Held, Rejected}: "", {Held, Purged}: "waits",
		{Approved, Purged}: "", {Rejected, Purged}: "",
	}
	for _, from := range all {
		for _, to := range all {
			for _, free := range []bool{false, true} {
				rec := &Record{ID: newID(time.Now()), State: from}
				if from != Held {
					rec.Decided = &Decided{Decision: Decision{By: "Ann Example"}}
				}
				waits, ok := legal[[2]State{from, to}]
				err := rec.check(to, free)
				if want := ok && (waits == "" || free); (err == nil) != want {
					t.Errorf("from %s to %s (free: %v): %v, want it to be legal: %v", from, to, free, err, want)
				}
				if err != nil && from != Held && !strings.Contains(err.Error(), "by Ann Example") {
					t.Errorf("from %s to %s: %v does not say who has decided", from, to, err)
				}
			}
		}
	}
}

func TestIDs(t *testing.T) {
	var ids []string
	for i := range 100 {
		id := newID(time.Unix(int64(i)*1e7, 0))
		if !isID(id) || slices.Contains(ids, id) {
			t.Fatalf("%q is no id, or not a new one", id)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Errorf("ids are not in the order of time: %v", ids)
	}
	for _, tt := range []struct{ name, why string }{
		{"", "nothing"}, {"..", "a path"}, {"../items", "a path"}, {ids[0][:15], "too short"}, {ids[0] + "0", "too long"},
		{strings.ToUpper(ids[99]), "upper case"}, {strings.Repeat("z", idLen), "not of the alphabet"}, {strings.Repeat("/", idLen), "slashes"},
	} {
		if isID(tt.name) {
			t.Errorf("%s: %q is taken for an id", tt.why, tt.name)
		}
	}
}

// problem fails unless an error has these words. "" is none.
func problem(t *testing.T, why string, err error, words string) {
	t.Helper()
	if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
		t.Errorf("%s: error %v, want %q", why, err, words)
	}
}
