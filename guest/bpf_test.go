package guest

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/kavach-dev/kavach/internal/seccomp"
)

// A judge answers as the kernel would, on what our compiler writes.
func TestAnswerOf(t *testing.T) {
	order, err := seccomp.ReadFile("p", []byte(`{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 4294967298, "op": "SCMP_CMP_GT"}]},
		{"names": ["close"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_LE"}]}]}`),
		seccomp.Machine{Arch: "amd64", Kernel: "6.1"})
	if err != nil {
		t.Fatal(err)
	}
	filters, err := seccomp.New(seccomp.Config{Arch: "amd64", Profile: "off", Log: true, Files: []*seccomp.File{order}})
	if err != nil {
		t.Fatal(err)
	}
	for _, judge := range filters.Judges {
		program, err := seccomp.Unmarshal(judge.Program)
		if err != nil {
			t.Fatal(err)
		}
		var code []bpf.Instruction
		for _, i := range program {
			code = append(code, bpf.RawInstruction{Op: i.Code, Jt: i.JT, Jf: i.JF, K: i.K}.Disassemble())
		}
		vm, err := bpf.NewVM(code)
		if err != nil {
			t.Fatal(err)
		}
		for range 50_000 {
			words := []uint32{rand.Uint32N(500), 0xC000003E, 0, 0}
			for range 12 {
				words = append(words, []uint32{rand.Uint32(), rand.Uint32N(4), 0}[rand.IntN(3)])
			}
			var packet, data []byte
			for _, w := range words {
				packet = binary.BigEndian.AppendUint32(packet, w)
				data = binary.NativeEndian.AppendUint32(data, w)
			}
			want, err := vm.Run(packet)
			if err != nil {
				t.Fatal(err)
			}
			if got := answerOf(judge.Program, data); got != uint32(want) {
				t.Fatalf("%s: %v: %#x, want %#x", judge.Name, words, got, want)
			}
		}
	}
}

func TestAnswerOfNoProgram(t *testing.T) {
	for _, program := range [][]byte{
		nil, {1, 2, 3}, make([]byte, 8),
		{bpfLoad, 0, 0, 0, 255, 0, 0, 0},           // beyond the data
		{bpfLoad, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, // far beyond
		{bpfJump, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f}, // out of the program
		{bpfJEq, 0, 9, 9, 0, 0, 0, 0},
	} {
		if got := answerOf(program, make([]byte, 64)); got != retKillProcess {
			t.Errorf("%v answers %#x", program, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	ret := func(k uint32) []byte {
		return binary.LittleEndian.AppendUint32([]byte{bpfRet, 0, 0, 0}, k)
	}
	refused, absent := verdict([][]byte{ret(retAllow), ret(0x50001), ret(retENOSYS), ret(retLog), ret(0)}, make([]byte, 64))
	if refused != 0b10010 || absent != 0b00100 {
		t.Errorf("refused by %b, absent from %b", refused, absent)
	}
}
