package quarantine

import (
	"context"
	"errors"
	"fmt"
	"path"
)

// move changes the state of an item. The store is locked from before the state is
// looked at until the new one is on disk; the content follows after that.
func (s *Store) move(ctx context.Context, d *disk, id string, e Entry, to State, by Decision, released []string) (Record, error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	rec, err := d.read(id)
	if err != nil {
		return Record{}, err
	}
	if err := rec.check(to, false); err != nil {
		return rec, err
	}
	e.ID, e.From, e.By, e.Reason, e.Parts = id, rec.State, by.By, by.Reason, released
	done, err := s.note(d, e)
	if err != nil {
		return rec, err
	}
	was := rec
	rec.State = to
	rec.Decided = &Decided{Decision: by, Time: s.clock(), Caller: thisCaller(), Released: released}
	if err := d.writeRecord(path.Join(itemsDir, id), &rec); err != nil {
		return was, done(fmt.Errorf("record that item %s is %s: %w", id, to, err))
	}
	s.at("recorded")
	return rec, nil
}

// Reject deletes the content of an item, for good. The record stays until it is
// purged.
func (s *Store) Reject(ctx context.Context, id string, by Decision) (Record, error) {
	if err := by.check(); err != nil {
		return Record{}, err
	}
	d, err := s.open()
	if err != nil {
		return Record{}, err
	}
	defer d.close()
	rec, err := s.move(ctx, d, id, Entry{Act: ActReject}, Rejected, by, nil)
	if err != nil {
		return rec, err
	}
	if err := d.empty(id); err != nil {
		return rec, fmt.Errorf("item %s is rejected, and its content could not be deleted: %w", id, err)
	}
	return rec, nil
}

// Approve lets content out, once: each release says which part, and where to.
// Everything that can fail is done before: the content is decrypted to its end,
// and, where it becomes a file, written beside its place. Then the decision is
// recorded, then it is released. Where the machine dies between the two, the item
// is approved, and Reveal has the content until it is purged.
func (s *Store) Approve(ctx context.Context, id string, by Decision, ids Identities, out ...Release) (Record, error) {
	if err := by.check(); err != nil {
		return Record{}, err
	}
	d, err := s.open()
	if err != nil {
		return Record{}, err
	}
	defer d.close()
	rec, err := d.read(id)
	if err != nil {
		return rec, err
	}
	if err := rec.check(Approved, false); err != nil {
		return rec, err
	}
	ready, err := d.prepare(ctx, &rec, ids, out)
	defer ready.close()
	if err != nil {
		return rec, err
	}
	s.at("prepared")
	if rec, err = s.move(ctx, d, id, Entry{Act: ActApprove}, Approved, by, ready.names()); err != nil {
		return rec, err
	}
	if err := ready.release(); err != nil {
		return rec, fmt.Errorf("item %s is approved, and was not released whole; kavach quarantine show --reveal has its content until it is purged: %w", id, err)
	}
	return rec, nil
}

var errNoRelease = errors.New("approve it: nothing says where the content is to go")
