package guest

import (
	"os"

	"github.com/kavach-dev/kavach/internal/wire"
)

// Conn is one end of the channel between host and guest.
type Conn = wire.Conn

// NewChannel makes a channel: the host's end, and the file of the guest's, which is
// to be handed to it and closed. What comes over it is hostile.
func NewChannel() (*Conn, *os.File, error) { return wire.NewChannel(hostSide) }

// NewGuestConn wraps the guest's end.
func NewGuestConn(f *os.File) (*Conn, error) { return wire.NewConn(f, guestSide) }
