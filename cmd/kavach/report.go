package main

import (
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/score"
	"github.com/kavach-dev/kavach/workspace"
)

// outcome is how a command ended: the part that run --json and the exit event
// of a session have in common. docs/commands.md says what is in it.
type outcome struct {
	ExitCode  int              `json:"exit_code"` // as kavach run exits
	Signal    string           `json:"signal"`
	TimedOut  bool             `json:"timed_out"`
	OOMKilled bool             `json:"oom_killed"`
	Truncated bool             `json:"truncated"`
	Denials   []backend.Denial `json:"denials"`
	Needed    *needed          `json:"needed,omitempty"` // nil: nothing was logged
	Unscanned []string         `json:"unscanned"`
	gated
	Secrets []credential.Grant `json:"secrets"`
	Usage   usage              `json:"usage"`
}

type usage struct {
	WallMS     int64 `json:"wall_ms"`
	CPUMS      int64 `json:"cpu_ms"`
	MemoryPeak int64 `json:"memory_peak_bytes"`
	PIDsPeak   int   `json:"pids_peak"`
}

// needed is what a log of system calls has found.
type needed struct {
	Calls []backend.Need `json:"calls"`

	// Profile is the strictest of Kavach's profiles that would have refused
	// nothing; empty: neither would have.
	Profile string `json:"profile"`
}

func newOutcome(res *kavach.Result, code int) outcome {
	o := outcome{
		ExitCode: code,
		TimedOut: res.TimedOut, OOMKilled: res.OOMKilled, Truncated: res.Truncated,
		Denials: res.Denials, Unscanned: res.Unscanned, gated: newGated(&res.Gate), Secrets: res.Credentials,
		Usage: usage{
			WallMS: milliseconds(res.Usage.Wall), CPUMS: milliseconds(res.Usage.CPU),
			MemoryPeak: res.Usage.MemoryPeak, PIDsPeak: res.Usage.PIDsPeak,
		},
	}
	if res.Signal != 0 {
		o.Signal = signalName(res.Signal)
	}
	if o.Denials == nil {
		o.Denials = []backend.Denial{}
	}
	if res.Needed != nil {
		o.Needed = &needed{Calls: res.Needed, Profile: enough(res.Needed)}
	}
	if o.Unscanned == nil {
		o.Unscanned = []string{}
	}
	if o.Secrets == nil {
		o.Secrets = []credential.Grant{}
	}
	return o
}

// milliseconds rounds up, so that what took time is not 0.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// report is what run --json prints.
type report struct {
	ID      string     `json:"id"`
	Backend string     `json:"backend"`
	Image   *fromImage `json:"image,omitempty"` // nil: none
	outcome
	Stdout       string      `json:"stdout"`
	StdoutBinary bool        `json:"stdout_binary,omitempty"`
	StdoutBase64 string      `json:"stdout_base64,omitempty"`
	Stderr       string      `json:"stderr"`
	StderrBinary bool        `json:"stderr_binary,omitempty"`
	StderrBase64 string      `json:"stderr_base64,omitempty"`
	Score        score.Score `json:"score"`

	Changes []workspace.Outcome    `json:"changes"`
	Exports []kavach.ExportOutcome `json:"exports"`
	Held    []heldFile             `json:"held_files,omitempty"`
}

// heldFile is a file that the gate did not let out.
type heldFile struct {
	Path         string       `json:"path"` // as it is called in the findings
	Verdict      gate.Verdict `json:"verdict"`
	Reason       string       `json:"reason"`
	QuarantineID string       `json:"quarantine_id,omitempty"`
}

func newReport(sb *kavach.Sandbox, res *kavach.Result, code int, changes []workspace.Outcome, exports []kavach.ExportOutcome) report {
	r := report{ID: sb.ID(), Backend: sb.Backend(), Image: imageOf(sb), outcome: newOutcome(res, code), Changes: changes, Exports: exports, Score: sb.Score()}
	files := sb.FileReports()
	r.gated = r.withFiles(files)
	for i := range files {
		if f := &files[i]; f.Withheld() {
			r.Held = append(r.Held, heldFile{f.Path, f.Verdict, f.Reason, f.Quarantine})
		}
	}
	if changes == nil {
		r.Changes = []workspace.Outcome{}
	}
	if exports == nil {
		r.Exports = []kavach.ExportOutcome{}
	}
	r.Stdout, r.StdoutBase64, r.StdoutBinary = asText(res.Stdout)
	r.Stderr, r.StderrBase64, r.StderrBinary = asText(res.Stderr)
	return r
}

// asText makes of output what JSON can hold. Where that is not all of it, the
// bytes are beside it.
func asText(b []byte) (text, b64 string, binary bool) {
	if utf8.Valid(b) {
		return string(b), "", false
	}
	return strings.ToValidUTF8(string(b), "\ufffd"), base64.StdEncoding.EncodeToString(b), true
}
