package main

import (
	"context"
	"fmt"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/policy"
)

// rowExec is what the rows of secrets are compared with.
const rowExec = "exec true"

// secretWays are what a command is given: so many secrets, in one way.
var secretWays = []struct {
	name, what, as string
	n              int
}{
	{"exec, 1 secret", "the same, given one secret as a variable", "env:S%d", 1},
	{"exec, 100 secrets", "given 100 as variables", "env:M%d", 100},
	{"exec, 1 secret file", "given one as a file in memory", "file:/run/secrets/one%d", 1},
	{"exec, 100 secret files", "given 100 as files", "file:/run/secrets/n%d", 100},
	{"exec, 1 secret pipe", "given one as descriptor 3", "fd:3", 1},
}

// constant is a source that has each value at hand, so that what is measured is the
// giving.
type constant struct{}

func (constant) Secret(_ context.Context, name string) ([]byte, error) {
	return []byte("the value of the secret that is called " + name), nil
}

// secretRows run a program in one sandbox that stays, with secrets. The gate knows each,
// as it does for everybody.
func secretRows(rt *kavach.Runtime) (*standing, []*row) {
	s := new(standing)
	cfg := kavach.Config{Backend: "process"}
	var rows []*row
	for i, way := range secretWays {
		var names []string
		for n := range way.n {
			as := way.as
			if way.as != "fd:3" {
				as = fmt.Sprintf(way.as, n)
			}
			ref := credential.Ref{Credential: policy.Credential{Name: fmt.Sprintf("w%d.%d", i, n), Source: "a constant", As: as}, From: constant{}}
			cfg.Credentials, names = append(cfg.Credentials, ref), append(names, ref.Name)
		}
		rows = append(rows, &row{name: way.name, what: way.what, against: rowExec, once: func(w *watch) (err error) {
			if s.sb == nil {
				if cfg.Policy, err = policy.Preset("strict"); err != nil {
					return err
				}
				if s.sb, err = rt.Create(context.Background(), cfg); err != nil {
					return err
				}
			}
			run := func() error { return runGiven(s.sb, names) }
			if err := run(); err != nil { // the gate learns them once
				return err
			}
			return w.time(run)
		}})
	}
	return s, rows
}

func runGiven(sb *kavach.Sandbox, names []string) error {
	res, err := sb.Run(context.Background(), kavach.Cmd{Args: []string{truePath}, Credentials: names})
	if err == nil && res.ExitCode != 0 {
		err = fmt.Errorf("%s, given %d secrets: exit code %d: %s", truePath, len(names), res.ExitCode, res.Stderr)
	}
	return err
}
