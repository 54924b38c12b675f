package credential

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/policy"
)

// Command is what a lease is for.
type Command struct {
	// Names are the secrets that it is given. Nil: all of the set.
	Names []string

	// Cmd is what it will be started as: what it is given is added to it.
	Cmd *backend.Cmd

	// Stdin says that something else is on its standard input, or that it has a
	// terminal, which shows what is typed.
	Stdin bool

	// Files shows it files in memory. Nil: the backend has none.
	Files backend.SecretFiles
}

// Lease is what one command was given, which Attach makes. Its methods may be called at
// once.
type Lease struct {
	forget  func()
	arena   *locked.Arena
	pipes   sync.WaitGroup // who writes from arena
	grants  []Grant
	returns []func() error // what takes each back; more than once does nothing
	stays   []func() error // what takes back what outlives the command
	expire  []expiry       // those that are taken back after a time

	mu      sync.Mutex    // guards what follows
	timers  []*time.Timer // of expire, once the command has started
	started bool          // nobody but the pipes reads from arena any more
	late    bool          // the sandbox ended before that
	revoked bool
}

type expiry struct {
	after time.Duration
	back  func() error
}

// Attach reads the secrets that a command is given, makes them known, and adds them to
// the command. Where it fails, with an *Error as a rule, nothing is left of them; with
// backend.ErrDestroyed, the set was closed.
func (s *Set) Attach(ctx context.Context, c Command) (_ *Lease, err error) {
	refs, err := s.chosen(c.Names)
	if err != nil {
		return nil, err
	}
	l := &Lease{arena: locked.New()}
	l.forget = func() { s.forget(l) }
	defer func() {
		if err == nil {
			err = s.remember(l)
		}
		if err != nil {
			l.returns = append(l.returns, l.stays...)
			err = errors.Join(err, l.Revoke())
		}
	}()
	if len(refs) == 0 {
		return l, nil
	}
	large := locked.New()
	defer large.Free()
	room, err := large.Alloc(backend.MaxSecret + 1)
	if err != nil {
		return nil, err
	}
	values := make([]backend.Secret, len(refs))
	for i := range refs {
		if values[i], err = l.read(ctx, s, &refs[i], &c, room); err != nil {
			return nil, failed(refs[i].Name, err)
		}
	}
	if s.options.Know != nil { // of all at once, before the first is given
		if err := s.options.Know(values); err != nil {
			return nil, err
		}
	}
	for i := range refs {
		if err := l.add(ctx, s, &refs[i], &c, values[i].Value()); err != nil {
			return nil, failed(refs[i].Name, err)
		}
		l.grants = append(l.grants, refs[i].grant())
	}
	return l, nil
}

// read reads one secret, as the command can be given it.
func (l *Lease) read(ctx context.Context, s *Set, ref *Ref, c *Command, room []byte) (v backend.Secret, err error) {
	kind, _ := ref.Target()
	if kind == policy.CredentialStdin && c.Stdin {
		return v, advise("give it by another way, or run the command without its own", "it is to be the command's standard input, which is something else already")
	}
	value, err := s.value(ctx, ref, l.arena, room)
	if err != nil {
		return v, err
	}
	value, err = fit(value, ref, kind)
	return backend.NewSecret(ref.Name, value), err
}

// add gives one secret.
func (l *Lease) add(ctx context.Context, s *Set, ref *Ref, c *Command, value []byte) error {
	back, err := l.hand(ctx, s, ref, c, value)
	if err != nil || back == nil {
		return err
	}
	back = sync.OnceValue(back)
	if ref.Lifetime == policy.LifetimeSandbox {
		l.stays = append(l.stays, back)
		return nil
	}
	l.returns = append(l.returns, back)
	if d, ends := ref.Expires(); ends {
		l.expire = append(l.expire, expiry{d, back})
	}
	return nil
}

// hand gives a value in the way that it is to be given, and returns what takes it
// back; nil: nothing does, as an environment cannot be changed.
func (l *Lease) hand(ctx context.Context, s *Set, ref *Ref, c *Command, value []byte) (back func() error, err error) {
	switch kind, target := ref.Target(); kind {
	case policy.CredentialEnv:
		c.Cmd.Secrets = append(c.Cmd.Secrets, backend.NewSecret(target, value))
		return nil, nil
	case policy.CredentialStdin:
		c.Cmd.Stdin, back, err = l.pipe(value)
		return back, err
	case policy.CredentialFD:
		fd, err := strconv.Atoi(target)
		if err != nil {
			return nil, err
		}
		r, back, err := l.pipe(value)
		if err == nil {
			c.Cmd.Files = insert(c.Cmd.Files, backend.Descriptor{FD: fd, File: r})
		}
		return back, err
	case policy.CredentialFile:
		if c.Files == nil {
			return nil, advise("give it by another way (as env:VAR, stdin, fd:N)", "this backend shows no files that are in memory only: %w", errors.ErrUnsupported)
		}
		return func() error { return s.hide(c.Files, target) }, s.show(c.Files, target, value)
	case policy.CredentialPlaceholder:
		instead, release, err := s.options.Placeholders.Hold(ctx, s.options.Sandbox, ref.grant(), value)
		if err == nil {
			others := slices.DeleteFunc(slices.Clone(c.Cmd.Env), func(kv string) bool { return strings.HasPrefix(kv, target+"=") })
			c.Cmd.Env = append(others, target+"="+instead)
		}
		return release, err
	}
	return nil, fmt.Errorf("as %s: there is no such way", ref.As)
}

// insert keeps descriptors in the order of their numbers.
func insert(list []backend.Descriptor, d backend.Descriptor) []backend.Descriptor {
	i := len(list)
	for i > 0 && list[i-1].FD > d.FD {
		i--
	}
	list = append(list, d)
	copy(list[i+1:], list[i:])
	list[i] = d
	return list
}

// Grants are what the command was given, in the order of the set.
func (l *Lease) Grants() []Grant { return l.grants }

// Started is called when the command has been started, or could not be: what it was
// given is its own by then, and the values are zeroed as soon as nothing is written
// from them. The time of what is given for a time begins: before that, what would be
// taken back is in the hands of who starts the command.
func (l *Lease) Started() {
	l.mu.Lock()
	l.started = true
	for _, e := range l.expire {
		if !l.revoked {
			l.timers = append(l.timers, time.AfterFunc(e.after, func() { _ = e.back() })) // Revoke says what is wrong
		}
	}
	late := l.late
	l.mu.Unlock()
	go func() {
		if late {
			_ = l.Revoke() // of a sandbox that is gone
		}
		l.pipes.Wait()
		l.arena.Free()
	}()
}

// over revokes what a sandbox leaves that is gone.
func (l *Lease) over() {
	l.mu.Lock()
	l.late = !l.started
	late := l.late
	l.mu.Unlock()
	if !late {
		_ = l.Revoke() // its files went with it
	}
}

// Revoke takes back what can be taken back, and zeroes the values. It may be called
// again.
func (l *Lease) Revoke() error {
	l.mu.Lock()
	l.revoked = true
	for _, t := range l.timers {
		t.Stop()
	}
	l.mu.Unlock()
	l.forget()
	var all []error
	for _, back := range l.returns {
		all = append(all, back())
	}
	l.pipes.Wait()
	l.arena.Free()
	return errors.Join(all...)
}
