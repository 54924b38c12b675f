package container

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/rawfile"
	"github.com/kavach-dev/kavach/policy"
)

// containerDepth is in how many PID namespaces a process of a container is: the
// host's, the keeper's and its own.
const containerDepth = 3

// initOf are the pids, from the host's namespace inwards, of the process that a
// probe was forked from, as the kernel tells them (NSpid, proc_pid_status(5)).
func initOf(e evidence.Evidence) (pids []int, err error) {
	text, err := rawfile.Read("/proc/" + e.Status["PPid"] + "/status")
	if err != nil {
		return nil, fmt.Errorf("look at the container's guest: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	for _, field := range strings.Fields(line) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("look at the container's guest: NSpid is %q", line)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// proofs are what was seen of a container.
func (r *run) proofs(e evidence.Evidence, spec *backend.Spec, list []backend.Proof) []backend.Proof {
	for n := range list {
		if list[n].Control == policy.NSPid {
			list[n].Outside += fmt.Sprintf("; %s says that its container is process %d of the keeper, which is the probe's parent, /proc/%s",
				r.path, r.pid, e.Status["PPid"])
		}
	}
	return append(list, imageProof(spec.Image))
}

// imageProof tells of the digest that all of the root directory was held against
// when it was put into the store, which nobody but Kavach writes to.
func imageProof(image *backend.Image) backend.Proof {
	proof := backend.Proof{Control: policy.ImageVerified, State: backend.Missing}
	switch {
	case image == nil:
		proof.Outside = "the root directory is not that of an image"
	case image.Digest == "":
		proof.Outside = fmt.Sprintf("%s has no digest: nothing was checked", image.Ref)
	default:
		proof.State = backend.Enforced
		proof.Outside = fmt.Sprintf("%s is %s, against which its %d layers were checked: %s",
			image.Ref, image.Digest, len(image.Layers), strings.Join(image.Layers, ", "))
	}
	return proof
}
