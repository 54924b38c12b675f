package policy

import (
	"cmp"
	"fmt"
	"math"
)

// Bounds of what can be asked for.
const (
	// minMemory is room for the helper that starts a command and for a small
	// command; less ends in a kill that nobody understands.
	minMemory Bytes = 16 << 20

	// minCPUs is 1 ms of a period of 100 ms, the least that the kernel takes
	// (cpu.max; min_cfs_quota_period in kernel/sched).
	minCPUs = 0.01

	// maxCPUs is the largest CONFIG_NR_CPUS that Linux can be built with.
	maxCPUs = 8192

	// maxPIDs is PID_MAX_LIMIT of 64-bit kernels; pids.max takes no more
	// (proc_sys_kernel(5), pid_max).
	maxPIDs = 4194304
)

// Effective is r with each zero replaced by its default.
func (r Resources) Effective() Resources {
	return Resources{
		Memory:  cmp.Or(r.Memory, DefaultMemory),
		Swap:    r.Swap,
		IORead:  r.IORead,
		IOWrite: r.IOWrite,
		CPUs:    cmp.Or(r.CPUs, DefaultCPUs),
		PIDs:    cmp.Or(r.PIDs, DefaultPIDs),
		Output:  cmp.Or(r.Output, DefaultOutput),
		Timeout: cmp.Or(r.Timeout, DefaultTimeout),
	}
}

func (ps *problems) resources(r *Resources) {
	const orUnlimited = `, or "unlimited"`
	switch {
	case r.Memory == 0 || r.Memory == Unlimited:
	case r.Memory < minMemory:
		ps.add("resources.memory", fmt.Sprintf("%s is less than any command needs", r.Memory), fmt.Sprintf("give at least %s%s", minMemory, orUnlimited))
	}
	for _, size := range []struct {
		field string
		value Bytes
	}{{"resources.swap", r.Swap}, {"resources.io_read", r.IORead}, {"resources.io_write", r.IOWrite}} {
		if size.value < Unlimited {
			ps.add(size.field, fmt.Sprintf("%s is negative", size.value), "give a size, such as 1m"+orUnlimited)
		}
	}
	switch c := r.CPUs; {
	case c == 0 || c == Unlimited:
	case math.IsNaN(c) || c < minCPUs || c > maxCPUs:
		ps.add("resources.cpus", fmt.Sprintf("%v is out of range", c), fmt.Sprintf("give %v to %v%s", minCPUs, maxCPUs, orUnlimited))
	}
	if r.PIDs < Unlimited || r.PIDs > maxPIDs {
		ps.add("resources.pids", fmt.Sprintf("%d is out of range", r.PIDs), fmt.Sprintf("give 1 to %d%s", maxPIDs, orUnlimited))
	}
	if r.Output < Unlimited {
		ps.add("resources.output", fmt.Sprintf("%d is negative", r.Output), "give a size, such as 1m"+orUnlimited)
	}
	if r.Timeout < Unlimited {
		ps.add("resources.timeout", fmt.Sprintf("%s is negative", r.Timeout), "give a duration, such as 30s"+orUnlimited)
	}
}
