package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/gate/quarantine"
)

// TestQuarantineScripts runs testdata/quarantine/*.txtar against the real program,
// with two items in the quarantine: $OUTPUT has stdout and stderr, $FILE is a file.
func TestQuarantineScripts(t *testing.T) {
	bin := kavachPath(t)
	testscript.RunT(scripts{t, t}, testscript.Params{
		Dir:                "testdata/quarantine",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(bin)+":"+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			s := &quarantine.Store{Dir: filepath.Join(env.WorkDir, "home", "store"), Keys: filepath.Join(env.WorkDir, "home", "keys")}
			env.Setenv("KAVACH_QUARANTINE_DIR", s.Dir)
			env.Setenv("KAVACH_QUARANTINE_KEYS", s.Keys)
			return fillQuarantine(t, s, env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": cmdStatus, "json": cmdJSON, "jsonkeys": cmdJSONKeys, "silent": cmdSilent,
		},
	})
}

func fillQuarantine(t *testing.T, s *quarantine.Store, env *testscript.Env) error {
	const secret = "ghp_0123456789abcdefghij"
	finding := func(stream, before string) gate.Finding {
		return gate.Finding{Rule: "github-token", Severity: gate.High, Stream: stream, Offset: int64(len(before)), Length: int64(len(secret)), Preview: gate.Mask([]byte(secret))}
	}
	part := func(name, text string) gate.Part { return gate.Part{Name: name, Content: strings.NewReader(text)} }
	output, err := s.Keep(t.Context(), gate.Held{
		Sandbox: "5f0c", Exec: 2, Verdict: gate.Quarantined,
		Findings: []gate.Finding{finding("stdout", "token\x1b[2J ")},
	}, part("stdout", "token\x1b[2J "+secret+"\nbye\n"), part("stderr", "a warning\n"))
	if err != nil {
		return err
	}
	path := "/srv/\x1b]0;title\a"
	file, err := s.Keep(t.Context(), gate.Held{
		Sandbox: "5f0d", Path: path, Mode: 0o4750, Verdict: gate.Quarantined, Findings: []gate.Finding{finding(path, "")},
	}, part("file", secret+" in a file\n"))
	env.Setenv("OUTPUT", output)
	env.Setenv("FILE", file)
	env.Setenv("SECRET", secret)
	return err
}
