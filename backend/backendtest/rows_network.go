//go:build linux

package backendtest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// none is for rows that hold without a layer that can be left out; their twin is
// a looser policy.
var none = []policy.Control{}

func loopback(p *policy.Policy) { p.Network.Loopback = true }

// networkRows are CONTAINMENT 29, and 39 to 42.
var networkRows = []Row{
	{
		Number: 29, Name: "connect by TCP to a listener on the host's loopback",
		Why:    "a command reaches no network at all; services on loopback trust whoever reaches them",
		Layers: []policy.Control{policy.NSNet, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "tcp", hostTCP(e, "127.0.0.1:0"))
		},
	},
	{
		Number: 29, Name: "connect by TCP where loopback is allowed",
		Why:    "the loopback that a policy allows is the sandbox's own, never the host's",
		Layers: []policy.Control{policy.NSNet},
		Policy: loopback,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "tcp", hostTCP(e, "127.0.0.1:0"))
		},
	},
	{
		Number: 29, Name: "connect by IPv6 and by other names of the host's loopback",
		Why:    "::1, v4-mapped, 127.0.0.2, 0.0.0.0 and a bare port all are the same machine",
		Layers: []policy.Control{policy.NSNet},
		Policy: loopback,
		Attempt: func(e *Env) (bool, string) {
			_, port, _ := net.SplitHostPort(hostTCP(e, "[::]:0"))
			return e.Attack("dial", "tcp", "[::1]:"+port, "[::ffff:127.0.0.1]:"+port, "127.0.0.2:"+port, "0.0.0.0:"+port)
		},
	},
	{
		Number: 29, Name: "connect to an address of the host that is not loopback",
		Why:    "a route to the host's own addresses is a way to its services",
		Layers: []policy.Control{policy.NSNet},
		Policy: loopback,
		Attempt: func(e *Env) (bool, string) {
			_, port, _ := net.SplitHostPort(hostTCP(e, "0.0.0.0:0"))
			return e.Attack(append([]string{"dial", "tcp"}, hostAddrs(e, port)...)...)
		},
	},
	{
		Number: 29, Name: "connect by UDP to a listener on the host's loopback",
		Why:    "UDP is not among what Landlock restricts: the namespace alone holds",
		Layers: []policy.Control{policy.NSNet},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "udp", hostUDP(e, "127.0.0.1:0"))
		},
	},
	{
		Number: 29, Name: "connect by MPTCP to a listener on the host's loopback",
		Why:    "MPTCP is TCP that Landlock's rules on TCP do not see: the namespace alone holds",
		Layers: []policy.Control{policy.NSNet},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "mptcp", hostTCP(e, "127.0.0.1:0"))
		},
	},
	{
		Number: 29, Name: "connect by TCP Fast Open to a listener on the host's loopback",
		Why:    "sendto with MSG_FASTOPEN connects without connect(2): a check of connect alone is passed by",
		Layers: []policy.Control{policy.NSNet, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dialfast", hostTCP(e, "127.0.0.1:0"))
		},
	},
	{
		Number: 29, Name: "connect to another network namespace over a link of the host",
		Why:    "what the host routes, a command must not reach",
		Layers: []policy.Control{policy.NSNet},
		Policy: loopback,
		AsRoot: true,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "tcp", neighbour(e))
		},
	},
	{
		Number: 29, Name: "listen for TCP",
		Why:    "where a policy allows no loopback, Landlock refuses TCP as well: a layer of its own behind the namespace",
		Layers: []policy.Control{policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			line, ended := e.startIn(e.Sandbox, "listening", "listen", "tcp4", "0.0.0.0:0")
			if ended == nil && e.inside { // its kernel lets anybody listen where there is no interface
				port := line[strings.LastIndexByte(line, ':')+1:]
				return e.Attack("dial", "tcp4", "127.0.0.1:"+port, "0.0.0.0:"+port)
			}
			return ended == nil, line
		},
	},
	ownLoopback("tcp4"), ownLoopback("tcp6"), ownLoopback("udp4"), ownLoopback("udp6"),

	{
		Number: 39, Name: "connect to an abstract unix socket of the host",
		Why:    "abstract sockets have no mode and belong to the network namespace (CVE-2020-15257)",
		Layers: []policy.Control{policy.NSNet, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "unix", hostUnix(e, abstractName()))
		},
	},
	{
		Number: 39, Name: "connect to an abstract unix socket of the host, by Landlock alone",
		Why:    "the scope of a Landlock domain holds where the network namespace does not",
		Layers: []policy.Control{policy.LandlockOn},
		Bare:   []policy.Control{policy.NSNet},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "unix", hostUnix(e, abstractName()))
		},
	},
	{
		Number: 29, Name: "connect by TCP to the host's loopback, by Landlock alone",
		Why:    "Landlock refuses connect(2) by TCP where the network namespace does not hold",
		Layers: []policy.Control{policy.LandlockOn},
		Bare:   []policy.Control{policy.NSNet},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "tcp", hostTCP(e, "127.0.0.1:0"))
		},
	},

	{
		Number: 40, Name: "connect to a socket of the host by its path",
		Why:    "docker.sock, D-Bus and their like are root on the host for whoever may connect",
		Layers: []policy.Control{policy.RootPivoted},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "unix", hostUnix(e, filepath.Join(shortDir(e), "s")))
		},
	},
	{
		Number: 40, Name: "list Kavach's own records",
		Why:    "what Kavach knows of its sandboxes is nobody's in a sandbox",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn, policy.NSUser},
		// An ordinary user makes no mount namespace without a user namespace.
		RootTwin: true,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("list", stateDir(e), e.Sandbox.ID())
		},
	},
	{
		Number: 40, Name: "list Kavach's own records through a mount of what is above",
		Why:    "a caller who mounts /run, or a temporary directory, does not mean to show Kavach's records",
		Layers: none,
		Policy: mountAboveRecords("/above"),
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("list", "/above/"+filepath.Base(stateDir(e)), e.Sandbox.ID())
		},
		Contrast: func(e *Env) (bool, string) {
			return e.Attack("list", "/above", filepath.Base(stateDir(e)))
		},
	},

	{
		Number: 41, Name: "sockets of families that reach past the network stack",
		Why:    "each family is code of the kernel that namespaces do not hold (CVE-2017-7308, AF_PACKET; CVE-2021-26708, AF_VSOCK; CVE-2026-31431, AF_ALG)",
		Layers: []policy.Control{policy.SeccompOn, policy.CapsNone},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("socket", "vsock", "vsock+", "packet", "packet+", "packet-dgram", "alg", "alg+", "key", "xdp",
				"can", "tipc", "bluetooth", "nfc", "rds", "smc", "kcm", "qrtr", "pppox", "ax25")
		},
	},
	family("vsock", nil), family("alg", nil), family("packet", []policy.Control{policy.CapsNone}),
	{
		Number: 41, Name: "netlink",
		Why:    "the strict profile has no netlink at all: nf_tables was a way out again and again (CVE-2022-32250, CVE-2024-1086)",
		Layers: []policy.Control{policy.SeccompOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("socket", "netlink-route", "netlink-diag", "netlink-xfrm", "netlink-audit", "netlink-netfilter",
				"netlink-uevent", "netlink-generic", "netlink-crypto")
		},
	},
	{
		Number: 41, Name: "netlink beyond route, by the default profile",
		Why:    "the default profile allows the one family that libraries list interfaces with",
		Layers: []policy.Control{policy.SeccompOn},
		Policy: func(p *policy.Policy) { p.Seccomp.Profile = policy.SeccompDefault },
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("socket", "netlink-diag", "netlink-xfrm", "netlink-audit", "netlink-netfilter",
				"netlink-uevent", "netlink-generic", "netlink-crypto")
		},
	},
	{
		Number: 41, Name: "raw sockets",
		Why:    "a raw socket forges packets of any protocol",
		Layers: []policy.Control{policy.SeccompOn, policy.CapsNone},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("socket", "raw", "raw6")
		},
	},
	{
		Number: 41, Name: "transports that a socket call would load",
		Why:    "SCTP, DCCP and UDP-Lite are modules that a mere socket(2) loads (CVE-2017-6074)",
		Layers: []policy.Control{policy.SeccompOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("socket", "sctp", "dccp", "udplite")
		},
	},

	{
		Number: 42, Name: "connect from a sandbox to another's loopback",
		Why:    "two sandboxes do not know of each other",
		Layers: []policy.Control{policy.NSNet},
		Policy: loopback,
		Attempt: func(e *Env) (bool, string) {
			addr := listenIn(e, e.Another(), "tcp4", "127.0.0.1:0")
			return e.Attack("dial", "tcp", addr)
		},
	},
	{
		Number: 42, Name: "connect from a sandbox to another's abstract socket",
		Why:    "abstract sockets are seen by the whole network namespace (CVE-2020-15257)",
		Layers: []policy.Control{policy.NSNet, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("dial", "unix", listenIn(e, e.Another(), "unix", abstractName()))
		},
	},
	{
		Number: 42, Name: "connect from the host to a sandbox's loopback",
		Why:    "a command must not pose as a service of the host",
		Layers: []policy.Control{policy.NSNet},
		Policy: loopback,
		Attempt: func(e *Env) (bool, string) {
			return fromHost("tcp", listenIn(e, e.Sandbox, "tcp4", "127.0.0.1:0"))
		},
	},
	{
		Number: 42, Name: "connect from the host to a sandbox's abstract socket",
		Why:    "a command must not pose as a service of the host",
		Layers: []policy.Control{policy.NSNet},
		Attempt: func(e *Env) (bool, string) {
			return fromHost("unix", listenIn(e, e.Sandbox, "unix", abstractName()))
		},
	},
}

// family is a row for one family that is in most kernels, so that its twin
// shows that it is the filter that refuses it.
func family(name string, more []policy.Control) Row {
	return Row{
		Number: 41, Name: "a socket of family " + name,
		Why:    "see above; alone, so that no other family stands in for it in the twin",
		Layers: append([]policy.Control{policy.SeccompOn}, more...),
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("socket", name)
		},
	}
}

// ownLoopback is a row for what a policy without loopback means: a command does
// not even reach itself.
func ownLoopback(network string) Row {
	return Row{
		Number: 29, Name: "a command reaches itself by " + network,
		Why:    "the zero value of policy.Network allows nothing, loopback included",
		Layers: none,
		Loosen: loopback,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("own", network)
		},
	}
}

func abstractName() string {
	return fmt.Sprintf("@kavach-test-%d-%d", os.Getpid(), time.Now().UnixNano())
}

// shortDir makes a directory of the host that is not mounted; the path of a
// socket has room for 107 bytes (unix(7)).
func shortDir(e *Env) string {
	e.Helper()
	dir, err := os.MkdirTemp("", "kv")
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		e.Fatal(err)
	}
	return dir
}

func stateDir(e testing.TB) string {
	e.Helper()
	dir, err := jail.StateDir()
	if err != nil {
		e.Fatal(err)
	}
	return dir
}

func mountAboveRecords(target string) func(*policy.Policy) {
	return func(p *policy.Policy) {
		if dir, err := jail.StateDir(); err == nil {
			p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: filepath.Dir(dir), Target: target})
		}
	}
}

// serve answers everybody on a listener until the test ends.
func serve(e *Env, network, addr string) net.Addr {
	e.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("pong"))
			c.Close()
		}
	}()
	return l.Addr()
}

func hostTCP(e *Env, addr string) string {
	e.Helper()
	return serve(e, "tcp", addr).String()
}

func hostUnix(e *Env, path string) string {
	e.Helper()
	serve(e, "unix", path)
	if !strings.HasPrefix(path, "@") {
		if err := os.Chmod(path, 0o777); err != nil {
			e.Fatal(err)
		}
	}
	return path
}

func hostUDP(e *Env, addr string) string {
	e.Helper()
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { c.Close() })
	go func() {
		for buf := make([]byte, 64); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(buf[:n], from)
		}
	}()
	return c.LocalAddr().String()
}

// hostAddrs are the addresses of this machine that are not loopback, or
// loopback where there is no other.
func hostAddrs(e *Env, port string) []string {
	e.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		e.Fatal(err)
	}
	var addrs []string
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			addrs = append(addrs, net.JoinHostPort(ip.IP.String(), port))
		}
	}
	if len(addrs) == 0 {
		return []string{"127.0.0.1:" + port}
	}
	return addrs
}

// neighbour makes a network namespace beside the host's, with a link to it and
// a listener in it, and returns its address. All of it goes with its process.
func neighbour(e *Env) string {
	e.Helper()
	ip, err := exec.LookPath("ip")
	if err != nil {
		e.Fatal("this row needs iproute2 (ip) on the host: ", err)
	}
	const port = "7777"
	// A /30 of 198.18.0.0/15, which is for tests of networks (RFC 2544).
	n := os.Getpid() % (1 << 14)
	ours, theirs := fmt.Sprintf("198.18.%d.%d", n>>6, n<<2&0xff|1), fmt.Sprintf("198.18.%d.%d", n>>6, n<<2&0xff|2)
	there := exec.Command(filepath.Join(e.Dir, "attack"), "listen", "tcp4", "0.0.0.0:"+port)
	there.Env = []string{"KAVACH_ATTACK_TWIN=1"}
	there.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := there.Start(); err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		_ = there.Process.Kill()
		_ = there.Wait() // it was killed
	})
	pid := strconv.Itoa(there.Process.Pid)
	link := "kvt" + pid
	for _, args := range [][]string{
		{ip, "link", "add", link, "type", "veth", "peer", "name", "up0", "netns", pid},
		{ip, "addr", "add", ours + "/30", "dev", link},
		{ip, "link", "set", link, "up"},
		{"nsenter", "-t", pid, "-n", ip, "addr", "add", theirs + "/30", "dev", "up0"},
		{"nsenter", "-t", pid, "-n", ip, "link", "set", "up0", "up"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			e.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	addr := net.JoinHostPort(theirs, port)
	seen := ""
	if !testclock.Until(patience, func() (up bool) { up, seen = fromHost("tcp", addr); return up }) {
		e.Fatal("the host itself does not reach it: ", seen)
	}
	return addr
}

// lines is a writer that hands over the first line that begins as is wanted.
type lines struct {
	want  string
	first chan string

	mu   sync.Mutex // guards what follows
	text bytes.Buffer
	done bool
}

func newLines(want string) *lines { return &lines{want: want, first: make(chan string, 1)} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if line, _, whole := strings.Cut(l.text.String(), "\n"); whole && !l.done && strings.HasPrefix(line, l.want) {
		l.done = true
		l.first <- line
	}
	return len(p), nil
}

// startIn starts the attack program in a sandbox, where it goes on until the
// test ends, and returns the first line that it says, which begins with want; or,
// if it ends before, what came of it.
func (e *Env) startIn(sb *kavach.Sandbox, want string, args ...string) (line string, ended *kavach.Result) {
	e.Helper()
	out := newLines(want)
	p, err := sb.Start(e.Context(), kavach.Cmd{Args: append([]string{filepath.Join(e.Dir, "attack")}, args...), Stdout: out})
	if err != nil {
		e.Fatalf("start %v: %v", args, err)
	}
	end := make(chan *kavach.Result, 1)
	go func() {
		res, _ := p.Wait(e.Context()) // the end of the test kills it
		end <- res
	}()
	var res *kavach.Result
	select {
	case line = <-out.first:
	case res = <-end:
		if res == nil || res.ExitCode != 1 {
			e.Fatalf("attack %v: %+v: %s", args, res, out.text.String())
		}
		return out.text.String(), res
	}
	e.Cleanup(func() { <-end })
	return line, nil
}

func listenIn(e *Env, sb *kavach.Sandbox, network, addr string) string {
	e.Helper()
	line, ended := e.startIn(sb, "listening", "listen", network, addr)
	if ended != nil {
		e.Fatalf("it cannot listen: %+v", ended)
	}
	return strings.TrimPrefix(line, "listening ")
}

func fromHost(network, addr string) (bool, string) {
	c, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return false, err.Error()
	}
	c.Close()
	return true, "the host reaches " + addr
}
