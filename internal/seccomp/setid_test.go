package seccomp

import (
	"slices"
	"testing"
)

// TestNoSetID holds each way to give a file a mode against the filter of a
// sandbox that writes to the host, and, as the twin, against the ordinary one.
func TestNoSetID(t *testing.T) {
	const fd, path = 3, 0x7fff_0000_1234
	calls := []struct {
		name   string
		args   [6]uint64
		denied bool
		why    string
	}{
		{"chmod", [6]uint64{path, 0o755}, false, "an ordinary mode"},
		{"chmod", [6]uint64{path, 0o4755}, true, "setuid"},
		{"fchmod", [6]uint64{fd, 0o2755}, true, "setgid"},
		{"fchmod", [6]uint64{fd, 0o1777}, false, "sticky gives nobody anything"},
		{"fchmod", [6]uint64{fd, 1<<32 | 0o4755}, true, "a bit in the upper half hides nothing"},
		{"fchmodat", [6]uint64{fd, path, 0o4755}, true, "setuid"},
		{"fchmodat2", [6]uint64{fd, path, 0o6000}, true, "both"},
		{"creat", [6]uint64{path, 0o4755}, true, "setuid"},
		{"open", [6]uint64{path, oCreat | 1, 0o4755}, true, "made with the bit"},
		{"open", [6]uint64{path, oTmpfile | 1, 0o4755}, true, "made without a name"},
		{"open", [6]uint64{path, 1, 0o4755}, false, "what is not made has no mode"},
		{"openat", [6]uint64{fd, path, oCreat, 0o2755}, true, "setgid"},
		{"openat", [6]uint64{fd, path, oCreat, 0o644}, false, "an ordinary file"},
		{"mknod", [6]uint64{path, 0o100000 | 0o4755}, true, "a regular file, by mknod"},
		{"mknodat", [6]uint64{fd, path, 0o010000 | 0o644}, false, "a fifo"},
		{"openat2", [6]uint64{fd, path, path, 24}, true, "nobody can see its mode"},
	}
	for _, profile := range []string{"default", "strict"} {
		for _, arch := range []string{"amd64", "arm64"} {
			m, err := machineOf(arch)
			if err != nil {
				t.Fatal(err)
			}
			for _, noSetID := range []bool{false, true} {
				program, err := Compile(profile, Options{Arch: arch, NoSetID: noSetID})
				if err != nil {
					t.Fatal(err)
				}
				v := newVM(t, program)
				for _, c := range calls {
					i := slices.IndexFunc(m.calls, func(s syscall) bool { return s.name == c.name })
					if i < 0 {
						continue // this architecture does not have it
					}
					got := v.run(t, data{nr: m.calls[i].nr, arch: m.audit, args: c.args})
					if denied := got != retAllow; denied != (c.denied && noSetID) {
						t.Errorf("%s/%s, NoSetID %t: %s%o: %#x: %s", profile, arch, noSetID, c.name, c.args, got, c.why)
					}
				}
			}
		}
	}
}

// TestNoSetIDElsewhere: all other calls are as without it.
func TestNoSetIDElsewhere(t *testing.T) {
	changed := []string{"chmod", "fchmod", "fchmodat", "fchmodat2", "creat", "open", "openat", "openat2", "mknod", "mknodat"}
	plain, err := Compile("strict", Options{Arch: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	without, err := Compile("strict", Options{Arch: "amd64", NoSetID: true})
	if err != nil {
		t.Fatal(err)
	}
	a, b := newVM(t, plain), newVM(t, without)
	m, err := machineOf("amd64")
	if err != nil {
		t.Fatal(err)
	}
	for nr := range uint32(600) {
		i := slices.IndexFunc(m.calls, func(s syscall) bool { return s.nr == nr })
		d := data{nr: nr, arch: m.audit}
		if x, y := a.run(t, d), b.run(t, d); x != y && (i < 0 || !slices.Contains(changed, m.calls[i].name)) {
			t.Errorf("call %d: %#x, with NoSetID %#x", nr, x, y)
		}
	}
}
