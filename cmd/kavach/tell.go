package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/noop"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// tell says on stderr what the command's own output does not: always, what was
// refused to a command that failed; with --verbose, the rest.
func (j *job) tell(w *os.File, sb *kavach.Sandbox, res *kavach.Result) {
	out := newPaint(w)
	if j.verbose {
		j.summary(w, out, sb, res)
	} else if !j.json { // a limit that was hit is not all well
		for _, hit := range limitsHit(res, sb.Policy().Resources.Effective()) {
			fmt.Fprintln(w, out.dim("kavach: "+hit))
		}
	}
	if !j.json {
		tellGate(w, out, &res.Gate, redactFrom(sb.Policy()))
	}
	if j.verbose || (codeOf(res) != 0 && !j.json) {
		tellDenials(w, out, res.Denials)
	}
	if sb.Policy().Seccomp.Mode == policy.SeccompLog && !j.json {
		tellNeeded(w, out, res)
	}
}

// warnMissing says, before a command runs, which controls there are not, though
// the policy asks for them and goes on without: whatever else is shown.
func warnMissing(w io.Writer, sb *kavach.Sandbox) {
	if sb.Backend() == noop.Name {
		return // announce has said it
	}
	var missing []string
	for _, c := range short(sb.Score(), sb.Policy()) {
		if c.State == backend.Missing {
			missing = append(missing, string(c.Name))
		}
	}
	if len(missing) > 0 {
		s := sb.Score()
		fmt.Fprintf(w, "kavach: warning: score %d (%s), as the policy lets these be missing here: %s; kavach doctor says how to have them\n",
			s.Value, s.Tier, strings.Join(missing, ", "))
	}
}

func tellDenials(w io.Writer, out paint, denials []backend.Denial) {
	for _, d := range denials {
		fmt.Fprintln(w, out.dim("kavach: "+printable(denialText(d))))
	}
}

func denialText(d backend.Denial) string {
	text := fmt.Sprintf("refused %s %s (%s)", d.Kind, d.Target, d.Rule)
	if d.Kind == "syscall" {
		text = fmt.Sprintf("refused system call %s (%s)", d.Target, d.Rule)
	}
	if d.Count > 1 {
		text += fmt.Sprintf(", %d times", d.Count)
	}
	if d.Hint != "" {
		text += ": " + d.Hint
	}
	return text
}

// summary is what --verbose shows at the end.
func (j *job) summary(w io.Writer, out paint, sb *kavach.Sandbox, res *kavach.Result) {
	line := func(label, text string) {
		fmt.Fprintf(w, "%s %s\n", out.dim(fmt.Sprintf("%-9s", label)), printable(text))
	}
	s := sb.Score()
	fmt.Fprintf(w, "%s %s on %s, score %s\n", out.dim("kavach   "),
		out.bold(ending(res)), sb.Backend(), scoreText(out, s))
	if i := imageOf(sb); i != nil {
		line("image", i.String())
	}
	var proven []string
	for _, c := range s.Controls {
		if c.Points == c.Of {
			proven = append(proven, string(c.Name))
		}
	}
	if len(proven) > 0 {
		line("proven", strings.Join(proven, " ")+" (kavach score shows what was seen)")
	}
	for _, c := range short(s, sb.Policy()) {
		line("", fmt.Sprintf("%-14s %d/%d %s: %s", c.Name, c.Points, c.Of, c.State, c.Proof))
	}
	for _, g := range res.Credentials {
		line("secret", grantText(g))
	}
	for _, hit := range limitsHit(res, sb.Policy().Resources.Effective()) {
		line("limit", hit)
	}
	for _, what := range res.Unscanned {
		if filepath.IsAbs(what) {
			what += ": the command could change it on the host by itself"
		}
		line("unscanned", what)
	}
	for _, f := range res.Gate.Findings {
		line("found", fmt.Sprintf("%s (%s) at byte %d of %s: %s", f.Rule, f.Severity, f.Offset, f.Stream, f.Preview))
	}
	line("usage", usageText(res.Usage))
	for _, note := range append(j.notes, sb.Notes()...) {
		line("note", note)
	}
}

// ending is how the command ended, in few words.
func ending(res *kavach.Result) string {
	switch {
	case res.TimedOut:
		return "timed out"
	case res.Signal != 0:
		return "killed by " + signalName(res.Signal)
	}
	return fmt.Sprintf("exit %d", res.ExitCode)
}

func scoreText(out paint, s score.Score) string {
	text := fmt.Sprintf("%d (%s)", s.Value, s.Tier)
	if s.Value >= s.Requested {
		return out.good(text)
	}
	return out.bad(text) + fmt.Sprintf(", %d was asked for", s.Requested)
}

// short are the controls that were asked for and did not earn all points.
func short(s score.Score, p policy.Policy) []score.Line {
	var lines []score.Line
	for _, line := range s.Controls {
		if line.Points < line.Of && p.Asks(line.Name) {
			lines = append(lines, line)
		}
	}
	return lines
}

func limitsHit(res *kavach.Result, r policy.Resources) []string {
	var hit []string
	if res.TimedOut {
		hit = append(hit, "time: killed at its deadline (--timeout)")
	}
	if res.OOMKilled {
		hit = append(hit, fmt.Sprintf("memory: something was killed, or refused memory, at %s (--memory)", r.Memory))
	}
	if res.Truncated {
		hit = append(hit, fmt.Sprintf("output: cut off after %s, or held open when the command had ended (--output-limit)", r.Output))
	}
	return hit
}

func usageText(u kavach.Usage) string {
	parts := []string{rounded(u.Wall) + " wall", rounded(u.CPU) + " cpu"}
	if u.MemoryPeak > 0 {
		parts = append(parts, fmt.Sprintf("%.1f MiB memory", float64(u.MemoryPeak)/(1<<20)))
	}
	if u.PIDsPeak > 0 {
		parts = append(parts, fmt.Sprintf("%d tasks at once", u.PIDsPeak))
	}
	return strings.Join(parts, ", ")
}

func rounded(d time.Duration) string {
	if d < time.Second {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
