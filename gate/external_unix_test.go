//go:build unix

package gate

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/policy"
)

// program writes a scanner, and returns the policy that has it.
func program(t *testing.T, script string, more policy.Gate) policy.Gate {
	t.Helper()
	name := filepath.Join(t.TempDir(), "scanner")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o755); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	more.External = []policy.ExternalScanner{{Name: "theirs", Command: []string{name, "argument"}, Timeout: policy.Duration(2 * time.Second)}}
	return more
}

// What programs answer, and what becomes of output and files then.
func TestExternal(t *testing.T) {
	const eicar = `n=$(grep -abo EICAR | head -1 | cut -d: -f1); if [ -n "$n" ]; then printf '{"findings":[{"rule":"eicar","severity":"high","offset":%s,"length":5}]}' "$n"; else printf '{"findings":[]}'; fi`
	tests := []struct {
		script, text string
		out          string
		verdict      Verdict
		file         Verdict
		says         string
		why          string
	}{
		{eicar, "an EICAR here", "an [redacted:theirs/eicar] here", Redact, Block, "", "what it finds"},
		{eicar, "nothing", "nothing", Pass, Pass, "", "what it does not"},
		{`cat >/dev/null; exit 3`, "x", "", Block, Block, "scanner theirs: exit status 3", "it fails"},
		{`cat >/dev/null; echo no >&2; exit 3`, "x", "", Block, Block, "exit status 3", "what it says is not told: it may hold what it has read"},
		{`cat >/dev/null; echo nonsense`, "x", "", Block, Block, "not what docs/gate.md says", "no JSON"},
		{`cat >/dev/null; echo '{}'`, "x", "", Block, Block, `no "findings"`, "no findings"},
		{`cat >/dev/null; echo '{"findings":[]} more'`, "x", "", Block, Block, "something follows", "more than an answer"},
		{`cat >/dev/null; echo '{"findings":[{"rule":"Bad Rule","severity":"high"}]}'`, "x", "", Block, Block, "lower-case", "the name of a rule"},
		{`cat >/dev/null; echo '{"findings":[{"rule":"a","severity":"awful"}]}'`, "x", "", Block, Block, "not what docs/gate.md says", "a severity that there is not"},
		{`cat >/dev/null; echo '{"findings":[{"rule":"a"}]}'`, "x", "", Block, Block, "has no severity", "none at all"},
		{`cat >/dev/null; echo '{"findings":[{"rule":"a","severity":"low","offset":1,"length":1}]}'`, "x", "", Block, Block, "not within the 1 bytes", "beyond the end"},
		{`cat >/dev/null; head -c 2000000 /dev/zero`, "x", "", Block, Block, "more than 1048576 bytes", "an answer without end"},
		{`sleep 60`, "x", "", Block, Block, "did not answer within 2s", "too late"},
		{`sleep 60 & cat >/dev/null; echo '{"findings":[]}'`, "x", "", Block, Block, "", "what it leaves behind holds its stdout"},
		{`test "$KAVACH_SCAN" = '{"version":1,"name":"'"$(cut -c1-6)"'","file":'"${FILE:-false}"'}' || exit 9; echo '{"findings":[]}'`, "stdout", "stdout", Pass, Block, "", "what it is told; of a file, another thing"},
		{`test -z "$HOME$SECRET" && cat >/dev/null && test "$1" = argument && echo '{"findings":[]}'`, "x", "x", Pass, Pass, "", "nothing of the caller's environment"},
	}
	t.Setenv("SECRET", "s")
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			t.Parallel()
			s := session(t, program(t, tt.script, policy.Gate{}))
			out, r := through(t, s, false, tt.text)
			if out != tt.out || r.Verdict != tt.verdict || !strings.Contains(r.Reason, tt.says) {
				t.Errorf("output: %q, %+v", out, r)
			}
			f := File{Name: "f", Mode: 0o600, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(tt.text)), nil }}
			if r, err := s.File(t.Context(), f); err != nil || r.Verdict != tt.file || !strings.Contains(r.Reason, tt.says) {
				t.Errorf("file: %v, %+v", err, r)
			}
		})
	}
	missing := policy.Gate{External: []policy.ExternalScanner{{Name: "none", Command: []string{"/no/such/program"}}}}
	if out, r := through(t, session(t, missing), false, "x"); out != "" || r.Verdict != Block || !strings.Contains(r.Reason, "/no/such/program") {
		t.Errorf("a program that is not there: %q, %+v", out, r)
	}
}

func FuzzExternalAnswer(f *testing.F) {
	f.Add([]byte(`{"findings":[{"rule":"a","severity":"high","offset":0,"length":1}]}`), int64(5))
	f.Add([]byte(`{"findings":[{"rule":"a.b-c","severity":"low","offset":9223372036854775807,"length":9223372036854775807}]}`), int64(5))
	f.Fuzz(func(t *testing.T, text []byte, size int64) {
		found, err := matchesOf("x", text, max(size, 0))
		for _, m := range found {
			if m.Start < 0 || m.End < m.Start || m.End > max(size, 0) || m.Severity < Info || m.Severity > Critical || !strings.HasPrefix(m.Rule, "x/") {
				t.Errorf("%q: %+v", text, m)
			}
		}
		if err != nil && len(found) > 0 {
			t.Error(fmt.Sprint(err, found))
		}
	})
}
