package gate

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/kavach-dev/kavach/internal/locked"
)

// knownSet is every form of every value, in memory of its own, and does not change.
// That is zeroed and given back when nobody holds the set any more: neither who has
// made it, nor a guard whose searches look at it.
type knownSet struct {
	holders atomic.Int64
	memory  *locked.Arena // of all bytes below, also of the literals and entries of index
	*knownForms
}

// knownForms are behind one more pointer, as package fmt follows one where a verb is
// none that it knows, and heeds no Formatter then.
type knownForms struct {
	secrets []Secret
	index   *index
	forms   []knownForm // by literal
}

type knownForm struct {
	text []byte
	name string
	view string
	size int // of the value
}

// newKnownSet makes a set, which the caller holds, of values of MinSecret bytes or
// more. What it copies and writes is nowhere but in memory that is zeroed.
func newKnownSet(secrets []Secret) (*knownSet, error) {
	k := &knownSet{memory: locked.New(), knownForms: new(knownForms)}
	k.holders.Store(1)
	if err := k.make(secrets); err != nil {
		k.letGo()
		return nil, fmt.Errorf("a place for the secrets that are looked for: %w", err)
	}
	return k, nil
}

func (k *knownSet) make(secrets []Secret) error {
	f := former{set: k, memory: locked.New()}
	defer f.memory.Free()
	for _, s := range secrets {
		value, err := k.memory.Copy(s.Value())
		if err != nil {
			return err
		}
		s = NewSecret(s.Name, value)
		k.secrets = append(k.secrets, s)
		if err := f.add(s); err != nil {
			return err
		}
	}
	return k.makeIndex()
}

// makeIndex enters the forms. Entries hold the first bytes of them, so they are where
// the forms are, and must not have to grow.
func (k *knownSet) makeIndex() (err error) {
	const some = 32 // forms for which a small table is not crowded yet: about two values
	x := newIndex(len(k.forms) > some, MinSecret)
	if x.entry, err = locked.Slice[indexEntry](k.memory, len(k.forms)*x.stride); err != nil {
		return err
	}
	x.entry = x.entry[:0]
	for i := range k.forms {
		text, err := k.memory.Copy(k.forms[i].text)
		if err != nil {
			return err
		}
		fold(text)
		x.add(unsafe.String(unsafe.SliceData(text), len(text)), "", true)
	}
	k.index = x
	return nil
}

// hold has one more hold the set, which somebody holds already. Nil stays nil.
func (k *knownSet) hold() *knownSet {
	if k != nil {
		k.holders.Add(1)
	}
	return k
}

// letGo ends what newKnownSet or hold began. The last zeroes everything. What would
// still look at it then finds nothing to look with, and crashes: its guard withholds.
func (k *knownSet) letGo() {
	if k == nil || k.holders.Add(-1) > 0 {
		return
	}
	k.secrets, k.forms, k.index = nil, nil, nil
	k.memory.Free()
}
