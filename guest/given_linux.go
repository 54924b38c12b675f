package guest

import (
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/locked"
)

// maxGiven is how many bytes the secrets of one command have in all, with their
// names: half of what the kernel lets an environment have (execve(2)).
const maxGiven = 1 << 20

// give reads variables from a pipe into memory that is nowhere but here, and makes
// the environment of a child of them, for as long as that memory is held. What Env
// has under the same names is left out.
func (c *childSpec) give(given []Given, pipe int) (held *locked.Arena, err error) {
	total := 0
	for _, g := range given {
		if total += len(g.Name) + int(g.Length) + len("=\x00"); total > maxGiven || g.Name == "" {
			return nil, unix.E2BIG
		}
	}
	held = locked.New()
	all, err := held.Alloc(total)
	if err != nil {
		return nil, err
	}
	c.env = slices.DeleteFunc(c.env, func(kv *byte) bool {
		return kv != nil && slices.ContainsFunc(given, func(g Given) bool { return isVariable(kv, g.Name) })
	})
	last := len(c.env) - 1 // the nil that ends it
	c.env = c.env[:last]
	for _, g := range given {
		at := copy(all, g.Name)
		all[at] = '='
		at++
		if err := readFull(pipe, all[at:at+int(g.Length)]); err != nil {
			held.Free()
			return nil, err
		}
		c.env = append(c.env, &all[0])
		all = all[at+int(g.Length)+1:]
	}
	c.env = append(c.env, nil)
	return held, nil
}

// isVariable reports whether kv, of an environment, is the variable of this name.
func isVariable(kv *byte, name string) bool {
	text := unix.BytePtrToString(kv)
	return len(text) > len(name) && text[len(name)] == '=' && strings.HasPrefix(text, name)
}

// readFull fills p: nothing in between keeps what is read.
func readFull(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Read(fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			p = p[n:]
		}
	}
	return nil
}
