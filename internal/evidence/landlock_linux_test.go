package evidence

import "testing"

func TestLandlockLacks(t *testing.T) {
	for abi, want := range map[int]int{1: 4, 2: 4, 3: 3, 4: 2, 5: 1, 6: 0, 7: 0, 20: 0} {
		if got := LandlockLacks(abi, true); len(got) != want {
			t.Errorf("ABI %d lacks %q, want %d", abi, got, want)
		}
	}
	if got := LandlockLacks(3, false); len(got) != 2 {
		t.Errorf("without a wish for TCP ABI 3 lacks %q, want 2", got)
	}
}
