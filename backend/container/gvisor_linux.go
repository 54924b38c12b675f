package container

import (
	"errors"
	"fmt"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/policy"
)

// logFile is where gVisor writes what it did, and what went wrong.
const logFile = jail.RuntimeDir + "/log"

// unsupported says what a policy asks for that gVisor's kernel does not have.
func unsupported(p *policy.Policy) error {
	refuse := func(c policy.Control, reason, fix string) error {
		return &backend.UnsupportedError{Backend: names[GVisor], Control: c, Reason: reason, Fix: fix}
	}
	if p.Seccomp.Mode == policy.SeccompLog {
		return refuse(policy.SeccompOn, "gVisor has no listener for system calls, so none can be logged (seccomp.mode log)", "use backend process or oci to find out which a program needs")
	}
	for _, m := range p.Filesystem.Mounts {
		if len(m.Rights) > 0 && p.Filesystem.Landlock != policy.Off && !p.MayMiss(policy.LandlockOn) {
			return refuse(policy.LandlockOn, fmt.Sprintf("gVisor has no Landlock for commands, which the rights of mount %s take", m.Source),
				"leave out the rights, or use backend process or oci, or go on by naming landlock under best_effort")
		}
	}
	return nil
}

// flags are those of the runtime before its command. gVisor's parts are to be
// confined as far as they can be: no cgroups of its own, no files of its own in
// the place of ours, and a gofer that opens files in the place of the sentry.
func (r *run) flags() []string {
	if r.backend.Kind != GVisor {
		return nil
	}
	network := "sandbox" // what is there, which is nothing
	if r.loopback {
		network = "none" // a loopback and nothing else
	}
	return []string{"--log", logFile, "--network=" + network, "--ignore-cgroups", "--overlay2=none", "--directfs=false"}
}

// hands adds to a command what says which descriptors the container inherits: the
// channel, and its program.
func (r *run) hands(args ...string) []string {
	if r.backend.Kind == GVisor {
		return append(args, "--pass-fd", fmt.Sprintf("%[1]d:%[1]d", guest.ChannelFD), "--exec-fd", fmt.Sprint(guest.ProgramFD))
	}
	return append(args, "--preserve-fds", "2")
}

// attendance is how the guest is confined, and looked at.
func (r *run) attendance(conn *guest.Conn) jail.Attendance {
	a := jail.Attendance{Conn: conn, Said: r.said}
	if r.backend.Kind != GVisor {
		return a
	}
	a.Adapt = func(s *guest.Setup) {
		s.Confine.Landlock, s.OOMFirst, s.Confine.Unheard = false, false, true // what its kernel has not
	}
	a.Look = func(e *evidence.Evidence, p *evidence.Probe) error {
		group, why := r.jail.Group()
		return errors.Join(e.Look(p, group, why), r.sentry.look(r, e.PID))
	}
	return a
}
