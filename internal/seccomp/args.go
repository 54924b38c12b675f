package seccomp

// Rules on arguments. Numbers are those of the kernel's UAPI headers, equal on
// amd64 and arm64.

// clone(2), unshare(2) (linux/sched.h). CLONE_NEWTIME (0x80) is not among the
// flags of clone, whose low byte is the exit signal.
const (
	cloneFS         = 0x0000_0200
	cloneFiles      = 0x0000_0400
	cloneSysVSem    = 0x0004_0000
	cloneNamespaces = 0x0002_0000 | // CLONE_NEWNS
		0x0200_0000 | // CLONE_NEWCGROUP
		0x0400_0000 | // CLONE_NEWUTS
		0x0800_0000 | // CLONE_NEWIPC
		0x1000_0000 | // CLONE_NEWUSER
		0x2000_0000 | // CLONE_NEWPID
		0x4000_0000 //   CLONE_NEWNET
)

// clone takes its flags from the lower half (SYSCALL_DEFINE5(clone)).
var cloneProcess = rule{{
	{arg: 0, mask: cloneNamespaces, values: []uint64{0}},
}}

// unshare's flags are listed by what is harmless, and compared whole, so that
// the next flag which implies a namespace is refused before we know of it.
var unshareNoNamespace = rule{{
	{arg: 0, mask: ^uint64(cloneFS | cloneFiles | cloneSysVSem), values: []uint64{0}},
}}

// ioctl(2). The kernel declares the request unsigned int: TIOCSTI with a bit
// set in the upper half is still TIOCSTI (CVE-2019-10063).
const (
	tiocsti   = 0x5412 // types into the terminal (CVE-2017-5226)
	tioclinux = 0x541C // pastes on a console (CVE-2023-28100)
	tiocsetd  = 0x5423 // loads line disciplines (CVE-2017-2636, n_hdlc)
)

var ioctlNoInjection = rule{{
	{arg: 1, mask: low, not: true, values: []uint64{tiocsti, tioclinux, tiocsetd}},
}}

// socket(2), socketpair(2): three ints (linux/socket.h, linux/net.h, linux/in.h).
const (
	afUnix    = 1
	afInet    = 2
	afInet6   = 10
	afNetlink = 16

	// sockTypeMask takes off SOCK_CLOEXEC and SOCK_NONBLOCK.
	sockTypeMask = 0xf
	sockStream   = 1
	sockDgram    = 2

	netlinkRoute = 0
)

// internet are the protocols that programs use. SOCK_RAW and SOCK_PACKET are
// left out since they forge packets; SCTP, DCCP, UDP-Lite, L2TP and SMC since
// they are modules that a mere socket call loads (CVE-2017-6074, dccp).
// MPTCP stays: Go asks for it whenever it listens.
var internet = alternative{
	{arg: 0, mask: low, values: []uint64{afInet, afInet6}},
	{arg: 1, mask: sockTypeMask, values: []uint64{sockStream, sockDgram}},
	{arg: 2, mask: low, values: []uint64{
		0,   // the type's own
		1,   // IPPROTO_ICMP, with SOCK_DGRAM: ping
		6,   // IPPROTO_TCP
		17,  // IPPROTO_UDP
		58,  // IPPROTO_ICMPV6
		262, // IPPROTO_MPTCP
	}},
}

var local = alternative{{arg: 0, mask: low, values: []uint64{afUnix}}}

// socketAny: route netlink is how libraries list interfaces and addresses; it
// changes nothing without CAP_NET_ADMIN.
var socketAny = rule{local, internet, {
	{arg: 0, mask: low, values: []uint64{afNetlink}},
	{arg: 2, mask: low, values: []uint64{netlinkRoute}},
}}

var socketNoNetlink = rule{local, internet}

// socketpairLocal: of the allowed families only AF_UNIX implements pairs.
var socketpairLocal = rule{local}

// setsockopt(2): two ints (asm-generic/socket.h, linux/tcp.h).
const (
	solSocket = 1
	solTCP    = 6

	soAttachFilter        = 26
	soAttachBPF           = 50
	soAttachReuseportCBPF = 51
	soAttachReuseportEBPF = 52

	// tcpULP puts a module, such as kernel TLS (CVE-2023-0461), under a socket.
	tcpULP = 31
)

var setsockoptPlain = rule{
	{
		{arg: 1, mask: low, values: []uint64{solSocket}},
		{arg: 2, mask: low, not: true, values: []uint64{
			soAttachFilter, soAttachBPF, soAttachReuseportCBPF, soAttachReuseportEBPF,
		}},
	},
	{
		{arg: 1, mask: low, values: []uint64{solTCP}},
		{arg: 2, mask: low, not: true, values: []uint64{tcpULP}},
	},
	{
		{arg: 1, mask: low, not: true, values: []uint64{solSocket, solTCP}},
	},
}

// msgOOB (linux/socket.h): out-of-band data on AF_UNIX was a way out of a
// sandbox (CVE-2025-38236), and nothing but telnet and ftp uses it.
const msgOOB = 1

var (
	flags2NoOOB = rule{{{arg: 2, mask: msgOOB, values: []uint64{0}}}}
	flags3NoOOB = rule{{{arg: 3, mask: msgOOB, values: []uint64{0}}}}
)

// rlimitCore is fixed: the guest sets it to 1, which alone keeps the kernel from
// handing a core to the program that core_pattern names, as root on the host;
// with 0 it does (core(5)).
const rlimitCore = 4

// prlimitOwn allows to read any limit (prlimit64(2): new_limit, a pointer, is
// NULL), and to set one's own: the guest has set hard limits, which only go
// down. Pid 0 is the caller; others, among them the guest, which has the same
// uid, are not the caller's to set.
var prlimitOwn = rule{
	{{arg: 2, mask: whole, values: []uint64{0}}},
	{
		{arg: 0, mask: low, values: []uint64{0}},
		{arg: 1, mask: low, not: true, values: []uint64{rlimitCore}},
	},
}

var setrlimitOwn = rule{{{arg: 0, mask: low, not: true, values: []uint64{rlimitCore}}}}

// fcntlNoLease refuses F_SETLEASE (fcntl(2)): a lease on a file of the host that
// is mounted read-only holds up those who write to it there, again and again.
var fcntlNoLease = rule{{{arg: 1, mask: low, not: true, values: []uint64{1024}}}}

// mknod(2), mknodat(2) (linux/stat.h): mode is an umode_t of 16 bits.
const (
	fileTypeMask = 0o170000
	charDevice   = 0o020000
	blockDevice  = 0o060000
)

var (
	mode1NoDevice = rule{{{arg: 1, mask: fileTypeMask, not: true, values: []uint64{charDevice, blockDevice}}}}
	mode2NoDevice = rule{{{arg: 2, mask: fileTypeMask, not: true, values: []uint64{charDevice, blockDevice}}}}
)

// personality(2), unsigned int (linux/personality.h): the ordinary one, the one
// for repeatable addresses (debuggers, setarch -R), and the query. Others bring
// back weaknesses, such as READ_IMPLIES_EXEC and MMAP_PAGE_ZERO.
var personalityPlain = rule{{
	{arg: 0, mask: low, values: []uint64{0, 0x0040000, 0xffff_ffff}},
}}

// seccomp(2), two unsigned ints (linux/seccomp.h).
const (
	seccompSetModeFilter = 1
	seccompNewListener   = 1 << 3
)

// seccompNoListener: a listener above Kavach's would answer in its place.
var seccompNoListener = rule{
	{{arg: 0, mask: low, not: true, values: []uint64{seccompSetModeFilter}}},
	{{arg: 1, mask: seccompNewListener, values: []uint64{0}}},
}

// prctl(2), int option (linux/prctl.h).
const (
	prSetSeccomp            = 22
	prTaskPerfEventsDisable = 31
	prTaskPerfEventsEnable  = 32
	prSetMM                 = 35         // moves what /proc shows of a process
	prSchedCore             = 62         // takes SMT siblings from other tenants
	prSetPtracer            = 0x59616d61 // lets others trace the caller
)

var prctlDefault = rule{{
	{arg: 0, mask: low, not: true, values: []uint64{
		prSetMM, prSetPtracer, prTaskPerfEventsDisable, prTaskPerfEventsEnable,
	}},
}}

var prctlStrict = rule{{
	{arg: 0, mask: low, not: true, values: []uint64{
		prSetMM, prSetPtracer, prTaskPerfEventsDisable, prTaskPerfEventsEnable,
		prSetSeccomp, prSchedCore,
	}},
}}
