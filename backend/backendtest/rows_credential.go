//go:build linux

package backendtest

import (
	"encoding/hex"
	"path/filepath"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/policy"
)

// The secret that these rows look for: a variable of Kavach's own, and each way to give
// it.
const (
	sourceVariable = "KAVACH_TEST_CANARY"
	secretFile     = "/run/secrets/canary"
)

var allWays = []policy.Credential{
	{Name: "variable", Source: "env:" + sourceVariable, As: "env:GIVEN"},
	{Name: "pipe", Source: "env:" + sourceVariable, As: "fd:7"},
	{Name: "stdin", Source: "env:" + sourceVariable, As: "stdin"},
	{Name: "file", Source: "env:" + sourceVariable, As: "file:" + secretFile},
}

func withSecrets(p *policy.Policy) { p.Credentials = allWays }

// credentialRows are CONTAINMENT 55, and what of 19, 27 and 64 is about secrets: what
// is seen from inside. What is to be seen from the host is in package canary.
var credentialRows = []Row{
	{
		Number: 55, Name: "look for a secret when its command has ended",
		Why:    "a command has a secret as long as it runs; who comes after it, in the same sandbox, finds nothing of it in any process, the guest included, or any file",
		Layers: noLayers, Policy: withSecrets,
		Attempt: func(e *Env) (bool, string) {
			e.given(`exec 9<` + secretFile + `; test -n "$GIVEN" && cat <&7 >/dev/null && cat >/dev/null && cat <&9 >/dev/null`)
			return e.seek(e.Sandbox)
		},
		Contrast: func(e *Env) (bool, string) {
			e.given(`(exec sleep 60 >/dev/null 2>&1 </dev/null) & :`) // which has it in its environment, for good
			return e.seek(e.Sandbox)
		},
	},
	{
		Number: 19, Name: "look for a secret that Kavach could give",
		Why:    "where a value comes from is Kavach's own environment, of which the guest and its commands have nothing (27)",
		Layers: noLayers, Policy: withSecrets,
		Attempt: func(e *Env) (bool, string) {
			e.Setenv(sourceVariable, e.SecretText)
			return e.seek(e.Sandbox)
		},
		Contrast: func(e *Env) (bool, string) {
			e.given(`(exec sleep 60 >/dev/null 2>&1 </dev/null) & :`)
			return e.seek(e.Sandbox)
		},
	},
	{
		Number: 55, Name: "look for a secret of another sandbox",
		Why:    "files in memory, pipes and environments are of one sandbox",
		Layers: noLayers, Policy: withSecrets,
		Attempt: func(e *Env) (bool, string) {
			e.given(`(exec sleep 60 >/dev/null 2>&1 </dev/null) & :`)
			return e.seek(e.Another())
		},
		Contrast: func(e *Env) (bool, string) {
			e.given(`(exec sleep 60 >/dev/null 2>&1 </dev/null) & :`)
			return e.seek(e.Sandbox)
		},
	},
	{
		Number: 55, Name: "write a secret where it stays",
		Why:    "what a command copies is looked for by the gate wherever it leaves, so no copy gets to the host's disk",
		Layers: noLayers, Policy: withSecrets,
		NoTwin: "a plain file beside it is exported in the same call",
		Attempt: func(e *Env) (bool, string) {
			e.given(`cat ` + secretFile + ` > /tmp/plainly; base64 ` + secretFile + ` > /tmp/encoded; mkdir /tmp/dir; printf 'token = %s\n' "$GIVEN" > /tmp/dir/config`)
			return e.takes("plainly", "encoded", "dir")
		},
	},
}

// given runs a script that is given the secret in every way.
func (e *Env) given(script string) {
	e.Helper()
	e.Setenv(sourceVariable, e.SecretText)
	res, err := e.Sandbox.Run(e.Context(), kavach.Cmd{Args: []string{"sh", "-c", script}})
	if err != nil || res.ExitCode != 0 {
		e.Fatalf("%s: %v: %+v", script, err, res)
	}
	if len(res.Credentials) != len(allWays) {
		e.Fatalf("given %+v", res.Credentials)
	}
}

// seek has a command that is given nothing look for the secret. The command is not told
// what it looks for in a form that it could find.
func (e *Env) seek(sb *kavach.Sandbox) (bool, string) {
	e.Helper()
	const mask = 0x5a
	masked := []byte(e.SecretText)
	for i := range masked {
		masked[i] ^= mask
	}
	args := []string{filepath.Join(e.Dir, "attack"), "seek", hex.EncodeToString(masked)}
	res, err := sb.Run(e.Context(), kavach.Cmd{Args: args, Credentials: []string{}})
	if err != nil {
		e.Fatal(err)
	}
	through, seen := e.verdict(args, res)
	if !strings.Contains(seen, "looked at") {
		e.Fatalf("nobody looked: %+v", res)
	}
	return through, seen
}
