//go:build linux

package backendtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// terminalRows are CONTAINMENT 21. The attempts are made on the terminal that
// the command was given.
var terminalRows = []Row{
	{
		Number: 21, Name: "type into one's own terminal",
		Why:    "what is typed there may be read by whoever had the terminal before, and by whom it goes back to (CVE-2017-5226)",
		Layers: seccompOnly, NoTwin: noInjection(),
		Attempt: func(e *Env) (bool, string) { return e.AttackOnTerminal("type-in", "plain") },
	},
	{
		Number: 21, Name: "type into one's own terminal with a bit in the upper half of the request",
		Why:    "the kernel drops the upper half of it, and a filter must as well (CVE-2019-10063)",
		Layers: seccompOnly, NoTwin: noInjection(),
		Attempt: func(e *Env) (bool, string) { return e.AttackOnTerminal("type-in", "upper") },
	},
	{
		Number: 21, Name: "paste into a console", Why: "as above, by another request (CVE-2023-28100)",
		Layers:  seccompOnly,
		Attempt: func(e *Env) (bool, string) { return e.AttackOnTerminal("paste", "plain") },
	},
	{
		Number: 21, Name: "paste into a console with a bit in the upper half of the request", Why: "as above",
		Layers:  seccompOnly,
		Attempt: func(e *Env) (bool, string) { return e.AttackOnTerminal("paste", "upper") },
	},
	{
		Number: 52, Name: "take all pseudo-terminals of the machine",
		Why:     "all sandboxes take theirs from one number (kernel.pty.max): one must leave some for the others",
		Layers:  []policy.Control{policy.Limits},
		Attempt: takeTerminals,
	},
}

// takeTerminals takes more than a sandbox may have. Where they are not this
// kernel's, it gets through if those of this kernel become fewer.
func takeTerminals(e *Env) (bool, string) {
	if !e.inside {
		return e.Attack("terminals", "300")
	}
	before := usedTerminals(e)
	line, ended := e.startIn(e.Sandbox, "holding", "terminals", "300", "hold")
	if ended != nil {
		return false, line
	}
	const others = 50 // that somebody else of this machine may take meanwhile
	after := usedTerminals(e)
	return after > before+others, fmt.Sprintf("%s 300; on the host there were %d, and are %d", line, before, after)
}

// usedTerminals is how many pseudo-terminals of this machine there are.
func usedTerminals(e *Env) int {
	e.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/pty/nr")
	if err != nil {
		e.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		e.Fatal(err)
	}
	return n
}

// noInjection says why the twin cannot be run: a kernel may refuse TIOCSTI to
// everybody (Linux 6.2, dev.tty.legacy_tiocsti).
func noInjection() string {
	legacy, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti")
	if err == nil && strings.TrimSpace(string(legacy)) == "0" {
		return "this kernel refuses it to everybody (dev.tty.legacy_tiocsti is 0)"
	}
	return ""
}

// AttackOnTerminal is Attack on a terminal of the command's own.
func (e *Env) AttackOnTerminal(args ...string) (through bool, seen string) {
	e.Helper()
	res, err := e.Sandbox.Run(e.Context(), kavach.Cmd{
		Args: append([]string{filepath.Join(e.Dir, "attack")}, args...), Terminal: &backend.WindowSize{Rows: 24, Cols: 80},
	})
	if err != nil {
		e.Fatalf("run %v on a terminal: %v", args, err)
	}
	return e.verdict(args, res)
}
