package seccomp

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/bpf"
)

// data is struct seccomp_data (linux/seccomp.h).
type data struct {
	nr   uint32
	arch uint32
	ip   uint64
	args [6]uint64
}

// vm runs a program as the kernel would.
type vm struct{ *bpf.VM }

func newVM(t testing.TB, program []Instruction) vm {
	t.Helper()
	var code []bpf.Instruction
	for _, i := range program {
		code = append(code, bpf.RawInstruction{Op: i.Code, Jt: i.JT, Jf: i.JF, K: i.K}.Disassemble())
	}
	v, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	return vm{v}
}

// run encodes each word big-endian, as the VM reads packets, and the words in
// the order in which they lie in a little-endian machine's memory.
func (v vm) run(t testing.TB, d data) uint32 {
	t.Helper()
	words := []uint32{d.nr, d.arch, uint32(d.ip), uint32(d.ip >> 32)}
	for _, a := range d.args {
		words = append(words, uint32(a), uint32(a>>32))
	}
	var packet []byte
	for _, w := range words {
		packet = binary.BigEndian.AppendUint32(packet, w)
	}
	answer, err := v.Run(packet)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(answer)
}

// groupsOf are the groups that name a call.
var groupsOf = sync.OnceValue(func() map[string][]group {
	of := map[string][]group{}
	for _, g := range slices.Concat(allowed[:], refused[:]) {
		for name := range strings.FieldsSeq(g.calls) {
			of[name] = append(of[name], g)
		}
	}
	return of
})

// model is what a filter should answer, found from the tables without code.
func model(in profiles, arch string, refusal uint32, d data) uint32 {
	m, err := machineOf(arch)
	if err != nil || d.arch != m.audit {
		return retKillProcess
	}
	i := slices.IndexFunc(m.calls, func(s syscall) bool { return s.nr == d.nr })
	if i < 0 {
		return retErrno | errENOSYS
	}
	for _, g := range groupsOf()[m.calls[i].name] {
		if g.absent {
			return retErrno | errENOSYS
		}
		if g.in&in != 0 && holds(g.when, d) {
			return retAllow
		}
	}
	return refusal
}

func holds(r rule, d data) bool {
	return r == nil || slices.ContainsFunc(r, func(a alternative) bool {
		return !slices.ContainsFunc(a, func(t test) bool {
			return slices.Contains(t.values, d.args[t.arg]&t.mask) == t.not
		})
	})
}

// filter is one program that the package can make.
type filter struct {
	name    string
	in      profiles
	arch    string
	refusal uint32
	compile func() ([]Instruction, error)
}

func filters() []filter {
	const eperm = retErrno | errEPERM
	var all []filter
	for _, arch := range []string{"amd64", "arm64"} {
		o, notify := Options{Arch: arch}, Options{Arch: arch, Notify: true}
		all = append(all,
			filter{"default/" + arch, inDefault, arch, eperm, func() ([]Instruction, error) { return Compile("default", o) }},
			filter{"default/" + arch + "/notify", inDefault, arch, retUserNotif, func() ([]Instruction, error) { return Compile("default", notify) }},
			filter{"strict/" + arch, inStrict, arch, eperm, func() ([]Instruction, error) { return Compile("strict", o) }},
			filter{"strict/" + arch + "/notify", inStrict, arch, retUserNotif, func() ([]Instruction, error) { return Compile("strict", notify) }},
		)
	}
	return all
}

// each runs do for every filter of the lists in.
func each(t *testing.T, in profiles, do func(t *testing.T, f filter, m machine, program []Instruction)) {
	for _, f := range filters() {
		if f.in&in == 0 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			m, err := machineOf(f.arch)
			if err != nil {
				t.Fatal(err)
			}
			program, err := f.compile()
			if err != nil {
				t.Fatal(err)
			}
			do(t, f, m, program)
		})
	}
}
