package locked_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/kavach-dev/kavach/internal/locked"
)

func TestArena(t *testing.T) {
	a := locked.New()
	var all [][]byte
	for i := range 100 {
		p, err := a.Copy(bytes.Repeat([]byte{byte(i)}, 1000))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	for i, p := range all {
		if !bytes.Equal(p, bytes.Repeat([]byte{byte(i)}, 1000)) || cap(p) != len(p) {
			t.Fatalf("piece %d was written over, or can be grown over the next", i)
		}
	}
	if big, err := a.Alloc(1 << 20); err != nil || len(big) != 1<<20 {
		t.Fatalf("%d bytes, %v", len(big), err)
	}
	a.Free()
	a.Free()
	if _, err := a.Alloc(1); !errors.Is(err, locked.ErrFree) {
		t.Errorf("%v of memory that was let go", err)
	}
}

// What the kernel says of the memory: it is locked, and not dumped. The heap is
// neither, so that the test can fail.
func TestKernelKnows(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	a := locked.New()
	defer a.Free()
	p, err := a.Copy([]byte("a secret"))
	if err != nil {
		t.Fatal(err)
	}
	if flags := vmFlags(t, &p[0]); !strings.Contains(flags, " dd ") || !strings.Contains(flags, " lo ") {
		t.Errorf("VmFlags of locked memory are %q: neither dd (MADV_DONTDUMP) nor lo (VM_LOCKED) may be missing", flags)
	}
	heap := make([]byte, 1<<20)
	if flags := vmFlags(t, &heap[0]); strings.Contains(flags, " dd ") || strings.Contains(flags, " lo ") {
		t.Errorf("VmFlags of the heap are %q: this test shows nothing", flags)
	}
}

// vmFlags are those that proc_pid_smaps(5) has of the mapping that p is in.
func vmFlags(t *testing.T, p *byte) string {
	t.Helper()
	at := uintptr(unsafe.Pointer(p))
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for _, line := range strings.Split(string(text), "\n") {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if flags, found := strings.CutPrefix(line, "VmFlags:"); found && inside {
			return flags + " "
		}
	}
	t.Fatal("no mapping holds it")
	return ""
}

func TestAppend(t *testing.T) {
	b := make([]byte, 0, 4)
	b = locked.Append(b, 1, 2, 3, 4)
	old := b
	b = locked.Append(b, 5)
	if !bytes.Equal(b, []byte{1, 2, 3, 4, 5}) || !bytes.Equal(old, make([]byte, 4)) {
		t.Errorf("%v, and %v was left behind", b, old)
	}
}

// What grows moves once, and nothing but what it leaves behind holds what it held: a
// copy on the way would be a copy that nobody zeroes.
func TestGrow(t *testing.T) {
	for _, size := range []int{0, 1, 100, 1 << 20} {
		old := bytes.Repeat([]byte{7}, size)
		grown := locked.Grow(old, 10)
		if !bytes.Equal(grown, bytes.Repeat([]byte{7}, size)) || cap(grown) < size+10 || !bytes.Equal(old, make([]byte, size)) {
			t.Errorf("%d bytes: %d of %d, or something was left behind", size, len(grown), cap(grown))
		}
		if same := locked.Grow(grown, 10); &same[:1][0] != &grown[:1][0] {
			t.Errorf("%d bytes moved, and there was room", size)
		}
		if n := testing.AllocsPerRun(10, func() { locked.Grow(grown[:len(grown):len(grown)], 10) }); n > 1 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
	}
}

// Values of more than a byte are where the processor wants them, whatever was handed
// out before them.
func TestSlice(t *testing.T) {
	a := locked.New()
	defer a.Free()
	type pair struct {
		a uint64
		b int32
	}
	for i := range 20 {
		if _, err := a.Alloc(i); err != nil {
			t.Fatal(err)
		}
		p, err := locked.Slice[pair](a, 3)
		if err != nil || len(p) != 3 || cap(p) != 3 || uintptr(unsafe.Pointer(&p[0]))%unsafe.Alignof(p[0]) != 0 {
			t.Fatalf("%d of %d at %p, %v", len(p), cap(p), p, err)
		}
		for j := range p {
			if p[j] != (pair{}) {
				t.Fatalf("it was %v", p[j])
			}
			p[j] = pair{1 << 60, int32(j)}
		}
	}
	if p, err := locked.Slice[pair](a, 0); len(p) != 0 || err != nil {
		t.Errorf("%v, %v", p, err)
	}
}
