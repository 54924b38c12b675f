package quarantine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestApproveToFile(t *testing.T) {
	tests := []struct {
		prepare func(file string) error
		release Release
		mode    uint32
		want    string
		perm    os.FileMode
		why     string
	}{
		{nil, Release{Part: "file"}, 0o6755, "", 0o755, "the mode that it had, without setuid and setgid"},
		{nil, Release{Part: "file"}, 0o1640, "", 0o640, "without sticky"},
		{func(f string) error { return os.WriteFile(f, []byte("mine"), 0o600) }, Release{Part: "file"}, 0o644, "is there already", 0, "a file is in its place"},
		{func(f string) error { return os.WriteFile(f, []byte("mine"), 0o600) }, Release{Part: "file", Replace: true}, 0o644, "", 0o644, "it may be replaced"},
		{func(f string) error { return os.Symlink(f+".target", f) }, Release{Part: "file"}, 0o644, "is there already", 0, "a link to nothing is in its place"},
		{func(f string) error { return os.Symlink(f+".target", f) }, Release{Part: "file", Replace: true}, 0o644, "", 0o644, "the link may be replaced"},
		{func(f string) error { return os.Mkdir(f, 0o700) }, Release{Part: "file", Replace: true}, 0o644, "is a directory", 0, "a directory is in its place"},
		{nil, Release{Part: "stdout"}, 0o644, "has no part", 0, "a part that it does not have"},
	}
	for _, tt := range tests {
		s, dir := newStore(t)
		h := withheld()
		h.Path, h.Mode = "/srv/report", tt.mode
		id := keep(t, s, h, "file", output)
		tt.release.File = filepath.Join(dir, "out")
		target := tt.release.File + ".target"
		if err := os.WriteFile(target, []byte("the user's"), 0o600); err != nil {
			t.Fatal(err)
		}
		if tt.prepare != nil {
			if err := tt.prepare(tt.release.File); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Approve(t.Context(), id, ann, keys(t, s), tt.release)
		problem(t, tt.why, err, tt.want)
		rec, err := s.Get(t.Context(), id)
		if err != nil || (rec.State == Approved) != (tt.want == "") {
			t.Errorf("%s: the item is %s, %v", tt.why, rec.State, err)
		}
		if tt.want == "" {
			info, err := os.Lstat(tt.release.File)
			text, _ := os.ReadFile(tt.release.File)
			if err != nil || info.Mode() != tt.perm || string(text) != output {
				t.Errorf("%s: %v, %v, %q", tt.why, info.Mode(), err, text)
			}
		}
		if text, _ := os.ReadFile(target); string(text) != "the user's" {
			t.Errorf("%s: what the link points to is %q", tt.why, text)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".kavach-*")); len(left) > 0 {
			t.Errorf("%s: %v is left", tt.why, left)
		}
	}
}

// TestDraftWithAName is for file systems without files that have no name.
func TestDraftWithAName(t *testing.T) {
	for _, replace := range []bool{false, true} {
		dir, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		for _, name := range []string{"left", "settled"} {
			f, err := dir.OpenFile("own", os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
			if err != nil {
				t.Fatal(err)
			}
			d := &draft{dir: dir, file: f, name: "own", own: "own"}
			if name == "settled" {
				if err := d.settle(name, replace); err != nil {
					t.Errorf("replacing %v: %v", replace, err)
				}
			}
			d.end()
		}
		if list, err := fs.ReadDir(dir.FS(), "."); err != nil || len(list) != 1 || list[0].Name() != "settled" {
			t.Errorf("replacing %v: %v, %v", replace, list, err)
		}
	}
}

func TestDecidedOnce(t *testing.T) {
	s, dir := newStore(t)
	id := keep(t, s, withheld())
	var b strings.Builder
	to := Release{Part: "stdout", To: &b}
	ids := keys(t, s)
	for why, by := range map[string]Decision{"nobody": {Reason: "x"}, "no reason": {By: "Ann"}} {
		_, err := s.Approve(t.Context(), id, by, ids, to)
		problem(t, why, err, "a decision needs")
		_, err = s.Reject(t.Context(), id, by)
		problem(t, why, err, "a decision needs")
		_, err = s.Reveal(t.Context(), id, "stdout", by, ids)
		problem(t, why, err, "a decision needs")
	}
	_, err := s.Approve(t.Context(), id, ann, nil, to)
	problem(t, "no key", err, "no key")
	_, err = s.Approve(t.Context(), id, ann, ids)
	problem(t, "nowhere", err, "nothing says where")
	if b.Len() > 0 {
		t.Fatal("content was released")
	}
	rec, err := s.Approve(t.Context(), id, ann, ids, to)
	if err != nil || b.String() != output || rec.Decided.By != ann.By || rec.Decided.UID != os.Getuid() {
		t.Fatalf("%+v, %v: %q", rec, err, b.String())
	}
	_, err = s.Approve(t.Context(), id, Decision{By: "Bob", Reason: "me too"}, ids, to)
	problem(t, "again", err, "was approved by Ann Example")
	_, err = s.Reject(t.Context(), id, Decision{By: "Bob", Reason: "no"})
	problem(t, "the other way", err, "was approved by Ann Example")
	if b.String() != output {
		t.Errorf("released again: %q", b.String())
	}

	gone := keep(t, s, withheld())
	if _, err := s.Reject(t.Context(), gone, ann); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "store", "items", gone, "stdout.age")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the content of what was rejected: %v", err)
	}
	_, err = reveal(s, gone, "stdout")
	problem(t, "what was rejected", err, "deleted when Ann Example rejected it")
	_, err = s.Approve(t.Context(), gone, ann, ids, to)
	problem(t, "what was rejected", err, "was rejected by Ann Example")
}

// TestWrongKey: an item is not approved by somebody who cannot read it.
func TestWrongKey(t *testing.T) {
	s, _ := newStore(t)
	other, _ := newStore(t)
	id := keep(t, s, withheld())
	keep(t, other, withheld())
	var b strings.Builder
	_, err := s.Approve(t.Context(), id, ann, keys(t, other), Release{Part: "stdout", To: &b})
	problem(t, "another's key", err, "encrypted to another key")
	if rec, err := s.Get(t.Context(), id); err != nil || rec.State != Held || b.Len() > 0 {
		t.Errorf("%s, %v, %q", rec.State, err, b.String())
	}
}

func TestAbbreviated(t *testing.T) {
	s, _ := newStore(t)
	s.now = at(time.Unix(1e9, 0))
	a, b := keep(t, s, withheld()), keep(t, s, withheld())
	for _, tt := range []struct{ prefix, want, why string }{
		{a, "", "whole"}, {b, "", "whole"},
		{a[:8], "more than one", "of the same second"},
		{"", "no item", "nothing"}, {"..", "no item", "a path"}, {"v", "no item", "of none"}, {a + "0", "no item", "too long"},
	} {
		_, err := s.Get(t.Context(), tt.prefix)
		problem(t, tt.why, err, tt.want)
		if tt.want == "no item" && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", tt.why, err)
		}
	}
}

func TestPurge(t *testing.T) {
	start := time.Unix(1e9, 0)
	tests := []struct {
		after time.Duration
		purge Purge
		all   bool // the items are named
		want  string
		why   string
	}{
		{Retention - time.Hour, Purge{}, false, "", "nothing is old enough"},
		{Retention, Purge{}, false, "held approved rejected", "all is"},
		{2 * time.Hour, Purge{Older: time.Hour}, false, "approved rejected", "what was decided; what was not stays for the retention"},
		{2 * time.Hour, Purge{Older: time.Hour, Force: true}, false, "held approved rejected", "by force"},
		{2 * time.Hour, Purge{Force: true}, false, "", "force makes nothing older"},
		{0, Purge{}, true, "approved rejected", "by name, at once"},
		{0, Purge{Force: true}, true, "held approved rejected", "by name and force"},
		{Retention, Purge{}, true, "held approved rejected", "by name, after the retention"},
		{time.Hour, Purge{Older: 2 * time.Hour}, true, "", "by name, and not old enough"},
	}
	for _, tt := range tests {
		s, _ := newStore(t)
		s.now = at(start)
		held, approved, rejected := keep(t, s, withheld()), keep(t, s, withheld()), keep(t, s, withheld())
		if _, err := s.Approve(t.Context(), approved, ann, keys(t, s), Release{Part: "stdout", To: &strings.Builder{}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reject(t.Context(), rejected, ann); err != nil {
			t.Fatal(err)
		}
		s.now = at(start.Add(tt.after))
		if tt.all {
			tt.purge.IDs = []string{held, approved, rejected}
		}
		gone, err := s.Purge(t.Context(), tt.purge)
		if (err != nil) != (tt.all && len(gone.Purged) < 3) {
			t.Errorf("%s: %v", tt.why, err)
		}
		list, err := s.List(t.Context())
		if err != nil || len(list)+len(gone.Purged) != 3 {
			t.Errorf("%s: %d purged, %d left, %v", tt.why, len(gone.Purged), len(list), err)
		}
		var got []string
		for id, state := range map[string]State{held: Held, approved: Approved, rejected: Rejected} {
			left := false
			for _, r := range list {
				left = left || r.ID == id
			}
			if was := strings.Contains(tt.want, string(state)); was == left {
				got = append(got, string(state))
			}
		}
		if len(got) > 0 {
			t.Errorf("%s: it is otherwise with %v", tt.why, got)
		}
	}
}
