package policy

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestPresets(t *testing.T) {
	if got := PresetNames(); !slices.Equal(got, []string{"minimal", "basic", "strict"}) {
		t.Errorf("got %v", got)
	}
	for _, name := range PresetNames() {
		p, err := Preset(name)
		if err != nil || p.Name != name {
			t.Errorf("%s: %q, %v", name, p.Name, err)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again, _ := Preset(name); !reflect.DeepEqual(p, again) {
			t.Errorf("%s differs from call to call", name)
		}
	}
}

// The limits are written out, because whoever runs "strict" relies on them.
func TestPresetLimits(t *testing.T) {
	tests := []struct {
		name string
		want Resources
		tmp  Bytes
		mods []Control
	}{
		{"minimal", Resources{Memory: Unlimited, CPUs: Unlimited, PIDs: Unlimited, Output: 64 << 20, Timeout: Unlimited}, 1 << 30, []Control{NetOff}},
		{"basic", Resources{Memory: 1 << 30, CPUs: 2, PIDs: 512, Output: 16 << 20, Timeout: Duration(time.Hour)}, 256 << 20, []Control{NetOff, SeccompOn, LandlockOn, RootReadonly, Limits}},
		{"strict", Resources{Memory: 512 << 20, CPUs: 1, PIDs: 128, Output: 1 << 20, Timeout: Duration(time.Minute)}, 64 << 20, []Control{NetOff, SeccompOn, LandlockOn, RootReadonly, Limits}},
	}
	for _, test := range tests {
		p, err := Preset(test.name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Resources != test.want || p.Filesystem.TmpSize != test.tmp {
			t.Errorf("%s: got %+v", test.name, p)
		}
		if got := p.Modifiers(); !slices.Equal(got, test.mods) {
			t.Errorf("%s asks for %v, want %v", test.name, got, test.mods)
		}
	}
}

func TestPresetRefuses(t *testing.T) {
	tests := []struct{ name, want string }{
		{"strct", `there is no preset "strct" (there are minimal, basic, strict); did you mean "strict"?`},
		{"paranoid", `there is no preset "paranoid" (there are minimal, basic, strict)`},
		{"", `there is no preset "" (there are minimal, basic, strict)`},
	}
	for _, test := range tests {
		if _, err := Preset(test.name); err == nil || err.Error() != test.want {
			t.Errorf("%q: got %v, want %s", test.name, err, test.want)
		}
	}
}
