package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

// run is kavach, from its arguments to its exit code.
func run(args []string) int {
	err := dispatch(newRoot(), "kavach", args)
	code := codeOfError(err)
	var (
		status  exitStatus
		stopped stoppedError
	)
	switch {
	case err == nil || errors.As(err, &status):
	case wantsJSON(args):
		writeJSONError(os.Stdout, code, err)
	case errors.As(err, &stopped) && len(explain(err)) == 1: // who sent the signal knows
	default:
		complain(os.Stderr, err)
	}
	return code
}

func newRoot() *command {
	return &command{
		name: "kavach", short: "run code that nobody trusts, and know how well it is confined",
		long: "Kavach runs code that nobody trusts, and knows how well it is confined.",
		sub: []*command{
			runCommand(), sessionCommand(), scoreCommand(), doctorCommand(), policyCommand(), imageCommand(),
			scanCommand(), quarantineCommand(),
			psCommand(), cleanCommand(), versionCommand(), completionCommand(), manCommand(), completeCommand(),
		},
	}
}

// wantsJSON reports whether --json is among the arguments of kavach itself. It
// also serves where the arguments could not be parsed.
func wantsJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// writeJSON writes v as one object on one line.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// jsonError is what --json prints where there is no result.
type jsonError struct {
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error"`
	Fix      string `json:"fix,omitempty"`
}

func writeJSONError(w io.Writer, code int, err error) {
	out := jsonError{ExitCode: code}
	var what, fix []string
	for _, p := range explain(err) {
		what = append(what, p.what)
		if p.fix != "" {
			fix = append(fix, p.fix)
		}
	}
	out.Error, out.Fix = strings.Join(what, "; "), strings.Join(fix, "; ")
	_ = writeJSON(w, out) // there is nobody left to tell
}
