package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/policy"
)

// where is the directory of a plugin in its sandbox.
const where = "/plugin"

// confine is the policy of a plugin: the preset basic, with the plugin's own
// directory and no time limit. A plugin that runs for hours writes more than any
// limit of a command's output would let through, and then would be heard no
// more: the host takes all of it, as it comes, and keeps none (conn.go).
func confine(dir string, minScore int) (policy.Policy, error) {
	p, err := policy.Preset("basic")
	if err != nil {
		return p, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return p, err
	}
	p.Name = "plugin"
	p.Filesystem.Mounts = []policy.Mount{{Source: dir, Target: where}}
	p.Filesystem.TmpSize = 16 << 20
	p.Network.Loopback = false
	p.Resources = policy.Resources{
		Memory: 128 << 20, CPUs: 1, PIDs: 32,
		Output: policy.Unlimited, Timeout: policy.Unlimited,
	}
	p.Require.MinScore = minScore
	return p, p.Validate()
}

// inSandbox launches a command in a sandbox of its own, which ends with it: a
// next life finds nothing that this one left.
func inSandbox(rt *kavach.Runtime, p policy.Policy, args []string) launch {
	return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (err error) {
		sb, err := rt.Create(ctx, kavach.Config{Policy: p})
		if low := (*kavach.ScoreError)(nil); errors.Is(err, errors.ErrUnsupported) || errors.As(err, &low) {
			return fmt.Errorf("%w: %w", errNever, err)
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sb.Destroy(context.WithoutCancel(ctx))) }()
		res, err := sb.Run(ctx, kavach.Cmd{Args: args, Stdin: stdin, Stdout: stdout, Stderr: stderr})
		switch {
		case err != nil:
			return err
		case res.OOMKilled:
			return errors.New("killed for want of memory")
		case res.Signal != 0:
			return fmt.Errorf("killed by signal %d", res.Signal)
		case res.ExitCode != 0:
			return fmt.Errorf("exited with code %d", res.ExitCode)
		}
		return nil
	}
}
