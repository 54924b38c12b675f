package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
)

// Exit codes of kavach that are not the command's own, as with timeout(1),
// env(1) and every container runtime.
const (
	codeWithheld  = 123 // output, changes or exports
	codeTimedOut  = 124
	codeFailed    = 125
	codeNotInvoke = 126
	codeNotFound  = 127
	codeSignal    = 128
)

// exitRow is a row of a table of exit codes.
type exitRow struct{ Code, Means string }

// exitCodes is the table of kavach run, which its help, its page and docs/
// commands.md show.
var exitCodes = []exitRow{
	{"the command's", "the command ran and ended by itself"},
	{fmt.Sprint(codeWithheld), "the gate withheld the command's output; or the command ended with 0, and some of its changes (--rw) were not applied or files (--export) not exported; stderr says which and why"},
	{fmt.Sprint(codeTimedOut), "the command was killed at its deadline (--timeout)"},
	{fmt.Sprint(codeFailed), "kavach refused, failed, or was called wrongly; the command did not run to its end"},
	{fmt.Sprint(codeNotInvoke), "the command is there and cannot be invoked"},
	{fmt.Sprint(codeNotFound), "the command was not found in the sandbox"},
	{fmt.Sprintf("%d+n", codeSignal), "the command, or kavach itself, was ended by signal n"},
}

// exits is the table of a command, whole: with what goes for every command
// that has none of its own, and with the code that it adds.
func (c *command) exits() []exitRow {
	if len(c.exit) > 0 {
		return c.exit
	}
	rows := []exitRow{{"0", "all went well"}}
	if c.one != "" {
		rows = append(rows, exitRow{"1", c.one})
	}
	return append(rows,
		exitRow{fmt.Sprint(codeFailed), "kavach refused, failed, or was called wrongly"},
		exitRow{fmt.Sprintf("%d+n", codeSignal), "kavach was ended by signal n"})
}

// exitCodeTable is a table as text.
func exitCodeTable(rows []exitRow) string {
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "  %-14s %s\n", row.Code, row.Means)
	}
	return b.String()
}

// exitStatus ends kavach with that status, and with no word of its own: what
// there is to say was said.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// codeOf is the exit code for a command that ended.
func codeOf(res *kavach.Result) int {
	switch {
	case res.Gate.Withheld():
		return codeWithheld
	case res.TimedOut:
		return codeTimedOut
	case res.Signal != 0:
		return codeSignal + int(res.Signal)
	}
	return res.ExitCode
}

// codeOfError is the exit code for an error: nil is success.
func codeOfError(err error) int {
	var (
		status  exitStatus
		refused *backend.ExecError
		stopped stoppedError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &stopped):
		return codeSignal + int(stopped)
	case errors.As(err, &refused) && refused.NotFound():
		return codeNotFound
	case errors.As(err, &refused):
		return codeNotInvoke
	}
	return codeFailed
}

// stoppedError says that kavach itself was told by a signal to end.
type stoppedError syscall.Signal

func (e stoppedError) Error() string {
	return "stopped by " + signalName(syscall.Signal(e))
}
