package policy

import (
	"slices"
	"testing"
)

func TestControls(t *testing.T) {
	for _, c := range Controls() {
		if !c.Known() {
			t.Errorf("%s is listed and not known", c)
		}
		if c.IsBase() == slices.Contains([]Control{SeccompOn, LandlockOn, NetOff, RootReadonly, Limits}, c) {
			t.Errorf("%s is base and modifier, or neither", c)
		}
	}
	if Control("ns.x").Known() {
		t.Error("ns.x is known")
	}
	p := Policy{BestEffort: []Control{NSUser}}
	if !p.MayMiss(NSUser) || p.MayMiss(NSPid) {
		t.Error("only what is named may be missing")
	}
}
