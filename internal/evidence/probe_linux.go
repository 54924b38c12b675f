package evidence

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
)

// Probe is the host's side of looking at a probe.
type Probe struct {
	ours, inside int
	closed       bool
}

// NewProbe makes the socket that will be the probe's stdin and stdout. It keeps
// the borders of messages, and the kernel puts the sender's pid to each.
func NewProbe() (*Probe, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p := &Probe{ours: pair[0], inside: pair[1]}
	if err := unix.SetsockoptInt(p.ours, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Inside is the descriptor that becomes the probe's stdin and stdout.
func (p *Probe) Inside() int { return p.inside }

// Sent lets go of the inside end, which the guest has now, and tells the probe
// which file to look for.
func (p *Probe) Sent(hostFile string) {
	unix.Close(p.inside)
	p.inside = -1
	_ = unix.Send(p.ours, []byte(hostFile), unix.MSG_NOSIGNAL) // a guest that is gone is noticed next
}

// Close lets the probe end.
func (p *Probe) Close() {
	if p.closed {
		return
	}
	p.closed = true
	unix.Close(p.ours)
	if p.inside >= 0 {
		unix.Close(p.inside)
	}
}

// report waits for the probe's report, and returns with it the pid that the
// kernel says it came from.
func (p *Probe) report() (r guest.Report, pid int, err error) {
	b, oob := make([]byte, guest.ReportSize+1), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	n, oobn, _, _, err := unix.Recvmsg(p.ours, b, oob, unix.MSG_CMSG_CLOEXEC)
	for err == unix.EINTR {
		n, oobn, _, _, err = unix.Recvmsg(p.ours, b, oob, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return r, 0, err
	}
	if n == 0 {
		return r, 0, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return r, 0, errors.Join(err, errors.New("no credentials came with the probe's report"))
	}
	cred, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil {
		return r, 0, err
	}
	r, err = guest.DecodeReport(b[:n])
	return r, int(cred.Pid), err
}
