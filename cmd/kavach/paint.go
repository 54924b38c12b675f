package main

import "os"

// paint colours text for a terminal; its zero value does not.
type paint struct{ on bool }

// newPaint colours where f is a terminal that can, and nobody minds
// (https://no-color.org).
func newPaint(f *os.File) paint {
	return paint{on: isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// The codes are of ECMA-48, 8.3.117 (SGR).
func (p paint) dim(s string) string  { return p.wrap("2", s) }
func (p paint) bold(s string) string { return p.wrap("1", s) }
func (p paint) good(s string) string { return p.wrap("32", s) }
func (p paint) bad(s string) string  { return p.wrap("33", s) }

func (p paint) wrap(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
