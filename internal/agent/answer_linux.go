package agent

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
)

// Answer reads a guest's word on its set-up: nil, with the descriptors that came
// with Ready, which are the caller's; a *guest.Failed, fit to be shown; or what
// went wrong with the channel.
func Answer(conn *guest.Conn) (fds []int, err error) {
	frame, fds, err := conn.Receive()
	if _, ready := frame.(*guest.Ready); ready {
		return fds, nil
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	if f, failed := frame.(*guest.Failed); failed {
		f.Step, f.Detail = Printable(f.Step), Printable(f.Detail)
		return nil, f
	}
	if err == nil {
		err = fmt.Errorf("the guest sent a frame of type %T in the place of an answer", frame)
	}
	return nil, err
}

// Gone reports whether an error of the channel says that the guest has ended.
func Gone(err error) bool {
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)
}
