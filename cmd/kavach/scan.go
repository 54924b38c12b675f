package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
)

// scanFlags are the flags of kavach scan.
type scanFlags struct {
	policies []string
	scanners []string
	known    []string
	redact   bool
	rules    bool
	explain  string
	json     bool
}

func scanCommand() *command {
	f := &scanFlags{}
	return &command{
		name: "scan", args: "[flags] [FILE|DIR|-]...", short: "look for secrets and other things that should not leave, as kavach run does",
		long: `Look at files, at all files below directories, or at stdin, with the gate that the
output of kavach run passes through. Each finding is a line: where, what, how severe,
and what was found, masked. With --redact it is a filter: stdin goes to stdout, as it
comes, redacted.

Without a policy that says otherwise, a finding counts from severity medium on.
docs/gate.md says what is looked for, and what is looked into.`,
		one: "something was found that counts",
		example: `  git diff --cached -U0 | kavach scan
  journalctl -f | kavach scan --redact
  kavach scan --scanner secrets --scanner personal --json export.csv
  kavach scan --explain aws-access-token`,
		flags: f.register,
		most:  -1,
		run:   f.scan,
	}
}

func (f *scanFlags) register(fs *flags) {
	fs.Texts(&f.policies, "policy", "", "POLICY", "look as the gate of this policy does (default basic)", policy.PresetNames)
	fs.Texts(&f.scanners, "scanner", "", "NAME", "look with secrets, personal, terminal or content, and no other that is not named (default: the policy's, else all but personal)", policy.GateScanners)
	fs.Texts(&f.known, "known", "", "VARIABLE", "look for the value of this variable of kavach's environment, too, as for a secret that a sandbox was given", nil)
	fs.Bool(&f.redact, "redact", "", "print stdin, redacted, as it comes")
	fs.Bool(&f.rules, "rules", "", "list the rules")
	fs.Text(&f.explain, "explain", "", "RULE", "say what a rule finds, and how", ruleNames)
	fs.Bool(&f.json, "json", "", "print JSON")
}

func (f *scanFlags) scan(args []string) error {
	switch {
	case f.rules:
		return listRules(f.json)
	case f.explain != "":
		return explainRule(f.explain, f.json)
	}
	session, from, err := f.session()
	if err != nil {
		return err
	}
	if f.redact {
		return f.filter(session, args)
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	stop := catch()
	s := &scanResult{json: f.json, from: from, all: []gate.Finding{}}
	for _, arg := range args {
		if arg == "-" {
			err = s.stdin(stop, session)
		} else {
			err = s.tree(stop, session, arg)
		}
		if err != nil {
			return stop.instead(err)
		}
	}
	return s.end()
}

// session opens the gate, and says from which severity on a finding counts.
func (f *scanFlags) session() (*gate.Session, gate.Severity, error) {
	p, err := loadPolicies(f.policies)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range f.scanners {
		if !slices.Contains(policy.GateScanners(), name) {
			return nil, 0, usagef(nearest(name, policy.GateScanners(), "the scanners"), "--scanner: there is no %q", name)
		}
	}
	if len(f.scanners) > 0 {
		p.Gate.Scanners = f.scanners
	}
	if p.Gate.Mode == policy.GateOff {
		p.Gate = policy.Gate{Scanners: f.scanners} // it is asked for
	}
	var secrets []gate.Secret
	for _, name := range f.known {
		value, ok := os.LookupEnv(name)
		if !ok {
			return nil, 0, usagef("set it, or leave --known "+name+" out", "--known %s: there is no such variable", name)
		}
		secrets = append(secrets, gate.NewSecret(name, []byte(value)))
	}
	session, err := new(gate.Gate).Open(gate.Options{Policy: p.Gate, Secrets: secrets})
	return session, redactFrom(p), err
}

// filter copies stdin to stdout, redacted.
func (f *scanFlags) filter(session *gate.Session, args []string) error {
	if len(args) > 0 && !slices.Equal(args, []string{"-"}) {
		return usagef("kavach scan --redact <FILE", "--redact reads stdin, and %s is no such thing", args[0])
	}
	if f.json {
		return usagef("leave one of them out", "--redact prints what it reads, and --json what it finds")
	}
	stop := catch()
	stdout, _ := stop.outputs()
	report, err := passThrough(stop, session, stdout)
	if err != nil {
		return stop.instead(err)
	}
	tellGate(os.Stderr, newPaint(os.Stderr), &report, gate.Info)
	if report.Withheld() {
		return exitStatus(codeWithheld)
	}
	return nil
}

// passThrough reads stdin to its end, through the gate.
func passThrough(stop *stopper, session *gate.Session, to io.Writer) (gate.Report, error) {
	c := session.Command(0, false)
	copied := make(chan error, 1)
	go func() { // not waited for where kavach is stopped: a read of stdin cannot be called off
		_, err := io.Copy(c.Stream("stdin", to, gate.How{Shown: isTerminal(os.Stdout) && to != io.Discard}), os.Stdin)
		copied <- err
	}()
	select {
	case err := <-copied:
		report, finishErr := c.Finish(stop.ctx)
		if report.Withheld() {
			err = nil // which is what the report says
		}
		return report, errors.Join(err, finishErr)
	case <-stop.ctx.Done():
		return gate.Report{}, stop.ctx.Err()
	}
}

// scanResult is what a scan has come to.
type scanResult struct {
	json  bool
	from  gate.Severity // what counts
	all   []gate.Finding
	files int
	more  map[string]int
	count bool // something counts
}

func (s *scanResult) stdin(stop *stopper, session *gate.Session) error {
	report, err := passThrough(stop, session, io.Discard)
	if err != nil {
		return err
	}
	return s.add("-", &report, nil)
}

// tree looks at a file, or at those below a directory, but for git's own.
func (s *scanResult) tree(stop *stopper, session *gate.Session, root string) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name == root:
			return usagef("check the path", "%s: %v", root, reason(err))
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		st, err := os.Stat(name) // a link that was named is followed
		switch {
		case name == root && err != nil:
			return usagef("check the path", "%s: %v", root, reason(err))
		case name == root && !st.Mode().IsRegular():
			return usagef("let kavach scan read it on stdin", "%s is no file", root)
		case err != nil || !st.Mode().IsRegular() || name != root && !d.Type().IsRegular():
			return nil //nolint:nilerr // a link to nowhere holds nothing
		}
		open := func() (io.ReadCloser, error) { return os.Open(name) }
		report, err := session.File(stop.ctx, gate.File{Name: name, Mode: uint32(st.Mode().Perm()), Open: open})
		if err != nil {
			return err
		}
		return s.add(name, &report, open)
	})
}

// add takes down what was found, and says it.
func (s *scanResult) add(name string, r *gate.Report, open func() (io.ReadCloser, error)) error {
	s.files++
	for rule, n := range r.More {
		if s.more == nil {
			s.more = make(map[string]int)
		}
		s.more[rule] += n
	}
	if r.Failed {
		return fmt.Errorf("%s: %s", name, r.Reason)
	}
	s.count = s.count || r.Withheld()
	lines, err := newLineCounter(open)
	if err != nil {
		return err
	}
	defer lines.close()
	for _, f := range r.Findings {
		s.count = s.count || f.Severity >= s.from
		if s.json {
			s.all = append(s.all, f)
			continue
		}
		where := fmt.Sprintf("%s: byte %d", name, f.Offset)
		if open != nil {
			line, err := lines.at(f.Offset)
			if err != nil {
				return err
			}
			where = fmt.Sprintf("%s:%d", name, line)
		}
		if f.View != "" {
			where += " (" + f.View + ")"
		}
		fmt.Printf("%s: %s (%s): %s\n", printable(where), f.Rule, f.Severity, printable(f.Preview))
	}
	return nil
}

// scanReport is what scan --json prints.
type scanReport struct {
	Findings []gate.Finding `json:"findings"`
	More     map[string]int `json:"more_findings,omitempty"`
	Subjects int            `json:"subjects"`
	Counts   bool           `json:"counts"` // something was found that counts
}

func (s *scanResult) end() error {
	if s.json {
		if err := writeJSON(os.Stdout, scanReport{s.all, s.more, s.files, s.count}); err != nil {
			return err
		}
	}
	for rule, n := range s.more {
		if !s.json {
			fmt.Printf("%s: %d more\n", rule, n)
		}
	}
	if s.count {
		return exitStatus(1)
	}
	return nil
}
