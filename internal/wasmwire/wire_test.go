package wasmwire

import (
	"bytes"
	"reflect"
	"syscall"
	"testing"

	"github.com/kavach-dev/kavach/internal/wire"
)

// examples is a frame of each kind, with all that it can hold.
func examples() []wire.Frame {
	config := Config{
		Args: []string{"a", ""}, Env: []string{"K=v"}, Dir: "/d", Preopens: []Preopen{{"/d", "e", "."}},
		Memory: 1, FixedClock: true, Clock: -2, Seed: "seed", Stdio: true, Given: []Given{{"TOKEN", 9}, {"E", 0}},
	}
	functions := []Function{{Module: "m", Name: "f", Params: []byte{0x7f}, Results: []byte{0x7c, 0x7e}}}
	return []wire.Frame{
		&Setup{Filter: []byte{1, 2}, Dir: "/x", Links: true}, &Load{Name: "n", Path: "p", Dir: "d"}, &Want{}, &Code{Name: "c"}, &Compile{},
		&Run{Config: config}, &Serve{Config: config, Functions: functions}, &Call{Name: "f", Args: []uint64{1, 1 << 63}}, &Renew{},
		&Read{Offset: 1, Size: 2}, &Write{Offset: 3, Data: []byte("data")}, &HostReturn{Results: []uint64{7}, Failed: "no"},
		&Hello{Exec: 1, Socket: 2, Filter: 3}, &Found{Digest: "d", Size: 9, Kept: true}, &Written{}, &Loaded{}, &Compiled{Name: "n", Size: 4},
		&Started{}, &Ended{OutOfMemory: true, Reason: "r"}, &Ready{Functions: functions},
		&Returned{Results: []uint64{1}, Trap: "t", OutOfMemory: true, Exited: true, Code: 5}, &HostCall{Index: 6, Args: []uint64{2}},
		&Data{OK: true, Bytes: []byte("b")}, &Failed{Step: "s", Reason: "r", Errno: 2},
	}
}

// TestFrames: what is sent is what comes, for each kind.
func TestFrames(t *testing.T) {
	kinds := 0
	for _, make := range frames {
		if make != nil {
			kinds++
		}
	}
	if list := examples(); len(list) != kinds {
		t.Errorf("%d examples of %d kinds", len(list), kinds)
	}
	for _, f := range examples() {
		got, err := HostSide.Decode(f.Kind(), wire.Payload(f))
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%+v, %v, want %+v", got, err, f)
		}
	}
}

// FuzzDecode: whatever a worker sends is a frame, which is encoded as it came, or an
// error.
func FuzzDecode(f *testing.F) {
	for _, frame := range examples() {
		f.Add(frame.Kind(), wire.Payload(frame))
	}
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		frame, err := HostSide.Decode(kind, payload)
		if err != nil {
			return
		}
		again := wire.Payload(frame)
		back, err := HostSide.Decode(kind, again)
		if err != nil || !bytes.Equal(wire.Payload(back), again) {
			t.Errorf("%+v is not what it becomes: %v", frame, err)
		}
	})
}

// TestGiven: names that no environment can have, and more than a worker would hold.
func TestGiven(t *testing.T) {
	many := make([]Given, MaxGiven+1)
	for i := range many {
		many[i].Name = string(rune('A' + i))
	}
	tests := []struct {
		why   string
		given []Given
		want  syscall.Errno
	}{
		{"none", nil, 0},
		{"an empty value", []Given{{"A", 0}}, 0},
		{"as many as may be", many[:MaxGiven], 0},
		{"as much as may be, with name, = and the NUL at the end", []Given{{"A", MaxGivenSize - 3}}, 0},
		{"no name", []Given{{"", 1}}, syscall.EINVAL},
		{"a name that ends early", []Given{{"A=B", 1}}, syscall.EINVAL},
		{"a NUL", []Given{{"A\x00", 1}}, syscall.EINVAL},
		{"one name twice", []Given{{"A", 1}, {"B", 1}, {"A", 1}}, syscall.EINVAL},
		{"one too many", many, syscall.E2BIG},
		{"a byte too much", []Given{{"A", MaxGivenSize - 2}}, syscall.E2BIG},
		{"too much in all", []Given{{"A", MaxGivenSize / 2}, {"B", MaxGivenSize / 2}}, syscall.E2BIG},
		{"a length that wraps where int has 32 bits", []Given{{"A", 1<<32 - 1}}, syscall.E2BIG},
		{"lengths that are none in their sum", []Given{{"A", 1 << 31}, {"B", 1 << 31}}, syscall.E2BIG},
	}
	for _, tt := range tests {
		if got := (&Config{Given: tt.given}).CheckGiven(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.why, got, tt.want)
		}
	}
}
