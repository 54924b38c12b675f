//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long an answer is waited for on a network of this machine.
const patience = time.Second

// broken ends the program where it could not even try.
func broken(err error) {
	fmt.Fprintln(os.Stderr, "attack:", err)
	os.Exit(2)
}

// dial NETWORK ADDR… gets through if one of them answers. Networks are those of
// package net, and mptcp, which is TCP to everybody but a filter of TCP.
func dial(args []string) (string, error) {
	var seen []error
	for _, addr := range args[1:] {
		err := dialOne(args[0], addr)
		if err == nil {
			return args[0] + " " + addr + " answers", nil
		}
		seen = append(seen, err)
	}
	return "", errors.Join(seen...)
}

func dialOne(network, addr string) error {
	d := net.Dialer{Timeout: patience}
	d.SetMultipathTCP(network == "mptcp")
	if network == "mptcp" {
		network = "tcp"
	}
	c, err := d.Dial(network, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience)) // a connection that was just made takes one
	_, writeErr := c.Write([]byte("ping"))
	// Who listens on a stream may have answered and gone before it is asked.
	if _, err = c.Read(make([]byte, 4)); err != nil {
		return errors.Join(writeErr, err)
	}
	return nil
}

// dialFast ADDR connects to an IPv4 address without connect(2): TCP Fast Open
// sends the first data, and with it the connection, by sendto(2).
func dialFast(args []string) (string, error) {
	host, port, err := net.SplitHostPort(args[0])
	if err != nil {
		broken(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		broken(err)
	}
	to := &unix.SockaddrInet4{Port: n, Addr: [4]byte(net.ParseIP(host).To4())}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "socket", err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		broken(err)
	}
	if err := unix.Sendto(fd, []byte("ping"), unix.MSG_FASTOPEN|unix.MSG_NOSIGNAL, to); err != nil {
		return "sendto with MSG_FASTOPEN", err
	}
	buf := make([]byte, 4)
	if k, err := unix.Read(fd, buf); err != nil || k == 0 {
		return "read", errors.Join(err, errors.New("no answer"))
	}
	return "TCP Fast Open to " + args[0] + " answers", nil
}

// listen NETWORK ADDR prints where it listens, and answers whoever comes, until
// it is killed.
func listen(args []string) (string, error) {
	switch args[0] {
	case "udp":
		c, err := net.ListenPacket(args[0], args[1])
		if err != nil {
			return "listen", err
		}
		fmt.Println("listening", c.LocalAddr())
		for buf := make([]byte, 64); ; {
			if n, from, err := c.ReadFrom(buf); err == nil {
				_, _ = c.WriteTo(buf[:n], from)
			}
		}
	default:
		// Go listens for MPTCP as well, which no rule on TCP is asked about.
		var lc net.ListenConfig
		lc.SetMultipathTCP(args[0] == "mptcp")
		l, err := lc.Listen(context.Background(), strings.Replace(args[0], "mptcp", "tcp", 1), args[1])
		if err != nil {
			return "listen", err
		}
		fmt.Println("listening", l.Addr())
		for {
			if c, err := l.Accept(); err == nil {
				_, _ = c.Write([]byte("pong"))
				c.Close()
			}
		}
	}
}

// dialOwn NETWORK connects to a listener of this same process over loopback.
func dialOwn(args []string) (string, error) {
	host := "127.0.0.1:0"
	if strings.HasSuffix(args[0], "6") {
		host = "[::1]:0"
	}
	if strings.HasPrefix(args[0], "udp") {
		c, err := net.ListenPacket(args[0], host)
		if err != nil {
			return "listen", err
		}
		go func() {
			buf := make([]byte, 64)
			if n, from, err := c.ReadFrom(buf); err == nil {
				_, _ = c.WriteTo(buf[:n], from)
			}
		}()
		return c.LocalAddr().String(), dialOne(args[0], c.LocalAddr().String())
	}
	l, err := net.Listen(args[0], host)
	if err != nil {
		return "listen", err
	}
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write([]byte("pong"))
			c.Close()
		}
	}()
	return l.Addr().String(), dialOne(args[0], l.Addr().String())
}

// list DIR NAME gets through if the directory has a file whose name holds NAME.
func list(args []string) (string, error) {
	entries, err := os.ReadDir(args[0])
	for _, e := range entries {
		if strings.Contains(e.Name(), args[1]) {
			return "there is " + e.Name(), nil
		}
	}
	return fmt.Sprintf("%d files", len(entries)), errors.Join(err, errors.New("not the one that was looked for"))
}

// families are socket families, types and protocols by which code gets at more
// of the kernel than the network stack, or past it.
var families = map[string][3]int{
	"vsock":        {unix.AF_VSOCK, unix.SOCK_STREAM, 0},
	"packet":       {unix.AF_PACKET, unix.SOCK_RAW, 0},
	"packet-dgram": {unix.AF_PACKET, unix.SOCK_DGRAM, 0},
	"alg":          {unix.AF_ALG, unix.SOCK_SEQPACKET, 0},
	"key":          {unix.AF_KEY, unix.SOCK_RAW, 2},
	"xdp":          {unix.AF_XDP, unix.SOCK_RAW, 0},
	"can":          {unix.AF_CAN, unix.SOCK_RAW, 1},
	"tipc":         {unix.AF_TIPC, unix.SOCK_RDM, 0},
	"bluetooth":    {unix.AF_BLUETOOTH, unix.SOCK_RAW, 1},
	"nfc":          {unix.AF_NFC, unix.SOCK_RAW, 1},
	"rds":          {unix.AF_RDS, unix.SOCK_SEQPACKET, 0},
	"smc":          {unix.AF_SMC, unix.SOCK_STREAM, 0},
	"kcm":          {unix.AF_KCM, unix.SOCK_DGRAM, 0},
	"qrtr":         {unix.AF_QIPCRTR, unix.SOCK_DGRAM, 0},
	"pppox":        {unix.AF_PPPOX, unix.SOCK_DGRAM, 0},
	"ax25":         {unix.AF_AX25, unix.SOCK_DGRAM, 0},
	"raw":          {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
	"raw6":         {unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6},
	"sctp":         {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP},
	"dccp":         {unix.AF_INET, unix.SOCK_DCCP, unix.IPPROTO_DCCP},
	"udplite":      {unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE},

	"netlink-route":     {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE},
	"netlink-diag":      {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG},
	"netlink-xfrm":      {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_XFRM},
	"netlink-audit":     {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT},
	"netlink-netfilter": {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER},
	"netlink-uevent":    {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT},
	"netlink-generic":   {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC},
	"netlink-crypto":    {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_CRYPTO},
}

// socket FAMILY… gets through if the kernel's socket code answers for one of
// them, be it that it does not have the family. A family with "+" behind it is
// asked for with a bit set in the upper half of the register, which the kernel
// does not look at.
func socket(args []string) (string, error) {
	var through, stopped []string
	for _, name := range args {
		f, ok := families[strings.TrimSuffix(name, "+")]
		if !ok {
			broken(fmt.Errorf("no family %q", name))
		}
		family := uintptr(f[0])
		if strings.HasSuffix(name, "+") {
			family |= 1 << 32
		}
		fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, family, uintptr(f[1])|unix.SOCK_CLOEXEC, uintptr(f[2]))
		said := name + ": " + errno.Error()
		if errno == 0 {
			unix.Close(int(fd))
			said = name + ": a socket"
		}
		if errno == unix.EPERM || errno == unix.EACCES {
			stopped = append(stopped, said)
		} else {
			through = append(through, said)
		}
	}
	return verdict(through, stopped)
}

// verdict is what came of a number of attempts: through if one got through.
func verdict(through, stopped []string) (string, error) {
	if len(through) > 0 {
		return strings.Join(through, ", "), nil
	}
	return strings.Join(stopped, ", "), errors.New("(all)")
}
