package guest

import "encoding/binary"

// Operations of classic BPF (linux/bpf_common.h): those that package
// internal/seccomp writes.
const (
	bpfLoad = 0x20
	bpfAnd  = 0x54
	bpfJump = 0x05
	bpfJEq  = 0x15
	bpfJGe  = 0x35
	bpfJGt  = 0x25
	bpfRet  = 0x06
)

// Answers of a filter (linux/seccomp.h), without the errno, and that of a call
// which the kernel does not have.
const (
	retKillProcess = 0x8000_0000
	retLog         = 0x7ffc_0000
	retAllow       = 0x7fff_0000
	retErrno       = 0x0005_0000
	retENOSYS      = retErrno | 38
)

// sockFilterSize is sizeof(struct sock_filter).
const sockFilterSize = 8

// answerOf is what a filter answers to a call, of which data is the struct
// seccomp_data as bytes. What is no program of ours kills, as the kernel would
// refuse to load it.
func answerOf(program, data []byte) uint32 {
	var a uint32
	for pc := 0; pc >= 0 && (pc+1)*sockFilterSize <= len(program); pc++ {
		i := program[pc*sockFilterSize:]
		code, jt, jf, k := binary.LittleEndian.Uint16(i), i[2], i[3], binary.LittleEndian.Uint32(i[4:])
		jump := func(taken bool) {
			if taken {
				pc += int(jt)
			} else {
				pc += int(jf)
			}
		}
		switch code {
		case bpfLoad:
			if int(k) > len(data)-4 {
				return retKillProcess
			}
			a = binary.NativeEndian.Uint32(data[k:])
		case bpfAnd:
			a &= k
		case bpfJump:
			pc += int(k)
		case bpfJEq:
			jump(a == k)
		case bpfJGe:
			jump(a >= k)
		case bpfJGt:
			jump(a > k)
		case bpfRet:
			return k
		default:
			return retKillProcess
		}
	}
	return retKillProcess
}

// verdict says which of the judges, by their bits, refuse a call, and which of
// them answer that there is none.
func verdict(judges [][]byte, data []byte) (refused, absent uint32) {
	for i, judge := range judges {
		switch answer := answerOf(judge, data); {
		case answer == retAllow, answer == retLog:
		case answer == retENOSYS:
			absent |= 1 << i
		default:
			refused |= 1 << i
		}
	}
	return refused, absent
}
