package credential

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/policy"
)

// once is what can be read but once, to its end. It is read for the first command that
// is to have it, and by nobody else: two who read would each have a part. Who does not
// wait any more leaves it to be read for the next.
type once struct {
	done  chan struct{} // closed when what follows is set
	value *[]byte       // in the set's own memory; behind a pointer, which fmt does not follow
	err   error
}

func (r *Ref) readOnce() bool {
	kind, _ := r.Where()
	return r.From == nil && (kind == policy.CredentialStdin || kind == policy.CredentialFD)
}

// value reads a secret into memory of arena.
func (s *Set) value(ctx context.Context, ref *Ref, arena *locked.Arena, room []byte) ([]byte, error) {
	if !ref.readOnce() {
		return readValue(ctx, ref, arena, room)
	}
	o, err := s.begin(ref)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-o.done:
	case <-s.over:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, advise("close it when the value is written", "%s did not come to its end within %v", ref.Source, patience)
		}
		return nil, ctx.Err()
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	switch {
	case s.read == nil:
		return nil, backend.ErrDestroyed
	case o.err != nil:
		return nil, o.err
	}
	return arena.Copy(*o.value)
}

// begin begins to read a source, unless that was done.
func (s *Set) begin(ref *Ref) (*once, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.read == nil {
		return nil, backend.ErrDestroyed
	}
	o := s.read[ref.Source]
	if o == nil {
		f, err := s.opened(ref) // now: the number is another's when this sandbox is gone
		if err != nil {
			return nil, err
		}
		o = &once{done: make(chan struct{})}
		s.read[ref.Source] = o
		go func() { // nobody can end a read: where there is no end, it is left behind
			defer close(o.done)
			value, err := s.toEnd(ref, f)
			o.value, o.err = &value, err
		}()
	}
	return o, nil
}

// opened is what a source that can be read once is read from.
func (s *Set) opened(ref *Ref) (*os.File, error) {
	kind, number := ref.Where()
	fd, err := 0, error(nil)
	if kind == policy.CredentialFD {
		fd, err = strconv.Atoi(number)
	}
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(s.options.Inherited, fd):
		return nil, advise("name it there, or use another source", "%s is none of the descriptors that this program says it has inherited for it (Config.Inherited)", ref.Source)
	case fd == 0:
		return os.Stdin, nil
	}
	return takeOver(fd, ref.Source)
}

// toEnd reads a source to its end, and closes it.
func (s *Set) toEnd(ref *Ref, f *os.File) ([]byte, error) {
	if f != os.Stdin {
		defer f.Close()
	}
	own := locked.New()
	defer own.Free()
	room, err := own.Alloc(backend.MaxSecret + 1)
	if err != nil {
		return nil, err
	}
	n, err := readAll(f, room)
	if err == nil && n == 0 {
		return nil, advise("a secret has to be something", "%s is empty, or was read already, for another sandbox", ref.Source)
	}
	s.reading.Lock() // of who lets the memory go
	defer s.reading.Unlock()
	return keep(ref, s.kept, room, n, err)
}
