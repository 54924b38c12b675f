package credential

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/policy"
)

// patience is how long a source may take.
const patience = 30 * time.Second

// readValue reads a secret into memory of arena, by way of room, which is a byte more
// than a secret may have.
func readValue(ctx context.Context, ref *Ref, arena *locked.Arena, room []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := readInto(ctx, ref, room)
	return keep(ref, arena, room, n, err)
}

// keep copies the n bytes of room that were read into memory of arena, and zeroes room.
func keep(ref *Ref, arena *locked.Arena, room []byte, n int, err error) ([]byte, error) {
	if err != nil || n > backend.MaxSecret {
		n = len(room) // nobody says how much of it was used
	}
	defer locked.Wipe(room[:n:n])
	switch {
	case err != nil:
		return nil, err
	case n == len(room):
		return nil, advise("give the key to what is larger", "it has more than %d bytes, and no secret may", backend.MaxSecret)
	case n == 0:
		return nil, advise(notNothing, "%s is empty", ref.Source)
	}
	return arena.Copy(room[:n])
}

const notNothing = "a secret has to be something"

// readInto returns how many bytes of into are the value; len(into): it has more than a
// secret may.
func readInto(ctx context.Context, ref *Ref, into []byte) (n int, err error) {
	kind, value := ref.Where()
	switch {
	case ref.From != nil:
		secret, err := ref.From.Secret(ctx, ref.Name)
		n = copy(into, secret)
		locked.Wipe(secret)
		return n, err
	case kind == policy.CredentialEnv:
		secret, set := os.LookupEnv(value)
		if !set {
			return 0, advise("set it, and export it", "the environment of Kavach has no %s", variable(value))
		}
		return copy(into, secret), nil
	case kind == policy.CredentialFile:
		return readFile(value, ref.Shared, into)
	case kind == policy.CredentialCommand:
		return readHelper(ctx, value, ref.Name, into)
	}
	return 0, errors.New("nothing says where it is")
}

// variable is a variable by its name, where it looks like the name of one: what was
// written where a name should be may be the value itself.
func variable(name string) string {
	if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" {
		return "such variable as its source names"
	}
	return "variable " + name
}

// fit is a value as the way in which it is given can carry it.
func fit(value []byte, ref *Ref, kind string) ([]byte, error) {
	if kind != policy.CredentialEnv && kind != policy.CredentialPlaceholder {
		return value, nil
	}
	if from, _ := ref.Where(); from != policy.CredentialEnv || ref.From != nil {
		value = withoutLineEnd(value) // as $(…) of a shell has it
	}
	if len(value) == 0 {
		return nil, advise(notNothing, "%s is an empty line", ref.Source)
	}
	if bytes.IndexByte(value, 0) >= 0 {
		return nil, advise("give it by another way (as stdin, fd:N, file:PATH)", "it holds a zero byte, which no variable can")
	}
	return value, nil
}

// withoutLineEnd is a value without one line end at its end.
func withoutLineEnd(value []byte) []byte {
	value, ended := bytes.CutSuffix(value, []byte("\n"))
	if ended {
		value, _ = bytes.CutSuffix(value, []byte("\r"))
	}
	return value
}

// readAll reads to the end of f, or until into is full. Nothing in between keeps what
// is read.
func readAll(f *os.File, into []byte) (n int, err error) {
	for n < len(into) {
		m, err := f.Read(into[n:])
		n += m
		if err != nil || m == 0 {
			return n, notEOF(err)
		}
	}
	return n, nil
}
