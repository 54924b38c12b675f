package gatetest

import (
	"math/rand/v2"
	"strings"
)

// material is a kind of what programs print and files hold, without a secret.
type material struct {
	kind string

	// block is a piece of it, of some lines.
	block func(*rand.Rand) string
}

func materials() []material {
	var all []material
	for _, list := range [][]material{prose, logs, tools, locks, code, encoded} {
		all = append(all, list...)
	}
	return all
}

// Kinds are the kinds of ordinary material.
func Kinds() []string {
	var kinds []string
	for _, m := range materials() {
		kinds = append(kinds, m.kind)
	}
	return kinds
}

// Ordinary writes a text of at least size bytes of each kind, in which nothing is
// a secret.
func Ordinary(seed uint64, size int) []Sample {
	var samples []Sample
	for _, m := range materials() {
		r := random(seed, "ordinary "+m.kind)
		var b strings.Builder
		for b.Len() < size {
			b.WriteString(m.block(r))
		}
		samples = append(samples, Sample{Kind: m.kind, Text: []byte(b.String())})
	}
	return samples
}

// lines repeats a line a few times.
func lines(least, most int, line func(*rand.Rand) string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		var b strings.Builder
		for range least + r.IntN(most-least+1) {
			b.WriteString(line(r))
			b.WriteByte('\n')
		}
		return b.String()
	}
}
