package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Report says what confines a process, as far as it was tried there.
type Report struct {
	// Process is "sentry" or "gofer".
	Process string `json:"process"`

	// Landlock is the ABI of the kernel's Landlock, which confines it. Zero:
	// nothing does.
	Landlock int `json:"landlock"`

	// Refused is what was tried in the domain, and refused by it.
	Refused []string `json:"refused"`
}

// ErrNotConfined is a process that may do what its domain forbids.
var ErrNotConfined = errors.New("not confined")

// refused notes that an attempt was refused by Landlock, which answers EACCES.
func (r *Report) refused(what string, err error) error {
	if !errors.Is(err, unix.EACCES) {
		answer := "it was allowed"
		if err != nil {
			answer = err.Error()
		}
		return fmt.Errorf("the %s is %w: tried to %s, which Landlock must refuse: %s", r.Process, ErrNotConfined, what, answer)
	}
	r.Refused = append(r.Refused, what)
	return nil
}

// tryTCP connects to a port of this network namespace's own. Without a domain
// nobody listens there, or there is no way to it.
func (r *Report) tryTCP() error {
	if r.Landlock < abiNet {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot check TCP in the %s's domain: %w", r.Process, err)
	}
	defer unix.Close(fd)
	const discard = 9 // RFC 863; any port does
	return r.refused("connect to a TCP port", unix.Connect(fd, &unix.SockaddrInet4{Port: discard, Addr: [4]byte{127, 0, 0, 1}}))
}

// Write writes the report as one line, in the form of the lines that OCI runtimes
// write to their log.
func (r Report) Write(to io.Writer) error {
	line, err := json.Marshal(struct {
		Level   string `json:"level"`
		Message string `json:"msg"`
		Report
	}{"info", "confined", r})
	if err != nil {
		return err
	}
	_, err = to.Write(append(line, '\n'))
	return err
}
