package quarantine

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/gate"
)

func goodRecord() Record {
	login := uint32(1000)
	return Record{
		Version: recordVersion, ID: newID(time.Unix(1e9, 0)), State: Approved, Kept: time.Unix(1e9, 0).UTC(),
		Held: gate.Held{Sandbox: "5f0c", Path: "/srv/report", Mode: 0o644, Verdict: gate.Quarantined, Findings: []gate.Finding{
			{Rule: "card", Severity: gate.High, Stream: "/srv/report", Offset: 3, Length: 16, Preview: "4111… (16 bytes)", View: "gzip"},
		}},
		Parts:   []KeptPart{{Name: "file", Bytes: 100, Stored: 300, SHA256: strings.Repeat("ab", 32)}},
		Decided: &Decided{Decision: Decision{By: "Ann Example", Reason: "ours"}, Time: time.Unix(2e9, 0).UTC(), Caller: Caller{UID: 7, LoginUID: &login}},
	}
}

func TestRecordIsRefused(t *testing.T) {
	tests := []struct{ old, replacement, why string }{
		{`{"version":1`, `{"version":2`, "another version"},
		{`{"version":1`, `{"extra":1,"version":1`, "a field that nobody knows"},
		{`"state":"approved"`, `"state":"purged"`, "a state that no item is in"},
		{`"state":"approved"`, `"state":"held"`, "held, and yet decided"},
		{`"decided"`, `"held"`, "decided by nobody"},
		{`"by":"Ann Example"`, `"by":""`, "decided by no name"},
		{`"by":"Ann Example"`, `"by":"Ann\u001b[2J"`, "a name that steers a terminal"},
		{`"name":"file"`, `"name":"../../key"`, "a part that is a path"},
		{`"name":"file"`, `"name":""`, "a part without a name"},
		{`"parts":[`, `"parts":[],"parts_":[`, "no parts"},
		{`"bytes":100`, `"bytes":-1`, "a negative size"},
		{`"stored":300`, `"stored":99`, "less than its content"},
		{`abab`, `ab`, "half a digest"},
		{`abab`, `xxxx`, "a digest that is none"},
		{`"offset":3`, `"offset":-3`, "a finding before the beginning"},
		{`"length":16`, `"length":9223372036854775807`, "a finding that ends beyond all numbers"},
		{`"id":"`, `"id":"/`, "an id that is a path"},
		{`"severity":"high"`, `"severity":"hgh"`, "a severity that there is not"},
		{`}`, ``, "cut short"},
	}
	rec := goodRecord()
	data, err := rec.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeRecord(data); err != nil {
		t.Fatalf("a record is refused: %v", err)
	}
	for _, tt := range tests {
		i := bytes.LastIndex(data, []byte(tt.old))
		if strings.HasPrefix(tt.old, `{`) {
			i = 0
		}
		if i < 0 {
			t.Fatalf("%s: %s is not in a record", tt.why, tt.old)
		}
		bad := string(data[:i]) + tt.replacement + string(data[i+len(tt.old):])
		if _, err := decodeRecord([]byte(bad)); err == nil {
			t.Errorf("%s: not refused: %s", tt.why, bad)
		}
	}
	if _, err := decodeRecord(append(data, "{}"...)); err == nil {
		t.Error("what follows a record is not seen")
	}
	if _, err := decodeRecord(bytes.Repeat([]byte(" "), maxRecord+1)); err == nil {
		t.Error("a record may have any length")
	}
}

func TestDecisions(t *testing.T) {
	tests := []struct{ by, reason, want, why string }{
		{"Ann Example", "ours", "", "the plain case"},
		{"Änne 漢", "naïve", "", "other letters"},
		{strings.Repeat("x", maxText), "y", "", "as long as can be"},
		{"", "ours", "needs a name", "nobody"},
		{"Ann", "", "needs a reason", "no reason"},
		{"  ", "ours", "needs a name", "blank"},
		{"Ann\nBob", "ours", "does not print", "two lines"},
		{"Ann", "\x1b]0;x\a", "does not print", "an escape sequence"},
		{"Ann", "\u202eours", "does not print", "text that turns around"},
		{"Ann\xff", "ours", "not UTF-8", "not UTF-8"},
		{"Ann", strings.Repeat("x", maxText+1), "too long", "too long"},
	}
	for _, tt := range tests {
		problem(t, tt.why, Decision{By: tt.by, Reason: tt.reason}.check(), tt.want)
	}
}

// FuzzRecord: whatever is taken for a record is written as it was read, and has
// no name in it that is a path.
func FuzzRecord(f *testing.F) {
	rec := goodRecord()
	data, err := rec.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := decodeRecord(data)
		if err != nil {
			return
		}
		for _, p := range rec.Parts {
			if strings.ContainsAny(p.file(), "/\x00") || strings.ContainsAny(rec.ID, "/.\x00") {
				t.Fatalf("%q of %q would be a path", p.file(), rec.ID)
			}
		}
		for _, name := range rec.names() {
			if _, err := rec.spans(name, 100); err == nil && len(rec.Held.Findings) == 0 {
				t.Fatal("content without findings would be shown")
			}
		}
		again, err := rec.encode()
		if err != nil {
			t.Fatalf("it cannot be written: %v", err)
		}
		back, err := decodeRecord(again)
		if err != nil || !reflect.DeepEqual(rec, back) {
			t.Fatalf("it is another one when it is read again: %v\n%+v\n%+v", err, rec, back)
		}
	})
}
