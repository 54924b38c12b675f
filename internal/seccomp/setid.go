package seccomp

// Modes (linux/stat.h) and flags of open (asm-generic/fcntl.h). A mode is an
// umode_t of 16 bits, which the kernel takes from the lower half.
const (
	setID    = 0o6000 // S_ISUID, S_ISGID
	oCreat   = 0o100
	oTmpfile = 0o20000000 // __O_TMPFILE, without the O_DIRECTORY that goes with it
)

func modeWithout(arg int) test { return test{arg: arg, mask: setID, values: []uint64{0}} }

// opens: the mode of open is whatever is in the register where nothing is made.
func opens(flags, mode int) rule {
	return rule{{{arg: flags, mask: oCreat | oTmpfile, values: []uint64{0}}}, {modeWithout(mode)}}
}

func makesNode(mode int) rule {
	return rule{{{arg: mode, mask: fileTypeMask, not: true, values: []uint64{charDevice, blockDevice}}, modeWithout(mode)}}
}

// noSetID replaces what the tables say of the calls that give a file a mode. Of
// mkdir the kernel drops these bits (vfs_mkdir), and without capabilities
// nothing else sets them: chown and write clear them, and extended attributes
// hold no mode.
var noSetID = [...]group{
	{in: commands, why: "no setuid or setgid file is left on the host", calls: `chmod fchmod creat`, when: rule{{modeWithout(1)}}},
	{in: commands, why: "as above", calls: `fchmodat fchmodat2`, when: rule{{modeWithout(2)}}},
	{in: commands, why: "as above", calls: `open`, when: opens(1, 2)},
	{in: commands, why: "as above", calls: `openat`, when: opens(2, 3)},
	{in: commands, why: "as above, and no devices", calls: `mknod`, when: makesNode(1)},
	{in: commands, why: "as above, and no devices", calls: `mknodat`, when: makesNode(2)},
	{why: "its mode is behind a pointer; libraries fall back to openat", calls: `openat2`, absent: true},
}
