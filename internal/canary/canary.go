// Package canary makes a secret that nobody has, and finds it again: in bytes, in
// files, in the memory of processes; as it is, and in the forms in which programs
// write what they have.
//
// What this package does not protect: it is for tests. What is encrypted, compressed
// or written in a form that forms.go does not have is not found.
package canary

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/kavach-dev/kavach/internal/locked"
)

// Size is how many bytes a Secret has: letters and digits, so that it is a value that
// every way can carry.
const Size = 40

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Secret is a value of which this process has no copy but while it uses it: the two
// parts that are kept are noise, each by itself.
type Secret struct{ mask, masked [Size]byte }

// New makes a value that nobody had before.
func New() (*Secret, error) {
	s := new(Secret)
	_, _ = rand.Read(s.mask[:]) // never fails
	memory := locked.New()
	defer memory.Free()
	value, err := memory.Alloc(Size)
	if err != nil {
		return nil, err
	}
	_, _ = rand.Read(value)
	for i, c := range value {
		s.masked[i] = s.mask[i] ^ alphabet[int(c)%len(alphabet)]
	}
	return s, nil
}

// use shows the value to do, which must not keep it.
func (s *Secret) use(do func(value []byte) error) error {
	memory := locked.New()
	defer memory.Free()
	value, err := memory.Alloc(Size)
	if err != nil {
		return err
	}
	for i := range value {
		value[i] = s.mask[i] ^ s.masked[i]
	}
	return do(value)
}

// Write gives the value to w, which is to be a file, a pipe, or what else makes no
// copy of its own.
func (s *Secret) Write(w io.Writer) error {
	return s.use(func(value []byte) error {
		_, err := w.Write(value)
		return err
	})
}

// Sum is the SHA-256 of the value, in hexadecimal, by which somebody can show to have
// it.
func (s *Secret) Sum() (sum string, err error) {
	err = s.use(func(value []byte) error {
		digest := sha256.Sum256(value)
		sum = hex.EncodeToString(digest[:])
		return nil
	})
	return sum, err
}

// Found tells in which forms the value, or a part of it, is in what r has; nil: in
// none.
func (s *Secret) Found(r io.Reader) (forms []string, err error) {
	f, err := s.Finder()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hits, err := f.Find(r)
	return Forms(hits), err
}
