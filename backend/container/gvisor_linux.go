package container

import (
	"errors"
	"fmt"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
)

// logFile is where gVisor writes what it did, and what went wrong.
const logFile = jail.RuntimeDir + "/log"

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
