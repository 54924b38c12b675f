package policyfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/policy"
)

func TestLoadAll(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	site := write("site.yaml", "name: site\nfilesystem: {root: host}\nresources: {memory: 128m, pids: 64}\n")
	mine := write("mine.yaml", "name: mine\nfilesystem: {root: host, tmp_size: 1m}\nresources: {memory: 1g, pids: 8}\nprocess: {user: 1000}\n")
	other := write("other.json", `{"filesystem": {"root": "/srv/x"}, "process": {"user": "7"}}`)
	bad := write("bad.yaml", "nmae: x\n")
	third := write("third.yaml", "filesystem: {root: host}\nprocess: {user: 5}\n")
	tests := []struct {
		paths     []string
		want, why string
	}{
		{[]string{site}, "name: site\nfilesystem:\n  root: host\nresources:\n  memory: 128m\n  pids: 64\n", "one is itself"},
		{[]string{site, mine}, "name: \"site + mine\"\nfilesystem:\n  root: host\nresources:\n  memory: 128m\n  pids: 8\nprocess:\n  user: \"1000\"\n", "the stricter of each field"},
		{[]string{site, mine, third}, "process.user: 1000 and 5 cannot be merged (from site.yaml + mine.yaml and third.yaml); make them the same, or leave one out", "where they are from"},
		{[]string{mine, other}, "filesystem.root: host and /srv/x cannot be merged (from mine.yaml and other.json); make them the same, or leave one out\n" +
			"process.user: 1000 and 7 cannot be merged (from mine.yaml and other.json); make them the same, or leave one out", "each problem"},
		{[]string{bad, site, filepath.Join(dir, "none.yaml")}, `bad.yaml:1:1: nmae: unknown key; did you mean "name"?` +
			"\nread policy file: stat none.yaml: no such file or directory", "all that is wrong with the files"},
		{nil, "merge policies: there are none; name one at least", "nothing would mean everything"},
	}
	for _, test := range tests {
		p, err := LoadAll(test.paths...)
		var got string
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir+"/", "")
		} else {
			text, err := Marshal(p)
			if err != nil {
				t.Error(err)
			}
			got = string(text)
		}
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.why, got, test.want)
		}
	}
	_, err := LoadAll(mine, other)
	if field := (*policy.FieldError)(nil); !errors.As(err, &field) || field.Field != "filesystem.root" {
		t.Errorf("%T holds no FieldError of filesystem.root", err)
	}
}

// What was merged can be written and read again.
func TestMarshalMerged(t *testing.T) {
	all := policies(t)
	for _, a := range all {
		for _, b := range all {
			m, err := Merge(Named{a.name, a.p}, Named{b.name, b.p})
			if err != nil {
				continue // they are not all of one kind
			}
			text, err := Marshal(m)
			if err != nil {
				t.Errorf("%s, %s: %v", a.name, b.name, err)
			}
			if again, err := Parse("p", text); err != nil || len(policy.Diff(m, again)) > 0 {
				t.Errorf("%s, %s: %v\n%s", a.name, b.name, err, text)
			}
		}
	}
}

// FuzzMerge looks for two files whose merge is not valid, allows more than one
// of them, or depends on their order.
func FuzzMerge(f *testing.F) {
	all := policies(f)
	for i, a := range all {
		first, errA := Marshal(a.p)
		second, errB := Marshal(all[(i+1)%len(all)].p)
		if err := errors.Join(errA, errB); err != nil {
			f.Fatal(err)
		}
		f.Add(first, second)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, errA := Parse("a", first)
		b, errB := Parse("b", second)
		if errA != nil || errB != nil {
			return
		}
		ab, err := policy.Merge(a, b)
		ba, errBack := policy.Merge(b, a)
		if (err == nil) != (errBack == nil) {
			t.Fatalf("one way %v, the other %v", err, errBack)
		}
		if err != nil {
			return
		}
		if err := ab.Validate(); err != nil || !policy.Covers(a, ab) || !policy.Covers(b, ab) {
			t.Errorf("%+v: %v", ab, err)
		}
		if differ := policy.Diff(ab, ba); len(differ) > 0 {
			t.Errorf("the order matters: %v", differ)
		}
		if again, err := policy.Merge(ab, a); err != nil || len(policy.Diff(again, ab)) > 0 {
			t.Errorf("merged with a once more: %v, %v", err, policy.Diff(again, ab))
		}
	})
}
