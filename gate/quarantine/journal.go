package quarantine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Act is what is done with an item.
type Act string

// All acts. Looking at records, and at content that is masked, is none.
const (
	ActKeep    Act = "keep"
	ActReveal  Act = "reveal" // content was shown as it is, and nothing decided
	ActApprove Act = "approve"
	ActReject  Act = "reject"
	ActPurge   Act = "purge"
)

// Entry is a line of the journal: what is about to be done, by whom. It is written
// before the act; where that fails then, another entry says so.
type Entry struct {
	Time time.Time `json:"time"`
	Act  Act       `json:"act"`
	ID   string    `json:"id"`
	Caller
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`

	From    State    `json:"from,omitempty"`    // the state before; empty: it is new, or its record is damaged
	Sandbox string   `json:"sandbox,omitempty"` // of keep, as is the next
	Path    string   `json:"path,omitempty"`
	Parts   []string `json:"parts,omitempty"` // of reveal and approve: which, and where to
	Failed  string   `json:"failed,omitempty"`
}

// note tells of an act before it happens. The store is locked. What it returns is
// called with the error of the act.
func (s *Store) note(d *disk, e Entry) (done func(error) error, err error) {
	e.Time, e.Caller = s.clock(), thisCaller()
	if err := s.tell(d, e); err != nil {
		return nil, fmt.Errorf("%s item %s: it could not be recorded, so it was not done: %w", e.Act, e.ID, err)
	}
	s.at("noted")
	return func(err error) error {
		if err == nil {
			return nil
		}
		e.Time, e.Failed = s.clock(), err.Error()
		return errors.Join(err, s.tell(d, e))
	}, nil
}

func (s *Store) tell(d *disk, e Entry) error {
	if s.Journal != nil {
		if err := s.Journal(e); err != nil {
			return err
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return d.append(append(line, '\n'))
}

// append adds a line to the journal, whole or not at all.
func (d *disk) append(line []byte) error {
	f, err := d.root.OpenFile(journalFile, os.O_RDWR|os.O_CREATE|os.O_APPEND, private)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if end == 0 {
		err = d.self.Sync() // it may be new
	} else if last := make([]byte, 1); err == nil {
		// A machine that lost its power may have left half a line, which stays.
		if _, err = f.ReadAt(last, end-1); !bytes.Equal(last, []byte("\n")) {
			line = append([]byte("\n"), line...)
		}
	}
	if err == nil {
		_, err = f.Write(line)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	return nil
}
