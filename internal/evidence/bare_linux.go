package evidence

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// proveBare is Prove, where there are no namespaces: what they are is missing,
// and what stands in for a part of it is told as that part.
func proveBare(e Evidence, p *policy.Policy, f *seccomp.Filters) []backend.Proof {
	missing := func(c policy.Control, words string) backend.Proof {
		return backend.Proof{Control: c, State: backend.Missing, Outside: words}
	}
	return append(namespaceProofs(e),
		missing(policy.NSUser, fmt.Sprintf("/proc/%d/ns/user is the host's", e.PID)),
		missing(policy.RootPivoted, fmt.Sprintf("/proc/%d/root is the host's; Landlock alone keeps its files", e.PID)),
		bareCaps(e), nnpProof(e), fdsProof(e), envProof(e),
		missing(policy.ProcMasked, "/proc is the host's; Landlock alone keeps it, but for a few files"),
		seccompProof(e, p, f), bareLandlock(e, p), bareNet(e), bareReadonly(e), limitsProof(e, p))
}

// bareCaps: an ordinary user cannot empty the bounding set, out of which nothing
// can be had with no_new_privs.
func bareCaps(e Evidence) backend.Proof {
	proof := capsProof(e)
	rest := e.Status["CapBnd"]
	e.Status["CapBnd"] = "0"
	none := capsProof(e).State == backend.Enforced
	e.Status["CapBnd"] = rest
	if proof.State == backend.Missing && none && e.Status["NoNewPrivs"] == "1" {
		proof.State = backend.Partial
		proof.Outside += "; NoNewPrivs 1 keeps what the bounding set would let be had"
	}
	return proof
}

// bareLandlock is landlockProof, but for TCP, which no command has a socket for.
func bareLandlock(e Evidence, p *policy.Policy) backend.Proof {
	sockets := *p
	sockets.Network.Loopback = true
	proof := landlockProof(e, &sockets)
	proof.Inside = strings.Replace(proof.Inside, guest.CanaryPath, e.Canary, 1)
	return proof
}

// bareNet: the filter refuses every socket. There is the host's network behind
// it, so it is a part of what a network namespace is.
func bareNet(e Evidence) backend.Proof {
	refused := e.Report[guest.TryRoute] == unix.EPERM && e.Report[guest.TryTCP] == unix.EPERM && e.Status["Seccomp"] == "2"
	proof := backend.Proof{
		Control: policy.NetOff, State: backend.Missing,
		Outside: fmt.Sprintf("/proc/%d/ns/net is the host's; /proc/%d/status: Seccomp %s", e.PID, e.PID, e.Status["Seccomp"]),
		Inside:  fmt.Sprintf("socket, UDP and TCP: %s, %s", Answer(e.Report[guest.TryRoute]), Answer(e.Report[guest.TryTCP])),
	}
	if refused {
		proof.State = backend.Partial
	}
	return proof
}

// bareReadonly: Landlock refuses to write anywhere but in one directory.
func bareReadonly(e Evidence) backend.Proof {
	proof := backend.Proof{
		Control: policy.RootReadonly, State: backend.Missing,
		Inside: "create a file in a directory of its user: " + Answer(e.Report[guest.TryWrite]),
	}
	if e.Report[guest.TryWrite] == unix.EACCES {
		proof.State = backend.Partial
	}
	return proof
}
