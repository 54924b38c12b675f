package jail

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/evidence"
)

// Contained is the guest of a container whose runtime was run in a keeper.
type Contained struct {
	Agent    *agent.Agent
	Evidence evidence.Evidence
}

// Attendance is what Attend needs to know.
type Attendance struct {
	// Conn is the host's end of the channel to the guest. It is Attend's, also
	// where it fails.
	Conn *guest.Conn

	// Said is what the runtime, and the guest after it, wrote to stderr.
	Said *agent.Tail

	// Given is the environment that the process which is looked at has been given.
	Given []string

	// Look takes down what is to be seen of the probe, which waits meanwhile. Nil:
	// Evidence.Look, for a probe that is a process of this kernel.
	Look func(e *evidence.Evidence, p *evidence.Probe) error

	// Adapt changes what the guest is told where the kernel that it is on is not
	// the host's. Nil: nothing.
	Adapt func(*guest.Setup)
}

// Attend confines the guest of a container, and what it will start, looks at its
// probe, and returns when it is ready. Where it fails, the jail is to be closed.
func (j *Jail) Attend(ctx context.Context, a Attendance) (_ *Contained, err error) {
	lost := func(doing string, err error) error { return j.lost(doing, err, a.Said) }
	defer func() {
		if err != nil {
			a.Conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = j.killGuest() })() // ends the wait for an answer
	c := &Contained{}
	if c.Evidence.HostFile, err = hostCanary(&j.cfg, j.record.path); err != nil {
		return nil, err
	}
	probe, err := evidence.NewProbe()
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	setup := &guest.Setup{
		Contained: true, Confine: j.confine(), Rlimits: j.rlimits(),
		OOMFirst: j.group != nil, // the guest is in the group, too
		Probe:    true, ProbeForks: j.cfg.Filters.Kills,
	}
	setup.Confine.UserNS = -1 // the keeper's is the limit
	if a.Adapt != nil {
		a.Adapt(setup)
	}
	if err := a.Conn.Send(setup, probe.Inside(), probe.Inside()); err != nil {
		return nil, lost("send the set-up", err)
	}
	probe.Sent(c.Evidence.HostFile)
	c.Evidence.ABI, c.Evidence.RightsGaps, c.Evidence.Given = j.cfg.landlockABI(), RightsGaps(&j.cfg), a.Given
	look := a.Look
	if look == nil {
		look = func(e *evidence.Evidence, p *evidence.Probe) error { return e.Look(p, j.group, j.groupErr) }
	}
	problem := look(&c.Evidence, probe)
	probe.Close()
	fds, err := agent.Answer(a.Conn)
	closeAll(fds)
	var failed *guest.Failed
	switch {
	case errors.As(err, &failed):
		return nil, fmt.Errorf("set up the container: %w", failed)
	case problem != nil && err != nil:
		return nil, lost(problem.Error(), err)
	case problem != nil:
		return nil, problem
	case err != nil:
		return nil, lost("wait for the container's guest", err)
	case len(fds) > 0:
		return nil, errors.New("wait for the container's guest: it sent descriptors")
	}
	c.Agent = agent.New(agent.Config{Conn: a.Conn, Kill: j.killGuest, Lost: lost})
	j.closers = append(j.closers, c.Agent)
	return c, nil
}

// lost tells what was said at the end of a guest.
func (j *Jail) lost(doing string, err error, said *agent.Tail) error {
	if agent.Gone(err) {
		err = errors.New("the guest has ended")
	}
	if j.OOMKills() > 0 {
		err = fmt.Errorf("%w, and the sandbox was out of memory", err)
	}
	if last := strings.TrimSpace(said.String()); last != "" {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Group is the cgroup of the jail; nil, for why, where there is none.
func (j *Jail) Group() (group *cgroup.Group, why error) { return j.group, j.groupErr }

// PID is the guest's, on the host.
func (j *Jail) PID() int { return j.process.pid }
