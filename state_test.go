package kavach_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/kavach-dev/kavach"
)

// Every pair of states, and whether a sandbox may go from one to the other.
func TestStateTable(t *testing.T) {
	may := map[kavach.State][]kavach.State{
		kavach.Created:   {kavach.Running, kavach.Stopped, kavach.Destroyed},
		kavach.Running:   {kavach.Paused, kavach.Stopped, kavach.Destroyed},
		kavach.Paused:    {kavach.Running, kavach.Stopped, kavach.Destroyed},
		kavach.Stopped:   {kavach.Destroyed},
		kavach.Destroyed: {kavach.Destroyed},
	}
	if len(kavach.States()) != len(may) {
		t.Fatalf("states: %v", kavach.States())
	}
	for _, from := range kavach.States() {
		for _, to := range kavach.States() {
			if got, want := from.CanBecome(to), slices.Contains(may[from], to); got != want {
				t.Errorf("%s to %s: %t, want %t", from, to, got, want)
			}
		}
		if from.CanBecome("") || kavach.State("").CanBecome(from) || kavach.State("gone").CanBecome(from) {
			t.Errorf("%s and a state that there is not", from)
		}
	}
}

// Every act in every state that a caller can see.
func TestActsInStates(t *testing.T) {
	acts := map[string]func(*kavach.Sandbox) error{
		"run":     func(sb *kavach.Sandbox) error { _, err := sb.Run(t.Context(), say("", "")); return err },
		"pause":   func(sb *kavach.Sandbox) error { return sb.Pause(t.Context()) },
		"resume":  func(sb *kavach.Sandbox) error { return sb.Resume(t.Context()) },
		"halt":    func(sb *kavach.Sandbox) error { return sb.Halt(t.Context()) },
		"changes": func(sb *kavach.Sandbox) error { _, err := sb.Changes(t.Context()); return err },
		"apply":   func(sb *kavach.Sandbox) error { _, err := sb.Apply(t.Context(), nil); return err },
		"destroy": func(sb *kavach.Sandbox) error { return sb.Destroy(t.Context()) },
	}
	reach := map[kavach.State]func(*kavach.Sandbox) error{
		kavach.Running:   func(*kavach.Sandbox) error { return nil },
		kavach.Paused:    acts["pause"],
		kavach.Destroyed: acts["destroy"],
		kavach.Stopped: func(sb *kavach.Sandbox) error {
			if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"die"}}); err == nil {
				return errors.New("the place is gone, and nobody says so")
			}
			return nil
		},
	}
	tests := []struct {
		in    kavach.State
		legal map[string]kavach.State // act → the state after it
		why   string
	}{
		{kavach.Running, map[string]kavach.State{"run": kavach.Running, "pause": kavach.Paused, "halt": kavach.Stopped, "destroy": kavach.Destroyed}, "resume is for what is paused, and what runs may still change"},
		{kavach.Paused, map[string]kavach.State{"resume": kavach.Running, "halt": kavach.Stopped, "destroy": kavach.Destroyed}, "what is frozen starts nothing, and may go on"},
		{kavach.Stopped, map[string]kavach.State{
			"halt": kavach.Stopped, "changes": kavach.Stopped, "apply": kavach.Stopped, "destroy": kavach.Destroyed,
		}, "the place is gone"},
		{kavach.Destroyed, map[string]kavach.State{"destroy": kavach.Destroyed}, "Destroy may be called again"},
	}
	for _, test := range tests {
		for name, act := range acts {
			w := newWorld()
			sb := w.create(t)
			if err := reach[test.in](sb); err != nil || sb.State() != test.in {
				t.Fatalf("reach %s: %v, the state is %s", test.in, err, sb.State())
			}
			before := len(w.journal())
			err := act(sb)
			after, legal := test.legal[name]
			if !legal {
				var state *kavach.StateError
				if !errors.As(err, &state) || state.State != test.in || state.Sandbox != sb.ID() {
					t.Errorf("%s while %s: %v, want a *StateError (%s)", name, test.in, err, test.why)
				}
				if did := w.journal()[before:]; len(did) > 0 {
					t.Errorf("%s while %s did %v", name, test.in, did)
				}
				after = test.in
			} else if err != nil {
				t.Errorf("%s while %s: %v", name, test.in, err)
			}
			if sb.State() != after {
				t.Errorf("after %s while %s it is %s, want %s", name, test.in, sb.State(), after)
			}
		}
	}
}
