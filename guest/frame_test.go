package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"github.com/kavach-dev/kavach/internal/wire"
)

// frames is one of each kind, with every field set.
func frames() []Frame {
	return []Frame{
		&Setup{
			Hostname: "h", Scratch: 1 << 40, ScratchInodes: -1,
			Ops: []Op{
				{Kind: OpBind, Path: "/p", Source: "/s", Data: "d", Mode: 0o755, Flags: BindFD, Dev: 1, Ino: 1<<64 - 1},
				{Kind: OpDir, Path: ""},
			},
			RootReadonly: true, Pivot: true, Loopback: true,
			Confine: Confine{
				UserNS: 3, Unheard: true, DropCaps: true, NoNewPrivs: true, CloseFDs: true, Landlock: true, LandlockNet: true,
				LandlockRule: []LandlockRule{{Path: "/", Rights: 13}}, Filter: []byte("filter"),
				CommandFilter: []byte("one"), LogOnly: true, Guard: []byte("guard"), Judges: [][]byte{[]byte("a"), []byte("b")},
			},
			Rlimits: []Rlimit{{Resource: 7, Value: 1}}, Tasks: 4, Probe: true, ProbeForks: true,
		},
		&Exec{
			ID: 1, Args: []string{"sh", "", "a\x00b"}, Env: []string{"A=1"}, Dir: "/", Terminal: true, Rows: 24, Cols: 80,
			FDs: []uint32{3, 1<<32 - 1}, Given: []Given{{Name: "A", Length: 1<<32 - 1}, {}},
		},
		&Resize{ID: 1, Rows: 25, Cols: 81},
		&Signal{ID: 1<<32 - 1, Signal: 9},
		&Kill{ID: 2},
		&Ready{},
		&Failed{Step: "step", Detail: "é\xff", Errno: 13},
		&Started{ID: 3},
		&Refused{ID: 3, Step: "exec", Errno: 2},
		&Exited{ID: 3, Status: 0xff00, CPUMicros: -1, MaxRSS: 1 << 50, Denials: []DeniedCall{{Number: 425, Count: 7, Refused: 1, Absent: 2}}},
	}
}

func TestFrameRoundTrip(t *testing.T) {
	for _, f := range frames() {
		kind, payload := f.Kind(), wire.Payload(f)
		got, err := hostSide.Decode(kind, payload)
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%T: %+v, %v, want %+v", f, got, err, f)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	exec := wire.Payload(&Exec{ID: 1, Args: []string{"sh"}, Dir: "/"})
	list := binary.LittleEndian.AppendUint32(nil, 1)
	list = binary.LittleEndian.AppendUint32(list, 1<<31)
	tests := []struct {
		why     string
		kind    uint8
		payload []byte
	}{
		{"there is no kind 0", 0, nil},
		{"there is no such kind", 0x7f, nil},
		{"a byte is missing", kindExec, exec[:len(exec)-1]},
		{"a byte is left over", kindExec, append(bytes.Clone(exec), 0)},
		{"nothing is left over of Ready", kindReady, []byte{0}},
		{"an empty payload is no Exec", kindExec, nil},
		{"a list that is longer than the frame allocates nothing", kindExec, list},
		{"a string that is longer than the frame", kindFailed, []byte{0xff, 0xff, 0xff, 0xff}},
	}
	for _, test := range tests {
		if f, err := hostSide.Decode(test.kind, test.payload); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("%s: %+v, %v", test.why, f, err)
		}
	}
}

// Decode takes bytes that somebody else wrote: no panic, no memory out of all
// proportion, and what is taken has one meaning.
func FuzzDecode(f *testing.F) {
	for _, frame := range frames() {
		kind, payload := frame.Kind(), wire.Payload(frame)
		f.Add(kind, payload)
		f.Add(kind^0x80, payload)
	}
	f.Add(uint8(kindExited), bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		frame, err := hostSide.Decode(kind, payload)
		if err != nil {
			if frame != nil {
				t.Errorf("a frame beside an error: %+v", frame)
			}
			return
		}
		again, encoded := frame.Kind(), wire.Payload(frame)
		if again != kind {
			t.Errorf("kind %#x became %#x", kind, again)
		}
		got, err := hostSide.Decode(again, encoded)
		if err != nil || !reflect.DeepEqual(got, frame) {
			t.Errorf("%+v became %+v, %v", frame, got, err)
		}
		if len(encoded) != len(payload) {
			t.Errorf("%d bytes became %d", len(payload), len(encoded))
		}
	})
}
