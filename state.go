package kavach

import "fmt"

// State is where a sandbox is in its life.
type State string

// The states of a sandbox.
const (
	Created   State = "created"   // made, not yet proven; nothing ran
	Running   State = "running"   // commands may be started
	Paused    State = "paused"    // every command is frozen
	Stopped   State = "stopped"   // nothing runs any more: it was halted, or the place is gone by itself
	Destroyed State = "destroyed" // nothing is left of it
)

// States lists every state.
func States() []State { return []State{Created, Running, Paused, Stopped, Destroyed} }

// transitions is the whole life of a sandbox. Destroyed leads to itself, since
// Destroy may be called again.
var transitions = map[State][]State{
	Created:   {Running, Stopped, Destroyed},
	Running:   {Paused, Stopped, Destroyed},
	Paused:    {Running, Stopped, Destroyed},
	Stopped:   {Destroyed},
	Destroyed: {Destroyed},
}

// CanBecome reports whether a sandbox may go from s to next.
func (s State) CanBecome(next State) bool {
	for _, t := range transitions[s] {
		if t == next {
			return true
		}
	}
	return false
}

// StateError says that a sandbox is in the wrong state for what was asked.
type StateError struct {
	Sandbox string
	Act     string // what was asked: "run", "pause", …
	State   State
}

func (e *StateError) Error() string {
	return fmt.Sprintf("cannot %s: sandbox %s is %s", e.Act, e.Sandbox, e.State)
}
