package quarantine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/kavach-dev/kavach/gate"
)

// TestFormat decrypts what was kept with nothing but age and the key file.
func TestFormat(t *testing.T) {
	s, dir := newStore(t)
	big := strings.Repeat("0123456789abcdef", 20_000) // several chunks
	id := keep(t, s, withheld(), "stdout", output, "stderr", big, "memory", "")
	text, err := os.ReadFile(filepath.Join(dir, "keys", "key.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil || !strings.Contains(string(text), "# public key: age1") {
		t.Fatalf("not as age-keygen writes it: %v\n%s", err, text)
	}
	for name, want := range map[string]string{"stdout": output, "stderr": big, "memory": ""} {
		f, err := os.Open(filepath.Join(dir, "store", "items", id, name+".age"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := age.Decrypt(f, ids...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(want))
		}
	}
	rec, err := s.Get(t.Context(), id[:idLen-1])
	if err != nil || rec.State != Held || len(rec.Parts) != 3 || rec.Parts[1].Bytes != int64(len(big)) {
		t.Errorf("record %+v, %v", rec, err)
	}
	filesArePrivate(t, dir)
}

// filesArePrivate fails where others may read something, or the secret is in it.
func filesArePrivate(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		if d.Type().IsRegular() {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s has the secret in it", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeepRefuses(t *testing.T) {
	part := func(name string) gate.Part { return gate.Part{Name: name, Content: strings.NewReader(output)} }
	failing := gate.Part{Name: "stdout", Content: io.MultiReader(strings.NewReader(output), failingReader{})}
	tests := []struct {
		parts  []gate.Part
		limits limits
		want   string
		why    string
	}{
		{[]gate.Part{part("stdout")}, limits{}, "", "the plain case"},
		{nil, limits{}, "no parts", "nothing"},
		{[]gate.Part{part("../../x")}, limits{}, "no such part", "a name that is a path"},
		{[]gate.Part{part("stdout"), part("stdout")}, limits{}, "exists", "the same twice"},
		{[]gate.Part{failing}, limits{}, "the pipe broke", "content that cannot be read"},
		{[]gate.Part{part("stdout")}, limits{item: 100}, "at most 100 bytes", "more than an item may have"},
		{[]gate.Part{part("stdout")}, limits{item: 400}, "at most 400 bytes", "its record is part of an item"},
		{[]gate.Part{part("stdout")}, limits{total: 500}, "is full", "the store has more than it may already"},
		{[]gate.Part{part("stdout")}, limits{total: 1000}, "is full", "more than the store may have"},
		{[]gate.Part{part("stdout")}, limits{items: 1}, "has 1 items", "too many items"},
	}
	for _, tt := range tests {
		s, dir := newStore(t)
		keep(t, s, withheld())
		s.limits = tt.limits
		_, err := s.Keep(t.Context(), withheld(), tt.parts...)
		problem(t, tt.why, err, tt.want)
		left, err := os.ReadDir(filepath.Join(dir, "store", stagingDir))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %d things are left, %v", tt.why, len(left), err)
		}
		if list, err := s.List(t.Context()); err != nil || len(list) != 1+len(tt.parts) && tt.want == "" || len(list) != 1 && tt.want != "" {
			t.Errorf("%s: %d items, %v", tt.why, len(list), err)
		}
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the pipe broke") }

func TestKeepIsStopped(t *testing.T) {
	s, _ := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := s.Keep(ctx, withheld(), gate.Part{Name: "stdout", Content: forEver{}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it was stopped: %v", err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%d items, %v", len(list), err)
	}
}

// TestRoomIsSharedByWriters: items that are being written count.
func TestRoomIsSharedByWriters(t *testing.T) {
	s, _ := newStore(t)
	const each = 2 * lookEvery
	s.limits = limits{total: 3 * lookEvery}
	r, w := io.Pipe()
	errs := make(chan error)
	go func() {
		_, err := s.Keep(context.Background(), withheld(), gate.Part{Name: "stdout", Content: r})
		errs <- err
	}()
	if _, err := io.CopyN(w, forEver{}, each); err != nil {
		t.Fatal(err)
	}
	_, err := s.Keep(t.Context(), withheld(), gate.Part{Name: "stdout", Content: io.LimitReader(forEver{}, each)})
	problem(t, "the second writer", err, "is full")
	w.Close()
	if err := <-errs; err != nil {
		t.Errorf("the first writer: %v", err)
	}
}

func TestRecipients(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s, dir := newStore(t)
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "keys", "recipients.txt")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("# the operator's\n"+id.Recipient().String()+"\n", 0o644)
	kept := keep(t, s, withheld())
	if _, err := os.Stat(filepath.Join(dir, "keys", "key.txt")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made beside the recipients: %v", err)
	}
	_, err = s.Identities("")
	problem(t, "the key is elsewhere", err, "--identity FILE")
	key := filepath.Join(dir, "elsewhere")
	if err := os.WriteFile(key, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ids, err := s.Identities(key)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := s.Approve(t.Context(), kept, ann, ids, Release{Part: "stdout", To: &b}); err != nil || b.String() != output {
		t.Errorf("with the operator's key: %q, %v", b.String(), err)
	}
	part := gate.Part{Name: "stdout", Content: strings.NewReader(output)}
	for _, tt := range []struct {
		text string
		mode os.FileMode
		want string
		why  string
	}{
		{id.Recipient().String(), 0o664, "open to others", "others may write it"},
		{"ssh-ed25519 AAAA", 0o600, "not known here", "another kind"},
		{"", 0o600, "read recipients.txt", "nobody"},
	} {
		write(tt.text, tt.mode)
		_, err := s.Keep(t.Context(), withheld(), part)
		problem(t, tt.why, err, tt.want)
	}
}

// TestKeyIsMadeOnce: of several who find none, each encrypts to the one that stays.
func TestKeyIsMadeOnce(t *testing.T) {
	s, dir := newStore(t)
	const writers = 8
	var met sync.WaitGroup
	met.Add(writers)
	s.step = func(name string) {
		if name == "keyless" {
			met.Done()
			met.Wait()
		}
	}
	ids, errs := make(chan string, writers), make(chan error, writers)
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	for range writers {
		go func() {
			id, err := s.Keep(context.Background(), withheld(), gate.Part{Name: "stdout", Content: strings.NewReader(output)})
			ids <- id
			errs <- err
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for range writers {
		if text, err := reveal(s, <-ids, "stdout"); err != nil || text != output {
			t.Errorf("%q, %v", text, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "keys")); err != nil || len(left) != 1 {
		t.Errorf("%v is beside the key, %v", left, err)
	}
}

func TestKeyOpenToOthers(t *testing.T) {
	s, dir := newStore(t)
	keep(t, s, withheld())
	file := filepath.Join(dir, "keys", "key.txt")
	for _, tt := range []struct {
		mode os.FileMode
		want string
		why  string
	}{
		{0o600, "", "the plain case"}, {0o400, "", "read-only"},
		{0o640, "open to others", "a group may read it"}, {0o602, "open to others", "everybody may write it"},
	} {
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		_, err := s.Identities("")
		problem(t, tt.why, err, tt.want)
		_, err = s.Identities(file)
		problem(t, tt.why+", by name", err, tt.want)
		_, err = s.Keep(t.Context(), withheld(), gate.Part{Name: "stdout", Content: strings.NewReader(output)})
		problem(t, tt.why+", to keep", err, tt.want)
	}
}

// TestDirectories: a store is nobody else's, and at no link.
func TestDirectories(t *testing.T) {
	for _, which := range []string{"store", "keys"} {
		tests := []struct {
			spoil func(dir string) error
			want  string
			why   string
		}{
			{func(string) error { return nil }, "", "the plain case"},
			{func(dir string) error { return os.Chmod(dir, 0o755) }, "can be entered by others", "others may look"},
			{func(dir string) error {
				return errors.Join(os.Rename(dir, dir+".real"), os.Symlink(dir+".real", dir))
			}, "open the ", "a link"},
			{func(dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, "everybody may write", "others may exchange it"},
		}
		for _, tt := range tests {
			s, dir := newStore(t)
			keep(t, s, withheld())
			if err := tt.spoil(filepath.Join(dir, which)); err != nil {
				t.Fatal(err)
			}
			_, err := s.Keep(t.Context(), withheld(), gate.Part{Name: "stdout", Content: strings.NewReader(output)})
			problem(t, which+": "+tt.why, err, tt.want)
		}
	}
	_, err := (&Store{Dir: "relative", Keys: t.TempDir()}).List(t.Context())
	problem(t, "a relative path", err, "relative")
}

// TestLinkInside: an item that is a link is not followed out of the store.
func TestLinkInside(t *testing.T) {
	s, dir := newStore(t)
	otherDir := t.TempDir()
	id := keep(t, s, withheld())
	items := filepath.Join(dir, "store", "items")
	if err := os.Rename(filepath.Join(items, id), filepath.Join(otherDir, id)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(otherDir, id), filepath.Join(items, id)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), id)
	problem(t, "a link out of the store", err, "escapes")
	if _, err := s.Purge(t.Context(), Purge{IDs: []string{id}, Force: true}); err != nil {
		t.Errorf("the link is purged: %v", err)
	}
	if _, err := os.Stat(filepath.Join(otherDir, id, recordFile)); err != nil {
		t.Errorf("what it led to is not: %v", err)
	}
}

func TestTampered(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	tests := []struct {
		file   string
		change func([]byte) []byte
		want   string
		why    string
	}{
		{"stdout.age", func(b []byte) []byte { return b }, "", "the plain case"},
		{"stdout.age", flip(-1), "not what was kept", "the last byte"},
		{"stdout.age", flip(0), "not what was kept", "the first byte"},
		{"stdout.age", func(b []byte) []byte { return b[:len(b)-1] }, "not what was kept", "cut"},
		{"stdout.age", func(b []byte) []byte { return append(b, 0) }, "not what was kept", "longer"},
		{"stdout.age", func([]byte) []byte { return nil }, "not what was kept", "empty"},
		{"record.json", flip(1), "damaged", "the record"},
		{"record.json", func(b []byte) []byte { return b[:len(b)/2] }, "damaged", "half a record"},
		{"record.json", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"id":"`), []byte(`"id":"0`), 1)
		}, "damaged", "another's record"},
	}
	for _, tt := range tests {
		s, dir := newStore(t)
		id, good := keep(t, s, withheld()), keep(t, s, withheld())
		file := filepath.Join(dir, "store", "items", id, tt.file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, tt.change(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = reveal(s, id, "stdout")
		problem(t, tt.why+": reveal", err, tt.want)
		var b strings.Builder
		_, err = s.Approve(t.Context(), id, ann, keys(t, s), Release{Part: "stdout", To: &b})
		problem(t, tt.why+": approve", err, tt.want)
		if err != nil && b.Len() > 0 {
			t.Errorf("%s: %d bytes were released", tt.why, b.Len())
		}
		if text, err := reveal(s, good, "stdout"); err != nil || text != output {
			t.Errorf("%s: the other item: %q, %v", tt.why, text, err)
		}
		if _, err := s.Purge(t.Context(), Purge{IDs: []string{id}, Force: true}); err != nil {
			t.Errorf("%s: it is purged by force: %v", tt.why, err)
		}
		if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("%s: %d items are left, %v", tt.why, len(list), err)
		}
	}
}

// TestJournal reads what the acts of an item have left.
func TestJournal(t *testing.T) {
	s, dir := newStore(t)
	file := filepath.Join(dir, "store", journalFile)
	var heard []Entry
	s.Journal = func(e Entry) error { heard = append(heard, e); return nil }
	id := keep(t, s, withheld())
	// Half a line of somebody who died stays, and takes no other with it.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.WriteString(`{"act":`); errors.Join(err, f.Close()) != nil {
		t.Fatal(err)
	}
	if _, err := reveal(s, id, "stdout"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reject(t.Context(), id, ann); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Purge(t.Context(), Purge{IDs: []string{id}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for line := range strings.Lines(string(text)) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			acts = append(acts, "torn")
			continue
		}
		if e.ID != id || e.Time.IsZero() || e.UID != os.Getuid() {
			t.Errorf("entry %+v", e)
		}
		acts = append(acts, string(e.Act)+" "+e.By)
	}
	if got := strings.Join(acts, ", "); got != "keep , torn, reveal Ann Example, reject Ann Example, purge " {
		t.Errorf("the journal has %s", got)
	}
	if len(heard) != 4 {
		t.Errorf("the other journal heard %d", len(heard))
	}
}

// TestJournalRefuses: what cannot be recorded does not happen.
func TestJournalRefuses(t *testing.T) {
	s, _ := newStore(t)
	id := keep(t, s, withheld())
	ids := keys(t, s)
	s.Journal = func(Entry) error { return errors.New("the log is full") }
	var b strings.Builder
	acts := map[string]func() error{
		"keep": func() error {
			_, err := s.Keep(t.Context(), withheld(), gate.Part{Name: "stdout", Content: strings.NewReader(output)})
			return err
		},
		"reveal": func() error { _, err := reveal(s, id, "stdout"); return err },
		"approve": func() error {
			_, err := s.Approve(t.Context(), id, ann, ids, Release{Part: "stdout", To: &b})
			return err
		},
		"reject": func() error { _, err := s.Reject(t.Context(), id, ann); return err },
		"purge": func() error {
			_, err := s.Purge(t.Context(), Purge{IDs: []string{id}, Force: true})
			return err
		},
	}
	for name, act := range acts {
		problem(t, name, act(), "the log is full")
	}
	s.Journal = nil
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 || list[0].State != Held || b.Len() > 0 {
		t.Errorf("%d items, %v, %d bytes released", len(list), err, b.Len())
	}
	for _, name := range []string{"reveal", "approve", "purge"} { // the twins
		if err := acts[name](); err != nil {
			t.Errorf("%s, where the journal takes it: %v", name, err)
		}
	}
}
