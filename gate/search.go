package gate

// Scanner is a function that looks for something, with a name and a version.
type Scanner struct {
	// Name and Version say in reports and records what has looked. The name is
	// what policies call it: lower-case letters and dashes.
	Name, Version string

	// Rules are all that it may report. It is called when somebody asks for a
	// list or an explanation, and not before anything is scanned.
	Rules func() []Rule

	// New starts a search of one subject. Nil: there is nothing in such a subject
	// that it looks for. It is called before the first byte, so it must be cheap.
	New func(Subject) Search

	// hint says of text that came out of an encoding, and may be nothing but noise,
	// whether a search could find anything in it. Nil: it is not looked at.
	hint func([]byte) bool

	// lines says that what it looks for may be broken over lines.
	lines bool
}

// Rule is one kind of match, for people.
type Rule struct {
	ID          string   `json:"id"` // lower-case letters, digits and dashes; unique among all scanners
	Scanner     string   `json:"scanner"`
	Severity    Severity `json:"severity"`
	Description string   `json:"description"` // a sentence: what it finds, and why that should not leave
	Match       string   `json:"match"`       // how it is found: an expression, or a sentence
	Source      string   `json:"source,omitempty"`
}

// Subject is what is looked at.
type Subject struct {
	// Name is "stdout", "stderr", "memory", or the path of a file.
	Name string

	// File says that it is a file; Mode is its permissions then (as of chmod(2)),
	// and Name its path.
	File bool
	Mode uint32

	// Terminal says that it is what a terminal of the sandbox's own shows.
	Terminal bool

	// Depth is how many decodings are between this and what left: 0 is the
	// output or the file itself.
	Depth int

	budget *budget // of what is unpacked, for all depths together
}

// Window is a part of a subject. Windows of one search begin where the last Hold
// said (Keep), and reach further each time.
type Window struct {
	Data  []byte // must not be kept or changed
	Start int64  // the offset of Data[0] in the subject
	Fresh int    // Data[Fresh:] is new, Data[:Fresh] was in the window before
	End   bool   // nothing comes after Data; Next is not called again
}

// Tail is the offset of the end of the window.
func (w *Window) Tail() int64 { return w.Start + int64(len(w.Data)) }

// Search is one scanner at work on one subject. What it reports must not depend
// on where windows end: any split of the same bytes finds the same.
type Search interface {
	// Next looks at what is new in w. It calls found for each match that is
	// certain, once, and says what it needs of the bytes so far.
	Next(w Window, found func(Match)) Hold
}

// Hold is what a search needs of the bytes that it has seen. Offsets are in the
// subject; the tail of the window is: none.
type Hold struct {
	// Keep is the first byte that the next window must hold.
	Keep int64

	// Soft is the first byte that may turn out to be a part of a match. It waits
	// for the end of its line, or for a moment of silence, at most.
	Soft int64

	// Hard is the first byte that waits longer than that: so much of a match is
	// there already that nothing else begins so. Soft or more.
	Hard int64
}

// Match is what a search has found.
type Match struct {
	Rule       string
	Severity   Severity
	Start, End int64  // in the subject: what must not leave
	Preview    string // masked: see Mask
	View       string // of decodings; empty: none

	// Instead is put in its place where it is redacted; nil: a mark with the name
	// of the rule.
	Instead []byte
}

// None is the Hold of a search that needs nothing of w.
func None(w Window) Hold { t := w.Tail(); return Hold{t, t, t} }

// Mask shows of a match what helps to recognise it, and never more than a fourth:
// the first bytes, at most four, and how long it is.
func Mask(text []byte) string { return mask(text) }
