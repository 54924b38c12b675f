package canary_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/internal/canary"
)

// backends are all there are, with the ways that they refuse.
var backends = []struct{ name, refuses string }{
	{"process", ""},
	{"bare", "file:"}, // process, without namespaces
	{"runc", ""},
	{"crun", ""},
	{"gvisor", ""},
	{"wasm", "fd:"},
	{"noop", "file:"},
}

var ways = []string{"env:CANARY", "stdin", "fd:9", "file:/run/secrets/canary", "placeholder:CANARY"}

// TestGiven gives a secret by each way on each backend, and looks for it wherever it
// may not be.
func TestGiven(t *testing.T) {
	for _, b := range backends {
		for _, way := range ways {
			t.Run(b.name+"/"+way, func(t *testing.T) {
				t.Parallel()
				s := open(t, part{Place: b.name, As: way, Source: "fd:5", Act: "hold"})
				if b.refuses != "" && strings.HasPrefix(way, b.refuses) {
					s.refused()
					return
				}
				s.held()
				s.ended()
				s.destroyed()
			})
		}
	}
}

// TestSources is TestGiven of what a secret can come from.
func TestSources(t *testing.T) {
	for _, source := range []string{"env:SECRET", "file", "stdin", "cmd"} {
		for _, way := range []string{"env:CANARY", "fd:9"} {
			t.Run(source+"/"+way, func(t *testing.T) {
				t.Parallel()
				s := open(t, part{Place: "process", As: way, Source: source, Act: "hold"})
				s.held()
				s.ended()
				s.destroyed()
			})
		}
	}
}

// TestPrinted has commands print what they were given: it is taken out, and nothing of
// it stays in Kavach.
func TestPrinted(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, part{Place: b.name, As: "stdin", Source: "fd:5", Act: "print"})
			w := s.expect("printed")
			if !strings.Contains(w.Text, "sum "+s.sum) || strings.Count(w.Text, "[redacted:known-secret]") < 2 {
				t.Errorf("it was to be printed, and taken out: %s", w.Text)
			}
			s.heap("printed")
			s.goOn()
			s.destroyed()
		})
	}
}

// refused: nothing is given, and nothing of it told.
func (s *stage) refused() {
	s.Helper()
	if w := s.expect("failed"); !w.Unsupported {
		s.Errorf("it is refused with an error that does not match errors.ErrUnsupported: %s", w.Text)
	}
	s.everywhere("refused")
	s.everyFile("refused")
}

// held: a command has the secret, and nobody else but those that must.
func (s *stage) held() {
	s.Helper()
	w := s.expect("held")
	if has := strings.Contains(w.Text, "sum "+s.sum); has == strings.HasPrefix(s.As, "placeholder:") {
		s.Errorf("the command has the secret: %v: %s", has, w.Text)
	}
	s.guests(s.everywhere("held"))
	s.heap("held")
	s.goOn()
}

// guests looks through the guests for a variable that is no secret: it is there, so
// that a secret would be found as well.
func (s *stage) guests(list []canary.Process) {
	s.Helper()
	if len(list) == 0 && s.Place != "noop" {
		s.Error("there is no guest")
	}
	for _, p := range list {
		noCore(s, p)
	}
	twins, looked := s.twin.memory(list)
	has := slices.Contains([]string{"process", "bare", "runc", "crun"}, s.Place) // else others are told of variables
	switch root := os.Geteuid() == 0; {
	case root && (len(looked) < len(list) || has && len(twins) == 0):
		s.Errorf("%d of %d guests were looked through, and a variable that is no secret found in %v", len(looked), len(list), twins)
	case !root && len(looked) > 0 && (s.Place == "process" || s.Place == "bare"):
		s.Errorf("the user may look into the guest, which is to be not dumpable")
	}
}

// everywhere looks at all processes, but not at the memory of the player. It returns
// the guests.
func (s *stage) everywhere(when string) (guests []canary.Process) {
	s.Helper()
	all, err := canary.Processes()
	if err != nil {
		s.Fatal(err)
	}
	roles := rolesOf(canary.Below(all, s.cmd.Process.Pid))
	var others []canary.Process
	for _, p := range all {
		if p.PID != os.Getpid() && p.PID != s.cmd.Process.Pid {
			others = append(others, p)
		}
		if roles[p.PID] == roleGuest {
			guests = append(guests, p)
		}
	}
	leaks, _ := s.look.memory(s.look.younger(others))
	leaks = append(leaks, s.look.arguments(others)...)
	leaks = append(leaks, s.look.arguments([]canary.Process{s.player()})...)
	holders := make(map[role]bool)
	for _, leak := range leaks {
		r := roles[leak.Process.PID]
		if s.mayHave(leak, r) {
			holders[r] = true
			continue
		}
		s.Errorf("%s: %s %v", when, r, leak)
	}
	s.Logf("%s: %d processes; it is in: %v", when, len(all), holders)
	return guests
}

// mayHave says whether the secret may be there.
func (s *stage) mayHave(leak canary.Leak, r role) bool {
	switch {
	case leak.Process.PID == s.cmd.Process.Pid:
		return s.Source == "env:SECRET" && leak.Mapping.Name == "environ" // where it comes from
	case leak.Mapping.Name == "cmdline" || strings.HasPrefix(s.As, "placeholder:"):
		return false
	}
	return r.may()
}

// heap looks through the memory of the player: what is in a core dump has no secret,
// and has the twin.
func (s *stage) heap(when string) {
	s.Helper()
	player := []canary.Process{s.player()}
	leaks, _ := s.look.memory(player)
	if when != "destroyed" {
		leaks = outside(leaks) // by then no memory has it
	}
	known := 0
	for _, leak := range leaks {
		if !s.stays(leak) {
			s.Errorf("%s: %v", when, leak)
			continue
		}
		if !leak.Registers {
			known++
		}
		s.Logf("%s: as it is documented: %v", when, leak)
	}
	if most := 2; known > most { // of os/exec, or where it comes from and Go's copy of that
		s.Errorf("%s: there are %d copies, and %d are known", when, known, most)
	}
	if twins, _ := s.twin.memory(player); outside(twins) == nil {
		s.Errorf("%s: a copy of a string is not found either", when)
	}
}

// stays says whether a copy in the player is known, and documented.
func (s *stage) stays(leak canary.Leak) bool {
	switch {
	case leak.Registers:
		return true
	case s.Source == "env:SECRET": // of the environment that it comes from Go has a copy
		return leak.Hit.Form == "plain"
	}
	return s.Place == "noop" && s.As == "env:CANARY" && leak.Hit.Form == "plain" // os/exec has strings of it
}

// ended: the command is no more.
func (s *stage) ended() {
	s.Helper()
	s.expect("ended")
	s.heap("ended")
	s.goOn()
}

// destroyed: the sandbox is no more, and nothing of the secret either.
func (s *stage) destroyed() {
	s.Helper()
	s.expect("destroyed")
	s.everywhere("destroyed")
	s.heap("destroyed")
	s.everyFile("destroyed")
	if record, err := os.ReadFile(s.dir + "/audit"); err != nil || !bytes.Contains(record, []byte(`"Grants":[{"name":"canary"`)) {
		s.Errorf("the record does not say what was given: %v %s", err, record)
	}
	s.goOn()
}

func (s *stage) everyFile(when string) {
	s.Helper()
	for _, leak := range s.look.files(s.dir, s.sources...) {
		s.Errorf("%s: %s", when, leak)
	}
}
