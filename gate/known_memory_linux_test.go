package gate

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/policy"
)

// envChild makes the test binary a program that has a session see a secret, in the way
// that it names, and then looks for it in its own memory.
const envChild = "KAVACH_TEST_GATE_MEMORY"

func TestMain(m *testing.M) {
	how := os.Getenv(envChild)
	if how == "" {
		os.Exit(m.Run())
	}
	if err := seeAndSearch(how); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// After Close nothing of a secret is left in the memory of the process, in no form, of
// what the gate knew, nor of what it was shown. The twins leave out one thing each.
func TestMemoryForgets(t *testing.T) {
	tests := []struct {
		how  string
		left bool
		why  string
	}{
		{"forget", false, "all is closed"},
		{"open", true, "the session is not: what it looks for is there"},
		{"unwiped", true, "what was printed is not zeroed"},
		{"unfinished", true, "a command has not finished: its stream still looks for it"},
	}
	for _, tt := range tests {
		t.Run(tt.how, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self)
			// Where a goroutine is interrupted in the middle of a copy, the runtime saves what
			// is in the registers. That is up to it, and not to be seen in each run.
			cmd.Env = append(os.Environ(), envChild+"="+tt.how, "GODEBUG=asyncpreemptoff=1")
			cmd.Stdin, cmd.Stderr = bytes.NewReader(printedForms()), os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if (len(out) > 0) != tt.left {
				t.Errorf("%s; left are:\n%s", tt.why, out)
			}
		})
	}
}

// printedForms is a random secret, and what prints it in every form, with their lengths.
func printedForms() []byte {
	random := make([]byte, 24)
	_, _ = rand.Read(random)
	const escaped = `/"& ` // by somebody
	value := []byte(base64.RawURLEncoding.EncodeToString(random) + escaped + base64.RawURLEncoding.EncodeToString(random[:12]))
	var text bytes.Buffer
	for _, form := range formsOf(value) {
		fmt.Fprintf(&text, "a line with %s in it\n", form)
	}
	fmt.Fprintf(&text, "api_key = \"%s\"\n\xff api_key = %s\xff\n", value, value)
	fmt.Fprintf(&text, "%s\n%s\n", wrap(string(value), 10), strings.Join(strings.Split(string(value), ""), "\x00"))
	fmt.Fprintf(&text, "{\"x\":\"\\u%04x%s\"}\n%%%02x%s\n", value[0], value[1:], value[0], value[1:])
	fmt.Fprintf(&text, "%s\n", base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(value))))
	text.Write(gzipped("packed " + string(value) + strings.Repeat(" and more", 2000)))
	all := binary.LittleEndian.AppendUint32(nil, uint32(len(value)))
	all = binary.LittleEndian.AppendUint32(all, uint32(text.Len()))
	return append(append(all, value...), text.Bytes()...)
}

// seeAndSearch prints what is left.
func seeAndSearch(how string) error {
	var sizes [8]byte
	if _, err := io.ReadFull(os.Stdin, sizes[:]); err != nil {
		return err
	}
	memory := locked.New()
	value, err := memory.Alloc(int(binary.LittleEndian.Uint32(sizes[:])))
	if err != nil {
		return err
	}
	text, err := memory.Alloc(int(binary.LittleEndian.Uint32(sizes[4:])))
	if err != nil {
		return err
	}
	room, err := memory.Alloc(len(text))
	if err != nil {
		return err
	}
	for _, p := range [][]byte{value, text} {
		if _, err := io.ReadFull(os.Stdin, p); err != nil {
			return err
		}
	}
	look, err := newMemorySearch(value)
	if err != nil {
		return err
	}
	if how == "unwiped" {
		wipe = func([]byte) {}
	}
	s, err := new(Gate).Open(Options{
		Policy:  policy.Gate{},
		Secrets: []Secret{NewSecret("NAME", value)},
	})
	if err != nil {
		return err
	}
	if err := see(s, text, room, how == "unfinished"); err != nil {
		return err
	}
	if how != "open" {
		s.Close()
	}
	memory.Free()
	runtime.GC()
	err = look.search(os.Stdout)
	runtime.KeepAlive(s)
	return err
}

// see shows text to a session in all ways. Read is room for it.
func see(s *Session, text, read []byte, unfinished bool) error {
	for _, collected := range []bool{true, false} {
		for _, size := range []int{1, 7, 4096, len(text)} {
			c := s.Command(1, false)
			if _, err := io.ReadFull(c.Input(bytes.NewReader(text)), read); err != nil {
				return err
			}
			w := c.Stream("stdout", io.Discard, How{Collected: collected})
			for piece := range slices.Chunk(text, size) {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
			if unfinished {
				continue
			}
			r, err := c.Finish(context.Background())
			if err != nil || len(r.Findings) < 10 || r.Failed {
				return fmt.Errorf("%d findings, %q, %w", len(r.Findings), r.Reason, err)
			}
		}
	}
	r, err := s.File(context.Background(), File{Name: "x", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }})
	if err != nil || len(r.Findings) < 10 || r.Failed {
		return fmt.Errorf("%d findings, %q, %w", len(r.Findings), r.Reason, err)
	}
	return nil
}

// memorySearch looks for pieces of a secret in all memory of this process. It has them
// so that it does not find itself.
type memorySearch struct {
	pieces [256][]memoryPiece // by first byte, masked
	buf    []byte
}

type memoryPiece struct {
	form   int
	view   string
	masked [memoryPieceSize]byte
}

const (
	memoryPieceSize = 16
	memoryMask      = 0xa5
)

// newMemorySearch looks for the beginning, the middle and the end of each form of value.
func newMemorySearch(value []byte) (*memorySearch, error) {
	s := &memorySearch{buf: make([]byte, 1<<20)}
	set, err := newKnownSet([]Secret{NewSecret("NAME", value)})
	if err != nil {
		return nil, err
	}
	defer set.letGo()
	for i, form := range set.forms {
		for _, at := range []int{0, (len(form.text) - memoryPieceSize) / 2, len(form.text) - memoryPieceSize} {
			asIs, folded := memoryPiece{form: i, view: form.view}, memoryPiece{form: i, view: form.view + ", in lower case"}
			for j, c := range form.text[at : at+memoryPieceSize] {
				asIs.masked[j] = c ^ memoryMask
				if 'A' <= c && c <= 'Z' {
					c |= lower
				}
				folded.masked[j] = c ^ memoryMask
			}
			s.pieces[asIs.masked[0]] = append(s.pieces[asIs.masked[0]], asIs)
			s.pieces[folded.masked[0]] = append(s.pieces[folded.masked[0]], folded)
		}
	}
	return s, nil
}

// search writes down where there is something.
func (s *memorySearch) search(to io.Writer) error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return err
	}
	defer mem.Close()
	for _, line := range strings.Split(strings.TrimSpace(string(maps)), "\n") {
		var from, end int64
		var perm string
		if strings.Contains(line, "[v") { // [vvar], [vsyscall]: the kernel's own
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &end, &perm); err != nil {
			return err
		}
		const most = 4 << 30 // the race detector's own are larger, and hold nothing of the program
		if perm[0] != 'r' || end-from > most {
			continue
		}
		for at := from; at < end; at += int64(len(s.buf)) - memoryPieceSize {
			n := min(int64(len(s.buf)), end-at)
			if _, err := mem.ReadAt(s.buf[:n], at); err != nil {
				return fmt.Errorf("%s: %w", line, err)
			}
			s.compare(s.buf[:n], func(i int, p *memoryPiece) {
				fmt.Fprintf(to, "form %d (%s) at %x, in %s\n", p.form, p.view, at+int64(i), line)
			})
			clear(s.buf) // which is looked at, too
		}
	}
	return nil
}

func (s *memorySearch) compare(data []byte, found func(at int, p *memoryPiece)) {
	for i := range max(len(data)-memoryPieceSize+1, 0) {
		list := s.pieces[data[i]^memoryMask]
		for k := range list {
			n := 0
			for n < memoryPieceSize && data[i+n]^memoryMask == list[k].masked[n] {
				n++
			}
			if n == memoryPieceSize {
				found(i, &list[k])
			}
		}
	}
}
