package guest

import (
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wire"
)

// What a frame says of descriptors has to fit those that came with it.
func TestPlaces(t *testing.T) {
	given := []Given{{Name: "A", Length: 1}}
	tests := []struct {
		why  string
		exec Exec
		came int
		want []int // nil: it is refused
	}{
		{"stdio alone", Exec{}, 3, []int{0, 1, 2}},
		{"one more", Exec{FDs: []uint32{3}}, 4, []int{0, 1, 2, 3}},
		{"holes", Exec{FDs: []uint32{4, 6}}, 5, []int{0, 1, 2, -1, 3, -1, 4}},
		{"the pipe of secrets is no descriptor of the command", Exec{FDs: []uint32{3}, Given: given}, 5, []int{0, 1, 2, 3}},
		{"one too few", Exec{FDs: []uint32{3}}, 3, nil},
		{"one too many", Exec{}, 4, nil},
		{"no pipe of secrets", Exec{Given: given}, 3, nil},
		{"stdio once more", Exec{FDs: []uint32{2}}, 4, nil},
		{"twice the same", Exec{FDs: []uint32{5, 5}}, 5, nil},
		{"falling", Exec{FDs: []uint32{5, 4}}, 5, nil},
		{"absurd", Exec{FDs: []uint32{1<<32 - 1}}, 4, nil},
	}
	for _, tt := range tests {
		tt.exec.Args = []string{"x"}
		got, err := tt.exec.places(tt.came)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("%s: %v, %v, want %v", tt.why, got, err, tt.want)
		}
	}
}

// Descriptors are moved out of the way, or it is said that there is no room for them.
func TestAbove(t *testing.T) {
	fds := make([]int, 2)
	if err := unix.Pipe2(fds, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer func() { wire.CloseAll(fds) }()
	if err := above(fds, 60); err != nil || fds[0] < 60 || fds[1] < 60 {
		t.Errorf("%v, %v", fds, err)
	}
	if err := above(fds, 1<<30); !errors.Is(err, unix.EMFILE) {
		t.Errorf("%v", err)
	}
}

// Lengths that no host of ours would name take no memory, and what does not come is no
// variable.
func TestGive(t *testing.T) {
	tests := []struct {
		why   string
		given []Given
		sent  string
		want  []string // nil: it is refused
		err   error
	}{
		{"two, of which one is there already", []Given{{"A", 3}, {"C", 2}}, "onetw", []string{"B=b", "A=one", "C=tw"}, nil},
		{"an empty one", []Given{{"C", 0}}, "", []string{"A=a", "B=b", "C="}, nil},
		{"the largest number", []Given{{"A", 1<<32 - 1}}, "one", nil, unix.E2BIG},
		{"many of them", slices.Repeat([]Given{{"A", 1<<32 - 1}}, 1000), "one", nil, unix.E2BIG},
		{"more than there may be in all", slices.Repeat([]Given{{"A", 1 << 16}}, 17), "one", nil, unix.E2BIG},
		{"no name", []Given{{"", 3}}, "one", nil, unix.E2BIG},
		{"fewer bytes than were named", []Given{{"A", 4}}, "one", nil, io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.WriteString(tt.sent) // less than any pipe holds
		w.Close()
		spec := new(childSpec)
		if err := spec.fill("/x", &Exec{Args: []string{"x"}, Env: []string{"A=a", "B=b"}, Dir: "/"}); err != nil {
			t.Fatal(err)
		}
		held, err := spec.give(tt.given, int(r.Fd()))
		r.Close()
		if !errors.Is(err, tt.err) || (held != nil) != (tt.want != nil) {
			t.Errorf("%s: %v, want %v", tt.why, err, tt.err)
		}
		if held == nil {
			continue
		}
		var got []string
		for _, kv := range spec.env[:len(spec.env)-1] {
			got = append(got, unix.BytePtrToString(kv))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
		held.Free()
	}
}
