package quarantine

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"
)

// Purge says what to remove. Its zero value is what is older than Retention.
type Purge struct {
	// IDs are the items; none: all that are old enough.
	IDs []string

	// Older is how long ago items were decided, or kept. Zero: Retention, and with
	// IDs any time. What nobody has decided stays for Retention in any case,
	// unless it is forced.
	Older time.Duration

	// Force removes what waits for a decision, too, and items whose record is
	// damaged.
	Force bool
}

// Gone is what Purge did.
type Gone struct {
	Purged  []string `json:"purged"`  // ids
	Waiting int      `json:"waiting"` // how many are old enough, and wait for a decision
}

// Purge removes items: content, and record. What remains is in the journal. It
// also finishes what somebody who died has begun.
func (s *Store) Purge(ctx context.Context, p Purge) (Gone, error) {
	gone := Gone{Purged: []string{}}
	if p.Older < 0 {
		return gone, refusef("write how long ago, such as 720h", "nothing is %s old", p.Older)
	}
	d, err := s.open()
	if err != nil {
		return gone, err
	}
	defer d.close()
	unlock, err := d.lock(ctx)
	if err != nil {
		return gone, err
	}
	defer unlock()
	d.sweep()
	list, damaged, err := d.records(ctx)
	if err != nil {
		return gone, err
	}
	if len(p.IDs) > 0 {
		return gone, s.purgeNamed(d, p, list, damaged, &gone)
	}
	if p.Older == 0 {
		p.Older = Retention
	}
	errs := []error{d.finish(list)}
	for _, rec := range list {
		if s.clock().Sub(rec.since()) < p.Older {
			continue
		}
		if rec.check(Purged, s.free(&rec, p)) != nil {
			gone.Waiting++
			continue
		}
		errs = append(errs, s.remove(d, rec.ID, rec.State, &gone))
	}
	for id, err := range damaged {
		if p.Force {
			err = s.remove(d, id, "", &gone)
		}
		errs = append(errs, err)
	}
	return gone, errors.Join(errs...)
}

// purgeNamed removes those that were named, and goes on where one cannot be.
func (s *Store) purgeNamed(d *disk, p Purge, list []Record, damaged map[string]error, gone *Gone) error {
	known := make(map[string]*Record)
	for i := range list {
		known[list[i].ID] = &list[i]
	}
	var errs []error
	for _, prefix := range p.IDs {
		id, err := d.resolve(prefix)
		rec := known[id]
		switch {
		case err != nil:
		case rec == nil && p.Force:
			err = s.remove(d, id, "", gone)
		case rec == nil:
			err = damaged[id]
		case s.clock().Sub(rec.since()) < p.Older:
			err = refusef("leave --older out", "item %s is not that old", id)
		default:
			if err = rec.check(Purged, s.free(rec, p)); err == nil {
				err = s.remove(d, id, rec.State, gone)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// since is when an item got into its state.
func (r *Record) since() time.Time {
	if r.Decided != nil {
		return r.Decided.Time
	}
	return r.Kept
}

// free reports whether an item that nobody has decided may go.
func (s *Store) free(r *Record, p Purge) bool {
	return p.Force || s.clock().Sub(r.Kept) >= Retention
}

// remove takes an item away, whole, and then its files. The store is locked.
func (s *Store) remove(d *disk, id string, from State, gone *Gone) error {
	done, err := s.note(d, Entry{Act: ActPurge, ID: id, From: from})
	if err != nil {
		return err
	}
	away := path.Join(stagingDir, id)
	err = d.root.Rename(path.Join(itemsDir, id), away)
	if err == nil {
		err = errors.Join(d.sync(itemsDir), d.sync(stagingDir))
	}
	if err != nil {
		return done(fmt.Errorf("purge item %s: %w", id, err))
	}
	s.at("away")
	gone.Purged = append(gone.Purged, id)
	return d.root.RemoveAll(away) // what stays is swept by the next
}
