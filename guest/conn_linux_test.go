package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/testclock"

	"github.com/kavach-dev/kavach/internal/wire"
)

// pair makes a channel: the host's end as a Conn, and the raw other end.
func pair(t testing.TB) (*Conn, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	c, err := wire.NewConn(os.NewFile(uintptr(fds[0]), "channel"), hostSide)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, fds[1]
}

// Conn takes whatever a hostile guest writes, descriptors included: an error or
// frames, no panic, no descriptor that nobody closes.
func FuzzConn(f *testing.F) {
	for _, frame := range frames() {
		kind, payload := frame.Kind(), wire.Payload(frame)
		header := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
		b := append(append(header, kind, 0, 0, 0), payload...)
		f.Add(b, uint8(0))
		f.Add(append(bytes.Clone(b), b...), uint8(1))
	}
	f.Add([]byte{0, 0, 0, 0, kindReady, 1, 0, 0}, uint8(1)) // a descriptor where one is announced
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, kindReady, 0, 0, 0}, uint8(0))
	f.Add([]byte{0, 0, 0, 0, kindReady, 0, 1, 0}, uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, descriptors uint8) {
		if len(b) > 64<<10 {
			return // more than fits into the socket while nobody reads
		}
		before := countFDs(t)
		c, theirs := pair(t)
		var oob []byte
		if descriptors > 0 {
			oob = unix.UnixRights(make([]int, descriptors%8)...) // stdin, so many times
		}
		if len(b) > 0 {
			if err := unix.Sendmsg(theirs, b, oob, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT); err != nil {
				t.Skip(err)
			}
		}
		unix.Close(theirs)
		for range len(b) + 1 { // a frame takes bytes: there can be no more
			frame, fds, err := c.Receive()
			wire.CloseAll(fds)
			if err != nil {
				if frame != nil || fds != nil {
					t.Errorf("%v, and %+v with %v", err, frame, fds)
				}
				break
			}
			if len(fds) > wire.MaxFDs {
				t.Errorf("%d descriptors", len(fds))
			}
		}
		c.Close()
		if after := countFDs(t); after > before {
			t.Errorf("%d descriptors more", after-before)
		}
	})
}

func countFDs(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// What is hostile, and what comes of it.
func TestReceiveRefuses(t *testing.T) {
	ready := []byte{0, 0, 0, 0, kindReady, 0, 0, 0}
	tests := []struct {
		why         string
		bytes       []byte
		descriptors int
		want        error
	}{
		{"nothing, and the end", nil, 0, io.EOF},
		{"half a header", ready[:3], 0, io.ErrUnexpectedEOF},
		{"half a payload", []byte{4, 0, 0, 0, kindStarted, 0, 0, 0, 1}, 0, io.ErrUnexpectedEOF},
		{"more than a guest may send", []byte{0, 0, 2, 0, kindFailed, 0, 0, 0}, 0, wire.ErrFrame},
		{"reserved bytes", []byte{0, 0, 0, 0, kindReady, 0, 0, 1}, 0, wire.ErrFrame},
		{"a descriptor that is not announced", ready, 1, wire.ErrFrame},
		{"an announced descriptor that is not there", []byte{0, 0, 0, 0, kindReady, 1, 0, 0}, 0, wire.ErrFrame},
		{"more descriptors than there is room for", []byte{0, 0, 0, 0, kindReady, 253, 0, 0}, 253, wire.ErrFrame},
	}
	for _, test := range tests {
		t.Run(test.why, func(t *testing.T) {
			c, theirs := pair(t)
			before := countFDs(t)
			if len(test.bytes) > 0 {
				var oob []byte
				if test.descriptors > 0 {
					oob = unix.UnixRights(make([]int, test.descriptors)...)
				}
				if err := unix.Sendmsg(theirs, test.bytes, oob, nil, 0); err != nil {
					t.Fatal(err)
				}
			}
			unix.Close(theirs)
			frame, fds, err := c.Receive()
			if frame != nil || fds != nil || !errors.Is(err, test.want) {
				t.Errorf("%+v, %v, %v; want %v", frame, fds, err, test.want)
			}
			if after := countFDs(t); after > before-1 {
				t.Errorf("%d descriptors more", after-(before-1))
			}
		})
	}
}

// A peer that does not read must not hold up who wants to go.
func TestSendEndsByClose(t *testing.T) {
	c, theirs := pair(t)
	defer unix.Close(theirs)
	ended := make(chan error, 1)
	go func() {
		for {
			if err := c.Send(&Exec{Args: make([]string, 1<<16)}); err != nil {
				ended <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := testclock.Receive(ended, 30*time.Second); !ok {
		t.Fatal("Send still waits after Close")
	}
}
