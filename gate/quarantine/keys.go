package quarantine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"filippo.io/age"
)

const (
	keyFile        = "key.txt"        // as age-keygen writes it
	recipientsFile = "recipients.txt" // as age -R reads it
)

// maxKeys bounds a file of keys, in bytes.
const maxKeys = 1 << 20

const (
	othersMayWrite = 0o022
	othersMayRead  = 0o077
)

// Identities are what content is decrypted with.
type Identities []age.Identity

func (s *Store) openKeys() (*os.Root, error) {
	dir, err := orDefault(s.Keys, defaultKeys)
	if err != nil {
		return nil, err
	}
	return openOwn(dir, "the directory of the quarantine's key")
}

// recipients are whom to encrypt to: those in the file of recipients, else the
// owner of the key, which is made where there is none.
func (s *Store) recipients() ([]age.Recipient, error) {
	dir, err := s.openKeys()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	data, err := readKeys(dir.Open, recipientsFile, othersMayWrite, "chmod go-w it, after a look at what it says")
	switch {
	case err == nil:
		to, err := age.ParseRecipients(bytes.NewReader(data))
		if err != nil {
			return nil, refusef("write one age recipient a line, such as age1… of age-keygen; those of plugins and of SSH are not known here",
				"read %s of the quarantine: %v", recipientsFile, err)
		}
		return to, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	ids, err := identities(dir.Open, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		s.at("keyless")
		if err := s.makeKey(dir); err != nil {
			return nil, fmt.Errorf("make a key for the quarantine: %w", err)
		}
		ids, err = identities(dir.Open, keyFile) // which may be another's who was faster
	}
	if err != nil {
		return nil, err
	}
	return ids.recipients()
}

// Identities reads a file of keys, as age-keygen writes it. Empty: the key of the
// store, which is not there where only recipients are, or nothing was ever kept.
func (s *Store) Identities(file string) (Identities, error) {
	if file != "" {
		ids, err := identities(func(name string) (*os.File, error) { return os.Open(name) }, file)
		if errors.Is(err, fs.ErrNotExist) {
			err = refusef("name the file that age-keygen wrote", "there is no key %s", file)
		}
		return ids, err
	}
	dir, err := s.openKeys()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	ids, err := identities(dir.Open, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = refusef("name the file that has the key: --identity FILE", "there is no key in %s", dir.Name())
	}
	return ids, err
}

func identities(open func(string) (*os.File, error), name string) (Identities, error) {
	data, err := readKeys(open, name, othersMayRead, "chmod 600 it, and make a new key where others may have read it")
	if err != nil {
		return nil, err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		return nil, refusef("name a file that age-keygen wrote; one with a passphrase is decrypted first, with age -d",
			"read the key %s: %v", name, err)
	}
	return ids, nil
}

func readKeys(open func(string) (*os.File, error), name string, mask uint32, fix string) ([]byte, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := ownedAlone(f, mask, fix); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeys+1))
	if err == nil && len(data) > maxKeys {
		err = fmt.Errorf("%s is longer than %d bytes, and so no file of keys", name, maxKeys)
	}
	return data, err
}

// recipients are the public halves.
func (ids Identities) recipients() ([]age.Recipient, error) {
	var to []age.Recipient
	for _, id := range ids {
		switch id := id.(type) {
		case *age.X25519Identity:
			to = append(to, id.Recipient())
		case *age.HybridIdentity:
			to = append(to, id.Recipient())
		default:
			return nil, refusef("put its recipient into "+recipientsFile, "the quarantine's key is of a kind whose recipient is not known here")
		}
	}
	return to, nil
}

// makeKey makes the key of a store that has none. Of two who do at once, the
// second gets an error that says it is there, which is as good.
func (s *Store) makeKey(dir *os.Root) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	now := s.clock()
	draft := keyFile + "." + newID(now) + newSuffix
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", now.Format(time.RFC3339), id.Recipient(), id)
	err = writeFile(dir, draft, []byte(text))
	if err == nil {
		s.at("key written")
		err = renameNew(dir, draft, keyFile)
	}
	if err == nil {
		return syncIn(dir, ".")
	}
	_ = dir.Remove(draft) // else it is a key that nobody uses, which only its owner can read
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
