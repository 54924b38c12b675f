package container

import (
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/backendtest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// TestGVisorConformance has no twins: what keeps code in is the sentry, and there
// is no layer of it to leave out. That the attempts get through where nothing
// holds is shown on the backends whose layers can be.
func TestGVisorConformance(t *testing.T) {
	program, runtime := testbin.Kavach(t), testbin.Runsc(t)
	fixed := make(map[policy.Control]string)
	for _, c := range policy.Controls() {
		fixed[c] = "gVisor's sentry serves the calls, with or without it"
	}
	backendtest.Run(t, backendtest.Target{
		New: func(without ...policy.Control) backend.Backend {
			return &Backend{Kind: GVisor, Guest: program, Runtime: runtime, without: without}
		},
		Layers: policy.Controls(), Fixed: fixed, Inside: true, Except: gvisorExcept(),
		NoTwin: map[string]string{
			"a fork bomb":               "what counts inside gets too little of a CPU beside 200 that fork; the twin of the number before it shows the limit",
			"leave a fifo and a socket": "they are the sentry's own, and are made in no directory of the host",
		},
		Refuses: map[string]string{
			"execute a program of a mount without execute": narrowed,
			"read a file of a mount without read_file":     narrowed,
			"list a mount without read_dir":                narrowed,
		},
	})
}

func TestGVisorCredentials(t *testing.T) {
	backendtest.Credentials(t, &Backend{Kind: GVisor, Guest: testbin.Kavach(t), Runtime: testbin.Runsc(t)}, nil)
}

const narrowed = "gVisor's kernel has no Landlock, which is what keeps the rights that a mount leaves out"

// gvisorExcept are the rows that its kernel answers otherwise, none of which
// CONTAINMENT asks of it.
func gvisorExcept() map[string]string {
	const ownDevice = "nodev is this kernel's word; what is opened is the sentry's own device of that number, or ENXIO (TestGVisorDevices)"
	except := map[string]string{
		"use a device node of a mounted directory":             ownDevice,
		"use the host's devices where /dev is mounted":         ownDevice,
		"write /proc/sysrq-trigger":                            "it is a file of the sentry's that does nothing (TestGVisorSysrq)",
		"send the guest every signal in every way":             "gVisor lets signals of its own user through to PID 1: a command can end its own sandbox, and what else runs in it, but nothing outside",
		"meddle with the guest by oom_score_adj":               "it is a number that gVisor keeps and heeds nowhere: this kernel kills the sentry, and so the whole sandbox",
		"make a user namespace where the policy has no filter": "it is one of the sentry's, in which capabilities are the sentry's to heed; this kernel is not asked",
	}
	except["export a file that a command may not read"] = "gVisor's kernel has no Landlock, so a command may read that file"
	except["memory: semaphores"] = "gVisor takes no memory for a semaphore that nobody has used"
	for _, right := range []string{
		"read", "write", "truncate", "open truncate", "execute", "unlink", "rename", "rename away", "exchange", "link", "link away", "link in",
		"make file", "make dir", "make link", "make fifo", "make node", "make socket",
	} {
		except["without the right, "+right] = narrowed + "; a policy with such a mount is refused"
	}
	return except
}
