package policyfile

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/testclock"
)

// FuzzParse looks for a panic, for input that takes long, and for a policy that
// is not valid or does not survive being written and read.
func FuzzParse(f *testing.F) {
	for _, test := range policies(f) {
		text, err := Marshal(test.p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		if text, err = json.Marshal(test.p); err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, seed := range []string{
		bomb(), strings.Repeat("[", 200), strings.Repeat("- ", 200), "a: &a [*a]", "<<: *a", "? {a: b}\n: c",
		`{"name":"\ud83d\ude00"}`, `{"name":"\ud83d"}`, `{"name":1e400}`, "name: |2-\n   x\n", "name: >+\n x\n\n",
		"resources: {cpus: 0.010, pids: 0x1f, memory: 1_0}", "%TAG ! tag:x,2000:\n--- !y\nname: x", "name: \"\\uD83D\"",
		"process:\n  env: {A: 'x', ? B : y, \"C\\n\": |\n}", "name: x # c\n...\n---\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		watch := testclock.Start()
		p, err := Parse("fuzz", data)
		if took := watch.Ran(); took > 10*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("parsed, and not valid: %v", err)
		}
		text, err := Marshal(p)
		if err != nil {
			if len(data) > MaxSize/8 {
				return // escapes can make it larger than a policy file may be
			}
			t.Fatal(err)
		}
		again, err := Parse("again", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v became %+v\n%s", p, again, text)
		}
	})
}
