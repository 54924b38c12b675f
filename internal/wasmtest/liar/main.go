//go:build linux

// Command liar is a worker of the wasm backend that has been taken over: it says what
// no worker would. What it lies about is the name of the module that it is to load.
package main

import (
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
)

func main() {
	conn, err := wire.NewConn(os.NewFile(wasmwire.ChannelFD, "channel"), wire.Protocol{New: wasmwire.WorkerSide.New, MaxIn: wasmwire.WorkerSide.MaxIn, MaxOut: 16 << 20})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	l := &liar{conn: conn}
	for {
		frame, fds, err := conn.Receive()
		if err != nil {
			os.Exit(1)
		}
		l.answer(frame, fds)
		wire.CloseAll(fds)
	}
}

type liar struct {
	conn  *wire.Conn
	about string
}

const digest = "0123456789abcdef0123456789abcdef"

func (l *liar) say(f wire.Frame, fds ...int) { _ = l.conn.Send(f, fds...) } // who does not listen is not lied to

func (l *liar) answer(frame wire.Frame, fds []int) {
	const refused = uint32(unix.EPERM)
	switch f := frame.(type) {
	case *wasmwire.Setup:
		l.say(&wasmwire.Hello{Exec: refused, Socket: refused, Filter: refused})
	case *wasmwire.Load:
		l.about = strings.TrimSuffix(path.Base(f.Name), ".wasm")
		l.load()
	case *wasmwire.Want:
		l.want(fds)
	case *wasmwire.Code:
		l.say(&wasmwire.Loaded{})
	case *wasmwire.Run:
		l.run()
	case *wasmwire.Serve:
		l.say(&wasmwire.Ready{Functions: []wasmwire.Function{{Name: "f", Results: []byte{0x7f}}, {Name: "f", Results: []byte{0x7f}}}})
	case *wasmwire.Call:
		l.call()
	case *wasmwire.Read:
		l.say(&wasmwire.Data{OK: true, Bytes: make([]byte, f.Size+1)})
	case *wasmwire.HostReturn:
		l.say(&wasmwire.HostCall{Index: 0, Args: []uint64{1}}) // for ever
	}
}

func (l *liar) load() {
	switch l.about {
	case "hang":
		time.Sleep(time.Hour)
	case "leave":
		os.Exit(0)
	case "flood":
		for {
			l.say(&wasmwire.Found{Digest: digest, Size: 1})
		}
	case "descriptors":
		l.say(&wasmwire.Found{Digest: digest, Size: 1}, 0, 1, 2)
	case "other":
		l.say(&wasmwire.Started{})
	case "nodigest":
		l.say(&wasmwire.Found{Digest: "short", Size: 1})
	case "nosize":
		l.say(&wasmwire.Found{Digest: digest})
	case "vast":
		l.say(&wasmwire.Found{Digest: digest, Size: 1 << 62})
	case "long":
		l.say(&wasmwire.Failed{Step: "x", Reason: strings.Repeat("\x1b[2J\n", 2<<20)})
	case "escapes":
		l.say(&wasmwire.Failed{Step: "\x1b]0;owned\x07", Reason: "\x1b[2Jlook", Errno: 1 << 20})
	case "garbage":
		_ = unix.Sendmsg(wasmwire.ChannelFD, []byte(strings.Repeat("\xff", 4096)), nil, nil, 0)
		time.Sleep(time.Hour)
	case "kept", "run", "returns", "results", "hostcall", "forever", "exits", "memory", "spin":
		l.say(&wasmwire.Found{Digest: digest, Size: 1, Kept: true})
	default: // those that lie later
		l.say(&wasmwire.Found{Digest: digest, Size: 100})
	}
}

// want is asked for a module with that digest, of which there is none.
func (l *liar) want(fds []int) {
	switch l.about {
	case "unwritten":
	case "more":
		_, _ = unix.Pwrite(fds[0], make([]byte, 1<<20), 0)
	case "mapped":
		_ = unix.Ftruncate(fds[0], 4096)
		_, _ = unix.Mmap(fds[0], 0, 100, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	default:
		_, _ = unix.Pwrite(fds[0], make([]byte, 100), 0)
	}
	l.say(&wasmwire.Written{})
}

func (l *liar) run() {
	switch l.about {
	case "run":
		l.say(&wasmwire.Started{}, 0) // a descriptor with it
	default:
		l.say(&wasmwire.Started{})
		for range 1000 {
			l.say(&wasmwire.Ended{OutOfMemory: true, Reason: strings.Repeat("x", 1<<20)})
		}
		os.Exit(3)
	}
}

func (l *liar) call() {
	switch l.about {
	case "results":
		l.say(&wasmwire.Returned{Results: make([]uint64, 100)})
	case "hostcall":
		l.say(&wasmwire.HostCall{Index: 99})
	case "forever":
		l.say(&wasmwire.HostCall{Index: 0, Args: []uint64{1}})
	case "exits":
		os.Exit(0)
	case "spin":
		time.Sleep(time.Hour)
	default:
		l.say(&wasmwire.Started{})
	}
}
