// Package gatetest makes texts whose secrets are known, to measure a gate with:
// true secrets in the form that each rule describes and in the forms that issuers
// document, look-alikes that are none, and ordinary material.
//
// Everything is made when it is asked for, from a seed, and nothing is a
// credential of anybody: no secret stands in the source, so that scanners of other
// people's do not find any there either. The same seed makes the same bytes,
// except for the private keys, which are really generated.
//
// What this package does not protect: a measurement is of these texts. A secret in
// a form that neither a rule nor Formats describes is missing from it, and the
// figures say nothing of it.
package gatetest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// Sample is one text, with at most one secret in it.
type Sample struct {
	// Kind is the rule or the format whose secret it is, the rule whose secret it
	// looks like, or the kind of ordinary material.
	Kind string

	// How is the context of a secret, or in which way it looks like one. Empty:
	// of ordinary material.
	How string

	// Name is that of the file it would stand in. Empty: it is output.
	Name string

	Text []byte

	// Start and End are of the secret in Text. Both are 0 where there is none.
	Start, End int
}

// Secret is the secret in s, and empty where there is none.
func (s *Sample) Secret() []byte { return s.Text[s.Start:s.End] }

// Overlaps says whether a finding of n bytes at the offset touches the secret.
func (s *Sample) Overlaps(offset, n int64) bool {
	return offset < int64(s.End) && offset+n > int64(s.Start)
}

// Covers says whether it holds the whole secret.
func (s *Sample) Covers(offset, n int64) bool {
	return s.End > s.Start && offset <= int64(s.Start) && offset+n >= int64(s.End)
}

// random is a source of its own for each name, so that what is added to one list
// changes nothing of another.
func random(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, name)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }
