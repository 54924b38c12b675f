package quarantine

import (
	"fmt"
	"slices"
	"time"
)

// State is what became of an item.
type State string

// The states. An item that is purged is there no longer: what remains of it is in
// the journal.
const (
	Held     State = "held"     // it waits for somebody to decide
	Approved State = "approved" // somebody let it out; the content stays until it is purged
	Rejected State = "rejected" // somebody decided that it never leaves; the content is deleted
	Purged   State = "purged"
)

// States are those that an item of a store can be in.
func States() []State { return []State{Held, Approved, Rejected} }

// moves are all changes of state. What is not in here does not happen.
var moves = []struct {
	from, to State
	waits    bool // until the retention is over, unless it is forced
}{
	{Held, Approved, false},
	{Held, Rejected, false},
	{Held, Purged, true},
	{Approved, Purged, false},
	{Rejected, Purged, false},
}

// check refuses a change of state that is not in the table. free says that the
// retention is over, or that it is forced.
func (r *Record) check(to State, free bool) error {
	for _, m := range moves {
		if m.from != r.State || m.to != to {
			continue
		}
		if m.waits && !free {
			return refusef("approve or reject it, or purge it with --force",
				"item %s waits for somebody to decide, and is kept until %s", r.ID, r.Kept.Add(Retention).Format(time.RFC3339))
		}
		return nil
	}
	if d := r.Decided; d != nil {
		return refusef("what was decided is final; kavach quarantine show "+r.ID+" says what",
			"item %s was %s by %s on %s, so it cannot be %s", r.ID, r.State, d.By, d.Time.Format(time.RFC3339), to)
	}
	return refusef("kavach quarantine list shows the state of each item", "item %s is %s, so it cannot be %s", r.ID, r.State, to)
}

// ParseState knows the states that an item can be in by their names.
func ParseState(name string) (State, error) {
	if !slices.Contains(States(), State(name)) {
		return "", refusef(fmt.Sprintf("use one of %v", States()), "there is no state %q", name)
	}
	return State(name), nil
}
