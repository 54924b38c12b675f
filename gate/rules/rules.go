// Package rules is what secrets look like, as data.
//
// Most of it is the rule set of gitleaks (MIT licence, see LICENSE-gitleaks.md
// beside this file), imported by tools/gaterules at the version that its go.mod
// pins; the rest, and what is changed about the imported rules and why, is in
// tools/gaterules/extra.toml. The importer also derives, from each expression, the
// literals that every match must hold, so that a search need not run the
// expression where none of them is.
//
// What this package does not protect: a secret that no rule describes is found only
// where the sandbox was given it.
//
//go:generate sh -c "cd ../../tools/gaterules && go run . ../../gate/rules/table.go"
package rules

// Rule is one form of secret. Rules are shared, and must not be changed.
type Rule struct {
	ID, Description string
	Severity        string // as of package gate
	Source          string // "gitleaks", "gitleaks, changed" or "kavach"

	// Regex is in the syntax of package regexp. Each byte of the text is the
	// character of its number (ISO 8859-1).
	Regex string

	// Core is Regex without what may be empty at its beginning; that may be at most
	// 50 characters of [\w.-]. Empty: it is Regex.
	Core string

	// Group is the group that holds the secret; 0: the first that is not empty,
	// or the whole match where there is none; below 0: the whole match.
	Group int

	// Entropy is the least entropy of a secret, in bits a byte (Shannon). 0: any.
	Entropy float64

	// Before is how many bytes behind the beginning of a match of Core one of the
	// rule's literals begins, at least and at most.
	Before [2]int

	// Secret is how many bytes behind the beginning of the literal the secret
	// begins at least; below 0, it may begin so many bytes before it.
	Secret int

	// Path is an expression for the names of the only files that the rule is for.
	// Empty: any subject.
	Path string

	// Check names a test that the secret must pass (package gate). Empty: none.
	Check string

	Allow []Allow
}

// Literal is a string, in lower case, that each match of some rules has in it, in any
// case: one of those of the rule.
type Literal struct {
	Text string

	// Next are the bytes, in lower case, that can follow a text of less than four
	// bytes, twice in a row behind one of two. Empty: any.
	Next string

	// Whole says that it is a part of the secret of one of its rules.
	Whole bool

	Rules []int32 // their places in All
}

// Allow says of what looks like a secret that it is none.
type Allow struct {
	Regexes []string // one of them matches the target
	Target  string   // "": the secret; "match": the match; "line": the line, up to the match's end
	Words   []string // one of them is in the secret, in any case
	Paths   []string // one of them matches the file's name
	All     bool     // each of the kinds that are there must say so; else one does
}

// All returns every rule, by id. A rule that is several expressions is there several
// times.
func All() []Rule { return table }

// Literals are those of all rules, sorted by their text.
func Literals() []Literal { return literals }

// Global is what goes for each rule, and Placeholders for those of Kavach.
func Global() *Allow       { return &global }
func Placeholders() *Allow { return &placeholders }
