package guest

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// TestGuard: the guest and its launcher are not signalled, others are.
func TestGuard(t *testing.T) {
	const self, launcher, other, sigPerThread, eperm = 100, 104, 200, 33, 0x00050000 | uint32(unix.EPERM)
	b := guard(self, launcher)
	var code []bpf.Instruction
	for ; len(b) > 0; b = b[8:] {
		code = append(code, bpf.RawInstruction{
			Op: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:]),
		}.Disassemble())
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	minus := func(pid int) uint64 { return uint64(int64(-pid)) }
	for _, row := range []struct {
		call    int
		args    [3]uint64
		refused bool
	}{
		{unix.SYS_KILL, [3]uint64{self, 9}, true},
		{unix.SYS_KILL, [3]uint64{launcher, 9}, true},
		{unix.SYS_KILL, [3]uint64{minus(self), 9}, true},
		{unix.SYS_KILL, [3]uint64{1<<32 | self, 9}, true},
		{unix.SYS_KILL, [3]uint64{other, 9}, false},
		{unix.SYS_KILL, [3]uint64{minus(other), 9}, false},
		{unix.SYS_TKILL, [3]uint64{launcher, 9}, true},
		{unix.SYS_TKILL, [3]uint64{other, 9}, false},
		{unix.SYS_TGKILL, [3]uint64{self, launcher, 9}, true},
		{unix.SYS_TGKILL, [3]uint64{self, launcher, uint64(unix.SIGURG)}, false},
		{unix.SYS_TGKILL, [3]uint64{self, launcher, sigPerThread}, false},
		{unix.SYS_TGKILL, [3]uint64{self, launcher, 15}, true},
		{unix.SYS_TGKILL, [3]uint64{other, other, 9}, false},
		{unix.SYS_RT_SIGQUEUEINFO, [3]uint64{launcher, 9}, true},
		{unix.SYS_RT_TGSIGQUEUEINFO, [3]uint64{self, launcher, 9}, true},
		{unix.SYS_RT_TGSIGQUEUEINFO, [3]uint64{other, other, 9}, false},
		{unix.SYS_PIDFD_OPEN, [3]uint64{launcher}, true},
		{unix.SYS_PIDFD_OPEN, [3]uint64{other}, false},
		{unix.SYS_GETPID, [3]uint64{self, self, self}, false},
		{unix.SYS_READ, [3]uint64{self}, false},
	} {
		var packet []byte
		for _, w := range []uint32{uint32(row.call), 0, 0, 0} {
			packet = binary.BigEndian.AppendUint32(packet, w)
		}
		for _, a := range row.args {
			packet = binary.BigEndian.AppendUint32(packet, uint32(a))
			packet = binary.BigEndian.AppendUint32(packet, uint32(a>>32))
		}
		answer, err := vm.Run(packet)
		if err != nil {
			t.Fatal(err)
		}
		if (uint32(answer) == eperm) != row.refused {
			t.Errorf("call %d%v: %#x, refused should be %t", row.call, row.args, answer, row.refused)
		}
	}
}

// TestBelow: what descends from a process, however far.
func TestBelow(t *testing.T) {
	all := table{2: {parent: 1}, 10: {parent: 2}, 11: {parent: 10}, 12: {parent: 11}, 20: {parent: 1}, 21: {parent: 20}, 30: {parent: 30}}
	under := all.below(2)
	if len(under) != 3 || under[10].parent != 2 || under[12].parent != 11 {
		t.Errorf("below 2: %v", under)
	}
	if under := all.below(99); len(under) != 0 {
		t.Errorf("below nobody: %v", under)
	}
}
