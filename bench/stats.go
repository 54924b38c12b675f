package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// warmUp is how many rounds are run and not counted: they fill the page cache,
// and a Runtime makes its sealed copy of the guest in the first.
const warmUp = 3

// row is something that takes time.
type row struct {
	name string
	what string // for people

	// against is the row that this one is compared with. Empty: none.
	against string

	// budget and goal are what the ratio to against may be at most, in the
	// first version and in the end. Zero: there is none.
	budget, goal float64

	// missing says why the row cannot be measured here. Empty: it can.
	missing string

	// once does the thing once. What it does not time with the watch is not
	// counted.
	once func(*watch) error

	// optional says that it is no fault where it fails, or is not installed: the
	// reason is shown.
	optional bool

	// partOf is the row whose rounds fill this one, as the part of this name.
	partOf string

	samples []time.Duration
}

// watch times one round of a row, and parts of it.
type watch struct {
	total time.Duration
	parts map[string]time.Duration
}

// time runs do, and counts the time it takes.
func (w *watch) time(do func() error) error {
	start := time.Now()
	err := do()
	w.total += time.Since(start)
	return err
}

// part is time, and notes the part under the name of a row of its own.
func (w *watch) part(name string, do func() error) error {
	before := w.total
	err := w.time(do)
	w.note(name, w.total-before)
	return err
}

// add counts time that was measured elsewhere.
func (w *watch) add(d time.Duration) { w.total += d }

// note notes a part, as something that is counted already.
func (w *watch) note(name string, d time.Duration) {
	if w.parts == nil {
		w.parts = make(map[string]time.Duration)
	}
	w.parts[name] = d
}

// split counts what a row took, and notes what it took until its first byte, and
// after that.
func (w *watch) split(name string, d done) {
	w.add(d.Total)
	w.note(first(name), d.First)
	w.note(last(name), d.Total-d.First)
}

// takeTurns measures each row once a round, in a new order each time, so that
// what disturbs the machine, and what one row leaves to the kernel to clean up
// behind it, disturbs all of them alike.
func takeTurns(rows []*row, warmUp, rounds int) {
	const seed = 1 // any: the same orders in each run
	random := rand.New(rand.NewPCG(seed, seed))
	for round := range warmUp + rounds {
		for _, i := range random.Perm(len(rows)) {
			r := rows[i]
			if r.missing != "" || r.partOf != "" {
				continue
			}
			var w watch
			if err := r.once(&w); err != nil {
				r.missing = err.Error()
				continue
			}
			if round < warmUp {
				continue
			}
			r.samples = append(r.samples, w.total)
			for _, part := range rows {
				if d, ok := w.parts[part.name]; ok && part.partOf == r.name {
					part.samples = append(part.samples, d)
				}
			}
		}
	}
}

// choose leaves the rows whose name holds text, and what they need: the rows
// that they are compared with, and those that they are parts of.
func choose(rows []*row, text string) []*row {
	needed := make(map[string]bool)
	for _, r := range rows {
		if strings.Contains(r.name, text) {
			needed[r.name], needed[r.against] = true, true
		}
	}
	for _, r := range rows { // a part comes with its whole, which is no part
		if needed[r.name] {
			needed[r.partOf] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return !needed[r.name] })
}

// stats sums up samples.
type stats struct {
	Min    time.Duration `json:"min_ns"`
	Median time.Duration `json:"median_ns"`
	P90    time.Duration `json:"p90_ns"`
}

// sum sums up samples, of which there is at least one.
func sum(samples []time.Duration) stats {
	s := slices.Clone(samples)
	slices.Sort(s)
	return stats{Min: s[0], Median: median(s), P90: s[(len(s)*9)/10]}
}

// median is the middle of sorted samples; of two, the mean.
func median(s []time.Duration) time.Duration {
	m := len(s) / 2
	if len(s)%2 == 1 {
		return s[m]
	}
	return (s[m-1] + s[m]) / 2
}

// ratio is a/b; 0 where b is 0.
func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
