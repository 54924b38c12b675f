package quarantine

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kavach-dev/kavach/gate"
)

// recordVersion is that of the form which records have. Another one is refused:
// it was written by a kavach that knows more.
const recordVersion = 1

// maxRecord bounds a record, in bytes: some 100,000 findings. What has more is not
// kept, and so is blocked.
const maxRecord = 16 << 20

// maxText bounds the name and the reason of a decision, in bytes.
const maxText = 200

// Record is what is known of an item. It is not encrypted.
type Record struct {
	Version int        `json:"version"`
	ID      string     `json:"id"`
	State   State      `json:"state"`
	Kept    time.Time  `json:"kept"`
	Held    gate.Held  `json:"held"`
	Parts   []KeptPart `json:"parts"`
	Decided *Decided   `json:"decided,omitempty"` // nil: nobody has
}

// KeptPart is one stream of an item.
type KeptPart struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // of the content

	// Stored and SHA256 are of the encrypted file: the digest of a short secret
	// could be guessed from.
	Stored int64  `json:"stored"`
	SHA256 string `json:"sha256"`
}

func (p KeptPart) file() string { return p.Name + ageSuffix }

// Decision is who decides, and why: each a line of at most 200 bytes.
type Decision struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// Decided is a decision that was made, with what is known of the one who made it
// beside the name that was given.
type Decided struct {
	Decision
	Time time.Time `json:"time"`
	Caller
	Released []string `json:"released,omitempty"` // "stdout to /path" for each part
}

// Caller is the user as the kernel knows it.
type Caller struct {
	UID      int     `json:"uid"`
	LoginUID *uint32 `json:"login_uid,omitempty"` // who logged in, whatever the uid is now; nil: not known
}

func (d Decision) check() error {
	for _, f := range []struct{ name, text string }{{"name", d.By}, {"reason", d.Reason}} {
		blank := true
		for _, r := range f.text {
			blank = blank && unicode.IsSpace(r)
			if !unicode.IsPrint(r) {
				return refusef("write one line of text", "the %s of a decision holds %q, which does not print", f.name, r)
			}
		}
		switch {
		case blank:
			return refusef("say who decides (--by NAME) and why (--reason TEXT)", "a decision needs a %s", f.name)
		case len(f.text) > maxText || !utf8.ValidString(f.text):
			return refusef(fmt.Sprintf("write at most %d bytes of UTF-8", maxText), "the %s of a decision is too long, or not UTF-8", f.name)
		}
	}
	return nil
}

func (r *Record) encode() ([]byte, error) {
	data, err := json.Marshal(r)
	if err == nil && len(data) > maxRecord {
		err = fmt.Errorf("%d findings are more than a record holds (%d bytes)", len(r.Held.Findings), maxRecord)
	}
	return data, err
}

// decodeRecord reads a record as a stranger's: it is refused unless all of it is
// as encode writes it.
func decodeRecord(data []byte) (Record, error) {
	var r Record
	if len(data) > maxRecord {
		return r, fmt.Errorf("it is longer than %d bytes", maxRecord)
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return r, err
	}
	if version.Version != recordVersion {
		return r, fmt.Errorf("it is of version %d, and this kavach knows version %d", version.Version, recordVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Record{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Record{}, errors.New("something follows it")
	}
	if err := r.valid(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// valid says what is wrong with a record, in itself.
func (r *Record) valid() error {
	switch {
	case !isID(r.ID):
		return fmt.Errorf("%q is no id", r.ID)
	case !slices.Contains(States(), r.State):
		return fmt.Errorf("an item cannot be %q", r.State)
	case r.Kept.IsZero():
		return errors.New("it does not say since when")
	case (r.State == Held) != (r.Decided == nil):
		return fmt.Errorf("it is %s, and whether somebody decided says otherwise", r.State)
	case r.Held.Exec < 0:
		return fmt.Errorf("there is no command %d", r.Held.Exec)
	}
	if r.Decided != nil {
		if err := r.Decided.check(); err != nil {
			return err
		}
	}
	for _, f := range r.Held.Findings {
		if f.Offset < 0 || f.Length < 0 || f.Released < 0 || f.Offset > math.MaxInt64-f.Length {
			return fmt.Errorf("finding %q is nowhere: %d bytes at %d", f.Rule, f.Length, f.Offset)
		}
	}
	return validParts(r.Parts)
}

// partNames are those that a part can have, as gate.Part says. They become names
// of files.
func partNames() []string { return []string{"stdout", "stderr", "memory", "file"} }

func validParts(parts []KeptPart) error {
	if len(parts) == 0 {
		return errors.New("it has no parts")
	}
	for i, p := range parts {
		sum, err := hex.DecodeString(p.SHA256)
		switch {
		case !slices.Contains(partNames(), p.Name):
			return fmt.Errorf("there is no part %q", p.Name)
		case slices.ContainsFunc(parts[:i], func(other KeptPart) bool { return other.Name == p.Name }):
			return fmt.Errorf("it has two parts %q", p.Name)
		case p.Bytes < 0 || p.Stored < p.Bytes:
			return fmt.Errorf("part %q has %d bytes, and %d when it is encrypted", p.Name, p.Bytes, p.Stored)
		case err != nil || len(sum) != 32:
			return fmt.Errorf("part %q has no digest", p.Name)
		}
	}
	return nil
}
