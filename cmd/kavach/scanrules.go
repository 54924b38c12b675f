package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
)

// ruleNames are the ids of all rules.
func ruleNames() []string {
	var names []string
	for _, r := range gate.Rules() {
		names = append(names, r.ID)
	}
	return names
}

// listRules prints the rules, one a line.
func listRules(asJSON bool) error {
	rules := gate.Rules()
	if asJSON {
		return writeJSON(os.Stdout, rules)
	}
	w := bufio.NewWriter(os.Stdout)
	for _, r := range rules {
		fmt.Fprintf(w, "%-38s %-9s %-9s %s\n", r.ID, r.Scanner, r.Severity, r.Description)
	}
	return w.Flush()
}

func explainRule(id string, asJSON bool) error {
	rules := gate.Rules()
	i := slices.IndexFunc(rules, func(r gate.Rule) bool { return r.ID == id })
	if i < 0 {
		fix := "kavach scan --rules lists them; those of programs are the programs' own"
		if near := policy.Nearest(id, ruleNames()); near != "" {
			fix = fmt.Sprintf("did you mean %q?", near)
		}
		return usagef(fix, "there is no rule %q", id)
	}
	r := rules[i]
	if asJSON {
		return writeJSON(os.Stdout, r)
	}
	fmt.Printf("%-11s %s\n%-11s %s\n%-11s %s\n%-11s %s\n", "rule", r.ID, "scanner", r.Scanner, "severity", r.Severity, "what", r.Description)
	fmt.Printf("%-11s %s\n", "how", r.Match)
	if r.Source != "" {
		fmt.Printf("%-11s %s\n", "source", r.Source)
	}
	if r.ID == gate.KnownRule {
		return nil // nothing can be said of it
	}
	choices := []string{"gate: {ignore: [" + r.ID + "]}"}
	if r.Severity < gate.Critical {
		choices = append(choices, fmt.Sprintf("gate: {severity: {%s: %s}}", r.ID, r.Severity+1))
	}
	fmt.Printf("%-11s %s\n", "in a policy", strings.Join(choices, ", or "))
	return nil
}

// lineCounter says in which line an offset of a file is, for offsets that rise.
type lineCounter struct {
	file io.ReadCloser // nil: there is none
	r    *bufio.Reader
	pos  int64
	line int
}

func newLineCounter(open func() (io.ReadCloser, error)) (*lineCounter, error) {
	if open == nil {
		return &lineCounter{}, nil
	}
	f, err := open()
	if err != nil {
		return nil, err
	}
	return &lineCounter{file: f, r: bufio.NewReaderSize(f, 64<<10), line: 1}, nil
}

func (l *lineCounter) close() {
	if l.file != nil {
		l.file.Close()
	}
}

func (l *lineCounter) at(offset int64) (int, error) {
	for l.pos < offset {
		n := int(min(offset-l.pos, int64(l.r.Size())))
		piece, err := l.r.Peek(n)
		l.line += bytes.Count(piece, []byte("\n"))
		l.pos += int64(len(piece))
		if _, discardErr := l.r.Discard(len(piece)); discardErr != nil {
			return 0, discardErr
		}
		if err == io.EOF {
			break // it has become shorter
		}
		if err != nil {
			return 0, err
		}
	}
	return l.line, nil
}
