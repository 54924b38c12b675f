package credential

import "golang.org/x/sys/unix"

// awaitEnd waits until a child has ended, and leaves it to be reaped.
func awaitEnd(pid int) (ended bool) {
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	return err == nil
}

// noCore keeps a helper, whose memory holds the value, from dumping core: 1 is too
// small for a file, and where cores go to a program of the host, 0 would not prevent
// that (core(5)).
func noCore(pid int) {
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1}, nil) // it has ended
}
