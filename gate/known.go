package gate

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
)

// KnownRule is the rule of what Known finds.
const KnownRule = "known-secret"

// MinSecret is how many bytes a secret must have so that it is surely found.
// Shorter ones are not looked for: they would be found everywhere.
const MinSecret = 8

// Secret is a value that must not leave. However it is printed, that is not shown: it
// is behind a pointer, which package fmt does not follow even where it heeds no
// Formatter (a verb that it does not know for a pointer).
type Secret struct {
	Name  string // what it is called in findings
	value *[]byte
}

// NewSecret is a secret of this name. The value stays where it is: it is the caller's.
func NewSecret(name string, value []byte) Secret { return Secret{name, &value} }

// Value is the value itself, not a copy.
func (s Secret) Value() []byte {
	if s.value == nil {
		return nil
	}
	return *s.value
}

// Format writes the name alone, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s=[secret]", s.Name) }

// MarshalText is the name alone, for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.Name + "=[secret]"), nil }

// is reports whether another secret is the same.
func (s Secret) is(other Secret) bool {
	return s.Name == other.Name && bytes.Equal(s.Value(), other.Value())
}

// Known looks for values that the sandbox was given: as they are, in base64 (at each
// of the three places of a group, standard and URL-safe), in hexadecimal, escaped as
// in URLs and in JSON, reversed, and each long line of a value of several. Values of
// less than MinSecret bytes are left out, and their names returned.
//
// The values are copied, into memory that is locked where it may be, and zeroed when
// the collector finds that the Scanner is forgotten. An error says that there is no
// such memory.
func Known(secrets []Secret) (s Scanner, short []string, err error) {
	long := slices.Clone(secrets)
	long = slices.DeleteFunc(long, func(s Secret) bool {
		if len(s.Value()) < MinSecret {
			short = append(short, s.Name)
			return true
		}
		return false
	})
	set, err := newKnownSet(long)
	if err != nil {
		return s, short, err
	}
	if len(set.forms) == 0 {
		return Scanner{Name: knownScanner, Version: "1", Rules: func() []Rule { return []Rule{knownRule} }}, short, nil
	}
	return (&knowing{set: set}).scanner(), short, nil
}

var knownRule = Rule{
	ID: KnownRule, Scanner: "known", Severity: Critical,
	Description: "A secret that the sandbox was given; whatever else is let out, it is not.",
	Match:       "the value itself, in base64, hexadecimal, URL and JSON escaping, reversed",
	Source:      "kavach",
}

// knowing is what one guard looks for: what its session knows, at each piece anew.
type knowing struct {
	session *Session  // nil: the set is all there ever is
	set     *knownSet // held; changed between two pieces only; nil: nothing is known yet
}

// refresh has the next piece, and all that follow, be looked at for what the session
// knows by now. What came before is no concern: nobody had it then.
func (k *knowing) refresh() {
	if k == nil || k.session == nil {
		return
	}
	k.session.mu.Lock()
	before, now := k.set, k.session.known
	if now == nil || now == before { // nil: it is closed, and what is open goes on
		k.session.mu.Unlock()
		return
	}
	k.set = now.hold()
	k.session.mu.Unlock()
	before.letGo()
}

func (k *knowing) letGo() {
	if k != nil {
		k.set.letGo()
	}
}

const knownScanner = "known"

func (k *knowing) scanner() Scanner {
	return Scanner{
		Name: knownScanner, Version: "1",
		Rules: func() []Rule { return []Rule{knownRule} },
		New:   func(Subject) Search { return &knownSearch{k} },
		hint:  func(data []byte) bool { return k.set != nil && k.set.hint(data) },
		lines: true,
	}
}

// hint reports whether there may be anything in data.
func (k *knownSet) hint(data []byte) bool {
	defer runtime.KeepAlive(k) // and its memory with it
	return holdsAny(k.index, data)
}

type knownSearch struct{ *knowing }

func (s *knownSearch) Next(w Window, found func(Match)) Hold {
	if s.set == nil {
		return None(w)
	}
	defer runtime.KeepAlive(s.set)
	s.set.index.find(w.Data, w.Fresh, func(literal, at int) {
		f := &s.set.forms[literal]
		if !bytes.Equal(w.Data[at:at+len(f.text)], f.text) {
			return // in another case
		}
		from := w.Start + int64(at)
		found(Match{
			Rule: KnownRule, Severity: Critical, Start: from, End: from + int64(len(f.text)),
			Preview: fmt.Sprintf("%s (%d bytes)", f.name, f.size), View: f.view,
		})
	})
	h := None(w)
	if w.End {
		return h
	}
	h.Keep = max(w.Start, h.Keep-int64(s.set.index.longest))
	soft, hard := s.set.partial(w.Data)
	h.Soft -= int64(soft)
	h.Hard -= int64(hard)
	return h
}

// partial is how many bytes at the end of data may be the beginning of a form, and
// how many are enough of one to wait for the rest.
func (k *knownSet) partial(data []byte) (soft, hard int) {
	const enough = 8
	tail := data[max(0, len(data)-k.index.longest+1):]
	for start, c := range tail {
		if 'A' <= c && c <= 'Z' {
			c |= lower
		}
		rest := tail[start:]
		for _, id := range k.index.begins[c] {
			text := k.forms[id].text
			if len(rest) >= len(text) || !bytes.Equal(rest, text[:len(rest)]) {
				continue
			}
			soft = max(soft, len(rest))
			if len(rest) >= min(enough, len(text)/2) {
				hard = max(hard, len(rest))
			}
		}
	}
	return soft, hard
}

func foldASCII(text []byte) []byte {
	text = slices.Clone(text)
	fold(text)
	return text
}

// fold makes ASCII letters lower case.
func fold(text []byte) {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c | lower
		}
	}
}
