// Package quarantine keeps what a gate has withheld, encrypted, until a named
// person approves or rejects it.
//
// A Store is a directory of the user's own. Each item in it is a directory with a
// record, which anybody who may enter can read, and a file in the format of age
// (age-encryption.org/v1) for each part, which takes the key.
//
// What this package does not protect: the user from programs of the same user that
// are in no sandbox. Where the key is kept beside the store, they can read both;
// and whoever may write to the store can delete items, or replace one whole,
// journal included. Records are not encrypted: where something was found, and
// the first bytes of it, stand in them.
package quarantine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kavach-dev/kavach/gate"
)

const (
	// MaxItem is what one item may hold, in bytes as they are stored.
	MaxItem = 1 << 30

	// MaxTotal is what all items of a store may hold, those that are being
	// written included.
	MaxTotal = 4 << 30

	// MaxItems is how many items a store may have: a program that has each of a
	// million commands withheld takes no disk, and all of the inodes. Adding up
	// what so many hold takes 0.15 s.
	MaxItems = 4096

	// Retention is how long content waits for somebody to decide, before it may
	// be purged unasked; and how long records of what was decided stay.
	Retention = 30 * 24 * time.Hour
)

// ErrNotFound is that of an id which no item of the store has.
var ErrNotFound = errors.New("there is no such item in the quarantine")

// Error is a refusal: what is wrong, and what can be done about it.
type Error struct {
	Problem string
	Fix     string
	Err     error // which kind it is; nil: no kind in particular
}

func (e *Error) Error() string { return e.Problem + "; " + e.Fix }
func (e *Error) Unwrap() error { return e.Err }

func refusef(fix, format string, args ...any) error {
	return &Error{Problem: fmt.Sprintf(format, args...), Fix: fix}
}

// Store is a quarantine. Its zero value is that of the user who asks. Nothing is
// done on disk before it is used, and any number of programs can use one at once.
type Store struct {
	// Dir is where items are. Empty: what KAVACH_QUARANTINE_DIR names, else
	// /var/lib/kavach/quarantine for root, and kavach/quarantine in
	// $XDG_STATE_HOME or ~/.local/state for others.
	Dir string

	// Keys is where the key is, key.txt, or the recipients to encrypt to,
	// recipients.txt. Empty: what KAVACH_QUARANTINE_KEYS names, else
	// /etc/kavach/quarantine for root, and kavach/quarantine in $XDG_CONFIG_HOME
	// or ~/.config for others.
	Keys string

	// Journal is told of each act before it happens, beside the journal of the
	// store, one at a time; an error refuses the act. Nil: nobody else is told.
	Journal func(Entry) error

	// limits are smaller in tests; zero is what the constants say.
	limits limits

	// now is the clock; nil: the machine's.
	now func() time.Time

	// step is called between the steps of an act; nil: not.
	step func(name string)
}

var _ gate.Quarantine = (*Store)(nil)

func (s *Store) clock() time.Time {
	if s.now != nil {
		return s.now().UTC()
	}
	return time.Now().UTC()
}

func (s *Store) at(step string) {
	if s.step != nil {
		s.step(step)
	}
}

// Prepare makes the directories of the store and of its keys, where they are
// missing. A sandbox is shown no directory that is there when it is made: so
// whoever may have something to keep calls this before.
func (s *Store) Prepare() error {
	d, err := s.open()
	if err != nil {
		return err
	}
	d.close()
	keys, err := s.openKeys()
	if err != nil {
		return err
	}
	return keys.Close()
}

// Get returns the item whose id begins with prefix, where there is one such.
func (s *Store) Get(ctx context.Context, prefix string) (Record, error) {
	d, err := s.open()
	if err != nil {
		return Record{}, err
	}
	defer d.close()
	id, err := d.resolve(prefix)
	if err != nil {
		return Record{}, err
	}
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	return d.read(id)
}
