package kavach_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/policy"
)

// attackToken has the form of a token of GitHub's, with its checksum. It was never
// issued.
const attackToken = "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"

// Denials and their hints are made of the stderr that the command wrote, before the
// gate: a line such as "/opt/TOKEN: Read-only file system" comes out as a path in
// Result.Denials, in run --json, in the event of the audit log, and on the stderr of
// kavach itself, also where the output was withheld.
func TestAttackDenialsTellSecret(t *testing.T) {
	for _, block := range []string{"", policy.SeverityHigh} {
		sb := real(t, func(p *policy.Policy) { p.Gate.Block = block })
		res, err := sb.Run(t.Context(), sh("echo 'touch: /opt/"+attackToken+": Read-only file system' >&2; exit 1"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprintf("%+v", res.Denials), attackToken) {
			t.Errorf("verdict %s, and in the denials is what it is about: %+v", res.Gate.Verdict, res.Denials)
		}
	}
}

// Where the limit of the output cuts a token, what is before the cut is no match any
// more, and leaves: all but its last byte. The gate held it as the beginning of one.
func TestAttackLimitCutsToken(t *testing.T) {
	const before = "token "
	sb := real(t, func(p *policy.Policy) { p.Resources.Output = policy.Bytes(len(before) + len(attackToken) - 1) })
	for _, live := range []bool{false, true} {
		var out bytes.Buffer
		cmd := sh("echo '" + before + attackToken + "'")
		if live {
			cmd.Stdout = &out
		}
		res, err := sb.Run(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(res.Stdout)
		if strings.Contains(out.String(), attackToken[:20]) {
			t.Errorf("live %v: %q, truncated %v, %s", live, out.String(), res.Truncated, res.Gate.Verdict)
		}
	}
}
