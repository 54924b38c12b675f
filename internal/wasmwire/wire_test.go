package wasmwire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/kavach-dev/kavach/internal/wire"
)

// examples is a frame of each kind, with all that it can hold.
func examples() []wire.Frame {
	config := Config{
		Args: []string{"a", ""}, Env: []string{"K=v"}, Dir: "/d", Preopens: []Preopen{{"/d", "e", "."}},
		Memory: 1, FixedClock: true, Clock: -2, Seed: "seed", Stdio: true,
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
