package jail

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/kavach-dev/kavach/internal/testbin"
)

// A copy has what the kernel loads, and is the same program.
func TestCopySealed(t *testing.T) {
	src, err := os.Open(testbin.Kavach(t))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		t.Fatal(err)
	}
	copied, err := copySealed(src, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	got, err := copied.Stat()
	if err != nil || got.Size() >= info.Size() || got.Size() < info.Size()/4 {
		t.Errorf("%d bytes of %d, %v", got.Size(), info.Size(), err)
	}
	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", copied.Fd()), "version")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.HasPrefix(out, []byte("kavach")) {
		t.Errorf("the copy is not the program: %v\n%s", err, out)
	}
}

func TestLoadedOfWhatIsNoProgram(t *testing.T) {
	program, err := os.ReadFile(testbin.Kavach(t))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, b ...byte) []byte {
		p := bytes.Clone(program[:8192])
		copy(p[at:], b)
		return p
	}
	for why, text := range map[string][]byte{
		"nothing":                         nil,
		"a script":                        []byte("#!/bin/sh\n"),
		"of 32 bits":                      changed(4, 1),
		"big-endian":                      changed(5, 2),
		"programs that are not there":     changed(32, 0, 0, 0, 0, 1),
		"programs of another size":        changed(54, 57),
		"more in a segment than is there": changed(0x40+32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f),
	} {
		if got := loaded(bytes.NewReader(text), int64(len(text))); got != int64(len(text)) {
			t.Errorf("%s: %d of %d", why, got, len(text))
		}
	}
}
