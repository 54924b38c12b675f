package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kavach-dev/kavach/policy"
)

// isFree reports whether what a session knew is zeroed and given back.
func isFree(k *knownSet) bool { return k.holders.Load() == 0 && k.index == nil && k.secrets == nil }

func fileOf(text string) File {
	return File{Name: "f", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// What is known already costs nothing, however often it is given.
func TestKnowAgain(t *testing.T) {
	s := session(t, policy.Gate{})
	set := s.known
	same := []Secret{NewSecret("PHRASE", []byte(secretValue))}
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Know(same...); err != nil {
			t.Fatal(err)
		}
	}); n > 0 || s.known != set || len(set.secrets) != 1 {
		t.Errorf("%v allocations, %d secrets", n, len(s.known.secrets))
	}
	for _, more := range []Secret{NewSecret("PHRASE", []byte("another value")), NewSecret("OTHER", []byte(secretValue))} {
		before := s.known
		if err := s.Know(more, more, same[0]); err != nil {
			t.Fatal(err)
		}
		if !isFree(before) {
			t.Errorf("%s: the old set is still there", more.Name)
		}
	}
	if n := len(s.known.secrets); n != 3 {
		t.Errorf("%d secrets", n)
	}
	for _, text := range []string{secretValue, "another value"} {
		if out, _ := through(t, s, true, text); out != "[redacted:known-secret]" {
			t.Errorf("%q", out)
		}
	}
	if err := s.Know(NewSecret("PIN", []byte("1"))); !errors.Is(err, ErrShort) || len(s.known.secrets) != 3 {
		t.Errorf("%v, %d secrets", err, len(s.known.secrets))
	}
}

// The caller's value is copied: it may be zeroed when Know has returned.
func TestKnowCopies(t *testing.T) {
	value := []byte(secretValue)
	s := session(t, policy.Gate{}, NewSecret("PHRASE", value))
	clear(value)
	if err := s.Know(NewSecret("OTHER", []byte("another value"))); err != nil { // copies it once more
		t.Fatal(err)
	}
	if out, _ := through(t, s, true, secretValue); out != "[redacted:known-secret]" {
		t.Errorf("%q", out)
	}
}

// What is open when the session is closed still finds, and the memory is there until
// the last of it ends.
func TestCloseWaits(t *testing.T) {
	s := session(t, policy.Gate{Input: policy.InputAllowed})
	set := s.known
	c := s.Command(1, false)
	var out bytes.Buffer
	w := c.Stream("stdout", &out, How{})
	in := c.Input(strings.NewReader("some text"))
	idle := s.Command(2, false)
	idle.Stream("stdout", io.Discard, How{})
	if _, err := io.WriteString(w, secretValue[:12]); err != nil {
		t.Fatal(err)
	}
	var closed sync.WaitGroup
	for range 10 {
		closed.Go(s.Close)
	}
	closed.Wait()
	if isFree(set) {
		t.Fatal("it is gone, and a stream looks for it")
	}
	if _, err := io.WriteString(w, secretValue[12:]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Finish(t.Context()); err != nil || out.String() != "[redacted:known-secret]" {
		t.Errorf("%v, %q", err, out.String())
	}
	if isFree(set) {
		t.Error("it is gone, and another stream, of which nothing has come, may look for it")
	}
	if _, err := idle.Finish(t.Context()); err != nil || !isFree(set) {
		t.Errorf("%v: it is still there, and nothing is open", err)
	}
	s.Close()
	if text, err := io.ReadAll(in); err != nil || string(text) != "some text" {
		t.Errorf("who still reads the input has %q, %v", text, err)
	}
}

// Behind Close nothing gets out. Before it the same did.
func TestCloseWithholds(t *testing.T) {
	for _, closed := range []bool{false, true} {
		for _, collected := range []bool{false, true} {
			s := session(t, policy.Gate{Input: policy.InputAllowed})
			if closed {
				s.Close()
			}
			if out, r := through(t, s, collected, "harmless\n"); (out == "") != closed || r.Withheld() != closed || r.Failed != closed {
				t.Errorf("closed %v, collected %v: %q, %+v", closed, collected, out, r)
			}
			if r, err := s.File(t.Context(), fileOf("harmless")); err != nil || r.Withheld() != closed {
				t.Errorf("closed %v: %v, %+v", closed, err, r)
			}
			if _, err := io.ReadAll(s.Command(1, false).Input(strings.NewReader("harmless"))); err != nil {
				t.Error(err)
			}
			for _, secrets := range [][]Secret{nil, {NewSecret("OTHER", []byte("another value"))}} {
				if err := s.Know(secrets...); errors.Is(err, ErrClosed) != closed {
					t.Errorf("closed %v: %v", closed, err)
				}
			}
		}
	}
}

// A scanner that is late, or has crashed, has its memory for as long as it works, and
// no longer.
func TestCloseWithScannerThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		for _, tt := range []struct {
			how  func()
			late bool
			why  string
		}{
			{func() { panic("oops") }, false, "a crash"},
			{func() { <-hang }, true, "it is late"},
			{func() {}, false, "the twin: nothing is wrong"},
		} {
			g := &Gate{Scanners: []Scanner{stuck(tt.how)}}
			s, err := g.Open(Options{Secrets: []Secret{NewSecret("PHRASE", []byte(secretValue))}})
			if err != nil {
				t.Fatal(err)
			}
			set := s.known
			for _, collected := range []bool{true, false} {
				out, _ := through(t, s, collected, secretValue, "more")
				if strings.Contains(out, secretValue) {
					t.Errorf("%s: %q", tt.why, out)
				}
			}
			if _, err := s.File(t.Context(), fileOf(secretValue)); err != nil {
				t.Errorf("%s: %v", tt.why, err)
			}
			s.Close()
			if isFree(set) == tt.late {
				t.Errorf("%s: held by %d", tt.why, set.holders.Load())
			}
			if tt.late {
				close(hang)
				synctest.Wait()
			}
			if !isFree(set) {
				t.Errorf("%s, and over: held by %d", tt.why, set.holders.Load())
			}
		}
	})
}

// A scanner that comes to an end just when nobody waits for it any more is let go all
// the same.
func TestCloseAtTheLastMoment(t *testing.T) {
	var sets []*knownSet
	for i := range 200 {
		s, err := (&Gate{Timeout: time.Duration(i) * time.Microsecond}).Open(Options{Secrets: []Secret{NewSecret("PHRASE", []byte(secretValue))}})
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, s.known)
		if out, _ := through(t, s, i%2 == 0, "a text with "+secretValue+"\n"); strings.Contains(out, secretValue) {
			t.Errorf("%q", out)
		}
		s.Close()
	}
	for _, set := range sets {
		for set.holders.Load() > 0 { // for ever, where it is never let go
			time.Sleep(time.Millisecond)
		}
	}
}

// Whatever happens at once, nothing gets out, and in the end nothing is left.
func TestCloseAtOnce(t *testing.T) {
	for range 20 {
		s := session(t, policy.Gate{Input: policy.InputAllowed})
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for range 5 {
					c := s.Command(1, false)
					var out lockedBuffer
					w := c.Stream("stdout", &out, How{Collected: i%2 == 0})
					in := c.Input(strings.NewReader(secretValue))
					all.Go(func() { _, _ = io.Copy(io.Discard, in) })
					for _, p := range pieces("x "+secretValue+" y", 9) {
						if _, err := io.WriteString(w, p); err != nil {
							break
						}
					}
					if _, err := c.Finish(t.Context()); err != nil {
						t.Error(err)
					}
					if strings.Contains(out.String(), secretValue) {
						t.Errorf("%q", out.String())
					}
				}
			})
		}
		all.Go(func() {
			for i := range 10 {
				if err := s.Know(NewSecret(fmt.Sprint(i), []byte("another value"))); err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
			s.Close()
		})
		all.Wait()
		s.Close()
	}
}
