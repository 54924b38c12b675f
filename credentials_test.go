package kavach_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/noop"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/policy"
)

type constant string

func (c constant) Secret(context.Context, string) ([]byte, error) { return []byte(c), nil }

// Commands of one sandbox can read each other's secrets, so what is given to one must
// not leave by another, also by one that was there before.
func TestSecretOfAnother(t *testing.T) {
	const value = "of-the-second-command"
	rt := &kavach.Runtime{Backends: []backend.Backend{noop.Backend{}}}
	for _, given := range []bool{true, false} {
		sb, err := rt.Create(t.Context(), kavach.Config{Backend: "noop", Credentials: []credential.Ref{{
			Credential: policy.Credential{Name: "token", Source: "a test", As: "env:TOKEN"}, From: constant(value),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		in, stdin := io.Pipe()
		out, stdout := io.Pipe()
		first, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "echo ready; cat"}, Credentials: []string{}, Stdin: in, Stdout: stdout})
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		lines.Scan()
		second := kavach.Cmd{Args: []string{"true"}}
		if !given {
			second.Credentials = []string{}
		}
		if res, err := sb.Run(t.Context(), second); err != nil || len(res.Credentials) > 0 != given {
			t.Fatalf("%+v, %v", res, err)
		}
		go func() { fmt.Fprintln(stdin, "it is "+value); stdin.Close() }()
		lines.Scan()
		if got := lines.Text(); strings.Contains(got, value) == given {
			t.Errorf("given: %v; it prints %q", given, got)
		}
		if _, err := first.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if err := sb.Destroy(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
