package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kavach-dev/kavach/policy"
)

// Gate looks at what leaves sandboxes. Its zero value is ready: it has the scanners
// that policies ask for, and keeps nothing of what it withholds. It may be used from
// many goroutines at once, and must not be changed after its first use.
type Gate struct {
	// Quarantine keeps what policies say is to be kept. Nil: that is not released
	// either, and is gone.
	Quarantine Quarantine

	// Scanners look at everything, beside those of the policy. Nil: none.
	Scanners []Scanner

	// Timeout bounds the wall time that the scanners may take for one piece of at
	// most 64 KiB; then everything that follows is withheld. Zero: 10 s.
	Timeout time.Duration
}

const defaultTimeout = 10 * time.Second

// Options are what a Session is opened with.
type Options struct {
	Sandbox string
	Policy  policy.Gate

	// Secrets are the values that the sandbox is given, which are copied. Nil: none
	// yet.
	Secrets []Secret

	// Learns says that there will be more of them while commands run: then what is
	// open by the time is looked at for them as well. Zero: only where there are some.
	Learns bool
}

// Session is the gate of one sandbox. Its values of secrets, and all that is made of
// them to be looked for, are in memory that Close zeroes.
type Session struct {
	gate     *Gate
	sandbox  string
	policy   policy.Gate // effective
	levels   levels
	raised   map[string]Severity
	timeout  time.Duration
	external []policy.ExternalScanner
	learns   bool

	mu       sync.Mutex // guards what follows
	scanners []Scanner  // that of known comes before them
	known    *knownSet  // nil: nothing is
	closed   bool
	input    map[[sha256.Size]byte]struct{} // what was found in what the sandbox was given; nil: that is not asked
}

// levels are the lowest severities at which something is done; 0: never.
type levels struct{ redact, quarantine, block Severity }

// ErrShort is matched by the error of a secret that is too short to be looked for.
var ErrShort = errors.New("too short to be found surely where it comes out")

// ErrClosed is returned for, and withholds, what comes after Close.
var ErrClosed = errors.New("the gate of the sandbox is closed")

// Open opens the gate of a sandbox. The error matches ErrShort where a secret is
// shorter than MinSecret.
func (g *Gate) Open(o Options) (*Session, error) {
	p := o.Policy.Effective()
	s := &Session{gate: g, sandbox: o.Sandbox, policy: p, timeout: g.Timeout, external: p.External, raised: make(map[string]Severity), learns: o.Learns}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	var err error
	if s.levels, err = levelsOf(&p); err != nil {
		return nil, err
	}
	for rule, name := range p.Severity {
		var level Severity
		if err := level.UnmarshalText([]byte(name)); err != nil {
			return nil, fmt.Errorf("gate.severity[%q]: %w", rule, err)
		}
		s.raised[rule] = level
	}
	if p.Input == policy.InputAllowed {
		s.input = make(map[[sha256.Size]byte]struct{})
	}
	s.scanners = s.chosen()
	return s, s.Know(o.Secrets...)
}

func levelsOf(p *policy.Gate) (l levels, err error) {
	for _, t := range []struct {
		field, name string
		to          *Severity
	}{{"redact", p.Redact, &l.redact}, {"quarantine", p.Quarantine, &l.quarantine}, {"block", p.Block, &l.block}} {
		if t.name == policy.Off {
			continue
		}
		if err := t.to.UnmarshalText([]byte(t.name)); err != nil {
			return l, fmt.Errorf("gate.%s: %w", t.field, err)
		}
	}
	return l, nil
}

// Off reports that the policy has nothing looked at.
func (s *Session) Off() bool { return s.policy.Mode == policy.GateOff }

// Collected reports that nothing is released before all of it has been looked at.
func (s *Session) Collected() bool { return s.policy.Mode == policy.GateCollected }

// Know adds values that must not leave: from now on, in all that is opened, and in what
// is open already where the session knew of some, or Options.Learns said that it would.
// Those that are known already cost nothing. The error matches ErrShort where one of them is too
// short; the others are known. After any other error, none is.
func (s *Session) Know(secrets ...Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	var all []Secret
	if s.known != nil {
		all = s.known.secrets
	}
	before := len(all)
	all = slices.Clip(all) // it is another's
	var short []string
	for _, secret := range secrets {
		switch {
		case len(secret.Value()) < MinSecret:
			short = append(short, secret.Name)
		case !slices.ContainsFunc(all, secret.is):
			all = append(all, secret)
		}
	}
	if len(all) > maxKnown {
		return fmt.Errorf("a sandbox knows %d secrets at most, and was given %d different ones; make a new one", maxKnown, len(all))
	}
	if len(all) > before {
		if err := s.know(all); err != nil {
			return err
		}
	}
	if len(short) > 0 {
		return fmt.Errorf("secrets %q: %w: they need %d bytes", short, ErrShort, MinSecret)
	}
	return nil
}

// maxKnown bounds the memory of what is looked for, some twenty forms of each: values of
// a source that change each time are never forgotten.
const maxKnown = 4096

// know has these looked for. Those of now are copied to where the others are: guards
// may look at the old set until their next piece.
func (s *Session) know(all []Secret) error {
	set, err := newKnownSet(all)
	if err != nil {
		return err
	}
	s.known.letGo()
	s.known = set
	return nil
}

// Close lets go of everything that the session knows. It is zeroed when nothing that
// was opened before is open any more: no stream of a command (Command.Finish ends
// them), no input of one, no file, no scanner that was late. What is opened after it
// withholds everything. It may be called again.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.known
	s.closed, s.known, s.scanners = true, nil, nil
	clear(s.input)
	known.letGo()
}

// chosen are the scanners that the policy asks for, and the caller's.
func (s *Session) chosen() []Scanner {
	var list []Scanner
	for _, sc := range Scanners() {
		if slices.Contains(s.policy.Scanners, sc.Name) {
			list = append(list, sc)
		}
	}
	return append(list, s.gate.Scanners...)
}

// Scanners are all that a policy can name.
func Scanners() []Scanner { return []Scanner{Secrets(), Personal(), Terminal(), Content()} }

// guard begins to look at a subject, with the scanners of now. It is to be closed.
func (s *Session) guard(subject Subject) guard {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return guard{failed: ErrClosed}
	}
	scanners := s.scanners
	var known *knowing
	if s.learns || s.known != nil {
		known = &knowing{s, s.known.hold()}
		scanners = append([]Scanner{known.scanner()}, scanners...)
	}
	subject.budget = newBudget()
	return guard{
		timeout: s.timeout, budget: subject.budget, known: known,
		open: func() Search { return newScan(subject, scanners) },
	}
}

// counts says how severe a match is under the policy; 0: it does not count. Text is
// what was matched; nil: it is not known.
func (s *Session) counts(m Match, text []byte) Severity {
	if m.Rule == KnownRule {
		return m.Severity
	}
	if slices.Contains(s.policy.Ignore, m.Rule) || text != nil && s.given(text) {
		return 0
	}
	return max(m.Severity, s.raised[m.Rule])
}

// given reports whether text was found in what the sandbox was given.
func (s *Session) given(text []byte) bool {
	if s.policy.Input != policy.InputAllowed {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.input[sha256.Sum256(text)]
	return ok
}

// maxGiven is how many matches of what a sandbox was given are remembered: those
// beyond count as any when they come out.
const maxGiven = 100_000

// remember notes what was found in what the sandbox was given, unless that may not come
// out all the same; nil: nobody knows.
func (s *Session) remember(m Match, text []byte) {
	if text == nil || m.Rule == KnownRule {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.input) < maxGiven && !s.closed {
		s.input[sha256.Sum256(text)] = struct{}{}
	}
}

// verdict is what the worst severity calls for.
func (l levels) verdict(worst Severity) Verdict {
	at := func(level Severity) bool { return level > 0 && worst >= level }
	switch {
	case at(l.block):
		return Block
	case at(l.quarantine):
		return Quarantined
	case at(l.redact):
		return Redact
	}
	return Pass
}

// Report is what the gate says of the output of a command, or of a file.
type Report struct {
	Verdict  Verdict
	Findings []Finding

	// More is how many findings of a rule there are beyond those that are told.
	// Nil: none.
	More map[string]int

	// Quarantine is where what was withheld is kept. Empty: it is not.
	Quarantine string

	// Failed says that scanners crashed, were late, or could not see all of it. The
	// verdict is quarantine or block then.
	Failed bool

	// Reason says why something was withheld: the worst finding, or what went wrong.
	// Empty: nothing was.
	Reason string
}

// Withheld reports whether something was not released.
func (r *Report) Withheld() bool { return r.Verdict == Quarantined || r.Verdict == Block }

// keepTimeout is how long keeping something may take: others may have the quarantine
// locked.
const keepTimeout = 30 * time.Second

// keep puts what is withheld into the quarantine, where the verdict says so and there
// is one.
func (s *Session) keep(ctx context.Context, r *Report, h Held, parts ...Part) {
	if r.Verdict != Quarantined {
		return
	}
	if s.gate.Quarantine == nil {
		r.Verdict = Block
		return
	}
	h.Sandbox, h.Verdict, h.Findings = s.sandbox, r.Verdict, r.Findings
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout) // who interrupts it wants it kept all the same
	defer cancel()
	id, err := s.gate.Quarantine.Keep(ctx, h, parts...)
	if err != nil {
		r.Verdict, r.Reason = Block, fmt.Sprintf("%s; it could not be kept: %v", r.Reason, err)
		return
	}
	r.Quarantine = id
}

// because says why a verdict is what it is.
func because(list []Finding, worst Severity) string {
	i := slices.IndexFunc(list, func(f Finding) bool { return f.Severity == worst })
	if i < 0 {
		return ""
	}
	f := list[i]
	return fmt.Sprintf("%s (%s) at byte %d of %s: %s", f.Rule, f.Severity, f.Offset, f.Stream, f.Preview)
}

// Rules are all rules of all scanners that a policy can name, by scanner, and of what
// they are looked into with.
func Rules() []Rule {
	list := []Rule{knownRule}
	for _, s := range Scanners() {
		list = append(list, s.Rules()...)
	}
	return append(list, unreadRule)
}
