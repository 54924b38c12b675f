package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/wasmwire"
)

// refuseFiles refuses descriptors, which modules cannot inherit: what is above the first
// three of theirs are the directories that they see.
func refuseFiles(cmd backend.Cmd) error {
	if len(cmd.Files) == 0 {
		return nil
	}
	return fmt.Errorf("descriptor %d for a module: those of WASI preview 1 inherit none but stdin, stdout and stderr; "+
		"give the credential as env:VAR, as stdin, or as file:PATH: %w", cmd.Files[0].FD, errors.ErrUnsupported)
}

// withSecrets is a command without those variables that its secrets take the place
// of, and what these are called, for a worker.
func withSecrets(cmd backend.Cmd) (backend.Cmd, []wasmwire.Given, error) {
	if len(cmd.Secrets) == 0 {
		return cmd, nil, nil
	}
	var c wasmwire.Config
	for _, s := range cmd.Secrets {
		c.Given = append(c.Given, wasmwire.Given{Name: s.Name, Length: uint32(min(len(s.Value()), wasmwire.MaxGivenSize))})
	}
	wrong := c.CheckGiven()
	if slices.ContainsFunc(cmd.Secrets, func(s backend.Secret) bool { return bytes.IndexByte(s.Value(), 0) >= 0 }) {
		wrong = unix.EINVAL
	}
	if wrong != 0 {
		return cmd, nil, &backend.ExecError{Path: cmd.Args[0], Step: "arguments", Errno: wrong}
	}
	cmd.Env = slices.DeleteFunc(slices.Clone(cmd.Env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.ContainsFunc(c.Given, func(g wasmwire.Given) bool { return g.Name == name })
	})
	return cmd, c.Given, nil
}
