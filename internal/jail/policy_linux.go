package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// Of makes of what a backend is given what a jail is told, in addition to what is
// in c already. Notes say, for people, what was made of it.
func Of(spec *backend.Spec, c Config) (_ Config, notes []string, err error) {
	p := &spec.Policy
	r := p.Resources.Effective()
	c.ID, c.UID, c.GID = spec.ID, os.Geteuid(), os.Getegid()
	c.Root, c.Writable, c.Mounts = p.Filesystem.Root, p.Filesystem.Writable, p.Filesystem.Mounts
	c.Scratch, c.Loopback, c.Landlock = int64(p.Filesystem.TmpSize), p.Network.Loopback, p.Filesystem.Landlock != policy.Off
	c.Memory, c.PIDs, c.CPUs = int64(r.Memory), int64(r.PIDs), r.CPUs
	c.Swap, c.IORead, c.IOWrite = int64(r.Swap), int64(r.IORead), int64(r.IOWrite)
	c.SecretFiles = spec.SecretFiles
	if spec.Image != nil {
		c.Root, c.Layers = "", spec.Image.Layers
	}
	if p.Process.User != "" {
		uid, gid, both := strings.Cut(p.Process.User, ":")
		if !both {
			gid = uid
		}
		var errs [2]error
		c.UID, errs[0] = strconv.Atoi(uid)
		c.GID, errs[1] = strconv.Atoi(gid)
		if err := errors.Join(errs[:]...); err != nil {
			return c, nil, fmt.Errorf("process.user %q: %w", p.Process.User, err)
		}
	}
	if err := c.wantLandlock(p.MayMiss(policy.LandlockOn)); err != nil {
		return c, nil, err
	}
	direct := slices.ContainsFunc(p.Filesystem.Mounts, func(m policy.Mount) bool { return m.Access == policy.AccessDirect })
	c.NoSetID = direct && seccomp.Asked(&p.Seccomp)
	c.Filters, notes, err = seccomp.Of(&p.Seccomp, seccomp.Place{NoSetID: c.NoSetID, Unheard: c.Unheard, Worker: c.Worker != nil})
	return c, notes, err
}

// StartFor is Start, which goes on without limits that cannot be had here where
// the policy may miss them, and with a copy of the root directory's layers where
// they cannot be laid over each other.
func StartFor(ctx context.Context, c Config, p *policy.Policy) (*Jail, error) {
	j, err := startWithin(ctx, &c, p)
	var refused *overlayError
	if !errors.As(err, &refused) {
		return j, err
	}
	if err := c.copyRoot(ctx, refused); err != nil {
		return nil, err
	}
	return Start(ctx, c)
}

// startWithin is Start with the limits that c is left with.
func startWithin(ctx context.Context, c *Config, p *policy.Policy) (*Jail, error) {
	j, err := Start(ctx, *c)
	var limit *LimitError
	if !errors.As(err, &limit) {
		return j, err
	}
	if !p.MayMiss(policy.Limits) {
		return nil, &backend.UnsupportedError{
			Backend: c.Backend, Control: policy.Limits, Reason: err.Error(),
			Fix: evidence.Fix(policy.Limits) + "; or go on without it by naming limits under best_effort",
		}
	}
	c.Swap, c.IORead, c.IOWrite = 0, 0, 0
	return Start(ctx, *c)
}

// wantLandlock refuses what this kernel's Landlock cannot do, or goes on without
// where the policy lets it: the proof says then what is missing.
func (c *Config) wantLandlock(mayMiss bool) error {
	if !c.Landlock {
		return nil
	}
	refuse := &backend.UnsupportedError{Backend: c.Backend, Control: policy.LandlockOn}
	if guest.LandlockABI() == 0 {
		refuse.Reason = "this kernel has no Landlock"
		refuse.Fix = evidence.Fix(policy.LandlockOn) + "; or go on without it by naming landlock under best_effort"
		c.Landlock = false
	} else if gaps := RightsGaps(c); len(gaps) > 0 {
		refuse.Reason = strings.Join(gaps, "; ")
		refuse.Fix = "name the rights, or mount it elsewhere, or go on by naming landlock under best_effort"
	}
	if refuse.Reason == "" || mayMiss {
		return nil
	}
	return refuse
}

// Hint looks for a command, which is not in the sandbox, on the host.
func Hint(e *backend.ExecError, shown *policy.Filesystem) string {
	if e.Step == "chdir" {
		return "start in a directory that is visible in the sandbox (--workdir); --volume shows one"
	}
	if !e.NotFound() {
		return ""
	}
	if shown.Image != "" { // which does not want the host's programs
		return "image " + shown.Image + " does not have it, or not in its PATH; or it does not have the interpreter or loader that it names"
	}
	if shown.Root == "" {
		return `filesystem.root of the policy is empty, so there are no programs; "host" shows those of the host (of several policies, in each)`
	}
	if strings.Contains(e.Path, "/") {
		if _, err := os.Stat(e.Path); err == nil && strings.HasPrefix(e.Path, "/") {
			return fmt.Sprintf("it, or the interpreter or loader that it names, is on the host but not visible; --volume %s:%s:ro shows it", e.Path, e.Path)
		}
		return ""
	}
	for _, dir := range strings.Split(os.Getenv("PATH"), ":") {
		path := dir + "/" + e.Path
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && strings.HasPrefix(dir, "/") {
			return fmt.Sprintf("the host has it as %s, which is not visible or not in the sandbox's PATH; --volume %s:%s:ro and --env PATH=… show it", path, dir, dir)
		}
	}
	return ""
}
