package credential

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/policy"
)

// Options are what a Set is opened with.
type Options struct {
	// Sandbox is the id of the sandbox.
	Sandbox string

	// Policy is that of the sandbox. Its commands may be given its Credentials. It must
	// not be nil.
	Policy *policy.Policy

	// Refs are more of them. Nil: none.
	Refs []Ref

	// Know is told what a command is to be given, by the names of the secrets, before it
	// is: what it does with it, it does before it returns. An error, and the command is
	// not started. Nil: nobody asks.
	Know func([]backend.Secret) error

	// Placeholders keeps the values of those that are given as placeholders. Nil: they
	// are refused.
	Placeholders Placeholders

	// Inherited are the descriptors of this program that a Source may be (fd:N; 0 is
	// stdin): it is read to its end, and its number leads to nothing from then on. Nil:
	// none, as a number may be anything that this program has open.
	Inherited []int
}

// Placeholders puts values in, where what a command sends leaves the sandbox, in the
// place of what the command has.
type Placeholders interface {
	// Hold keeps a value for a sandbox, and returns what its command is given instead,
	// which is no secret. The value is the caller's, who zeroes it. Release ends it.
	Hold(ctx context.Context, sandbox string, g Grant, value []byte) (placeholder string, release func() error, err error)
}

// ErrNoPlaceholders is returned where a secret is to be given as a placeholder, and
// nothing puts it in on the way out.
var ErrNoPlaceholders = fmt.Errorf("nothing here puts values in for placeholders on the way out: %w", errors.ErrUnsupported)

// Error says why a secret is not given. It never holds the value.
type Error struct {
	Name string // of the secret
	Err  error
	Fix  string // what to do; empty: Err says it, or nothing is known
}

func (e *Error) Error() string {
	s := fmt.Sprintf("secret %s: %v", e.Name, e.Err)
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// failed says of a secret what went wrong.
func failed(name string, err error) error {
	if advice, ok := err.(*Error); ok && advice.Name == "" { //nolint:errorlint // what is around it is not to be lost
		return &Error{Name: name, Err: advice.Err, Fix: advice.Fix}
	}
	return &Error{Name: name, Err: err}
}

// advise makes an error with what to do about it. Whose secret it is about, failed says.
func advise(fix, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Fix: fix}
}

// Set is the secrets of one sandbox, which Open makes. It may be used from many
// goroutines at once.
type Set struct {
	options Options
	refs    []Ref

	reading sync.Mutex // guards what follows
	kept    *locked.Arena
	read    map[string]*once // by Source: values that can be read but once, in kept; nil: closed
	over    chan struct{}    // closed then

	lending sync.Mutex // guards what follows
	leases  map[*Lease]struct{}
	stays   []func() error // what takes back what outlives its command
	closed  bool

	showing sync.Mutex     // guards what follows
	shown   map[string]int // by path: how many leases show a file
}

// Open looks whether the secrets can be given at all: the error is what is wrong with
// them, as *policy.FieldError, or an *Error. No value is read yet.
func Open(o Options) (*Set, error) {
	s := &Set{options: o, kept: locked.New(), read: make(map[string]*once), over: make(chan struct{}), leases: make(map[*Lease]struct{}), shown: make(map[string]int)}
	for _, c := range o.Policy.Credentials {
		s.refs = append(s.refs, Ref{Credential: c})
	}
	s.refs = append(s.refs, o.Refs...)
	list := make([]policy.Credential, len(s.refs))
	for i, ref := range s.refs {
		list[i] = ref.Credential
	}
	if err := policy.CheckCredentials(list, func(i int) bool { return s.refs[i].From != nil }, o.Policy.Filesystem.Mounts...); err != nil {
		return nil, err
	}
	for i := range s.refs {
		ref := &s.refs[i]
		if kind, _ := ref.Target(); kind == policy.CredentialPlaceholder && o.Placeholders == nil {
			return nil, &Error{ref.Name, ErrNoPlaceholders, "give it by another way (as env:VAR, stdin, fd:N, file:PATH)"}
		}
		ref.Credential = ref.Effective()
	}
	return s, nil
}

// Files are the paths of those that are given as files.
func (s *Set) Files() (paths []string) {
	for _, ref := range s.refs {
		if kind, path := ref.Target(); kind == policy.CredentialFile {
			paths = append(paths, path)
		}
	}
	return paths
}

// Grants are what a command is given that is to have those of these names. Nil: all
// there are. An error names what there is not.
func (s *Set) Grants(names []string) (grants []Grant, err error) {
	refs, err := s.chosen(names)
	for _, ref := range refs {
		grants = append(grants, ref.grant())
	}
	return grants, err
}

func (r *Ref) grant() Grant {
	return Grant{Name: r.Name, Source: r.Source, As: r.As, Lifetime: r.Lifetime}
}

func (s *Set) chosen(names []string) (refs []Ref, err error) {
	if names == nil {
		return s.refs, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(s.refs, func(r Ref) bool { return r.Name == name }) {
			return nil, fmt.Errorf("the sandbox has no secret %q; it has %s", name, s.names())
		}
	}
	for _, ref := range s.refs {
		if slices.Contains(names, ref.Name) {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

func (s *Set) names() string {
	if len(s.refs) == 0 {
		return "none"
	}
	var names []string
	for _, ref := range s.refs {
		names = append(names, ref.Name)
	}
	return strings.Join(names, ", ")
}

// Close lets go of the values that were kept, and revokes what leases there are: when
// the sandbox is gone, nobody may be waiting for its commands. What is being started is
// revoked when it has, as its values are read meanwhile. It may be called again.
func (s *Set) Close() {
	s.lending.Lock()
	s.closed = true
	leases, stays := slices.Collect(maps.Keys(s.leases)), s.stays
	s.lending.Unlock()
	for _, l := range leases {
		l.over()
	}
	for _, back := range stays {
		_ = back() // where it cannot be, it goes with the sandbox
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.read != nil {
		close(s.over)
	}
	s.read = nil
	s.kept.Free()
}

// remember keeps a lease for Close.
func (s *Set) remember(l *Lease) error {
	s.lending.Lock()
	defer s.lending.Unlock()
	if s.closed {
		return backend.ErrDestroyed
	}
	s.leases[l] = struct{}{}
	s.stays = append(s.stays, l.stays...)
	return nil
}

func (s *Set) forget(l *Lease) {
	s.lending.Lock()
	defer s.lending.Unlock()
	delete(s.leases, l)
}

// show shows a file, also where another lease does: its content is then what was read
// last.
func (s *Set) show(files backend.SecretFiles, path string, content []byte) error {
	s.showing.Lock()
	defer s.showing.Unlock()
	if err := files.Give(path, content); err != nil {
		return err
	}
	s.shown[path]++
	return nil
}

// hide ends one show: with the last, the file is gone.
func (s *Set) hide(files backend.SecretFiles, path string) error {
	s.showing.Lock()
	defer s.showing.Unlock()
	if s.shown[path]--; s.shown[path] > 0 {
		return nil
	}
	err := files.Take(path)
	if errors.Is(err, backend.ErrDestroyed) || errors.Is(err, os.ErrClosed) {
		return nil // it went with the sandbox
	}
	return err
}
