package jail

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/policy"
)

// newest is a Landlock that has every right there is.
const newest = 7

// TestRightsGaps: a right that is left out is either kept from commands, or the
// gap is told.
func TestRightsGaps(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(base, "inner")
	if err := os.Mkdir(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	readOnly := []string{"read_file", "read_dir"}
	write := policy.AccessWrite
	for _, row := range []struct {
		why    string
		abi    int
		cfg    Config
		mounts []policy.Mount
		gap    string // a part of the only sentence; empty: none
	}{
		{"no rights: nothing is left out", 1, Config{}, []policy.Mount{{Source: base, Target: "/w"}}, ""},
		{"execute is of ABI 1", 1, Config{}, []policy.Mount{{Source: base, Target: "/w", Rights: readOnly}}, ""},
		{"a read-only mount is not truncated, whatever Landlock can", 2, Config{},
			[]policy.Mount{{Source: base, Target: "/w", Rights: []string{"execute", "read_file", "read_dir"}}}, ""},
		{"truncate is of ABI 3", 2, Config{},
			[]policy.Mount{{Source: base, Target: "/w", Access: write, Rights: without("truncate")}},
			"leaves out truncate, which Landlock ABI 2 of this kernel cannot restrict; Linux 6.2 (Landlock ABI 3) can"},
		{"and so it holds there", 3, Config{}, []policy.Mount{{Source: base, Target: "/w", Access: write, Rights: without("truncate")}}, ""},
		{"refer is always denied in ABI 1, and so is not to be restricted", 1, Config{},
			[]policy.Mount{{Source: base, Target: "/w", Access: write, Rights: without("refer", "truncate")}}, "truncate"},
		{"devices are in no mount", 4, Config{}, []policy.Mount{{Source: base, Target: "/w", Access: write, Rights: without("ioctl_dev", "make_block")}}, ""},
		{"a rule on a directory above gives it back", newest, Config{Scratch: 1},
			[]policy.Mount{{Source: base, Target: "/tmp/w", Rights: readOnly}}, "leaves out execute, which is granted for all of /tmp"},
		{"so does one of the system's", newest, Config{Root: policy.RootHost},
			[]policy.Mount{{Source: "/usr/lib", Rights: readOnly}}, "granted for all of /usr"},
		{"so does another mount above", newest, Config{}, []policy.Mount{{Source: "/var/lib", Target: "/w"}, {Source: base, Target: "/w/x", Rights: readOnly}},
			"granted for all of /w"},
		{"that has no more rights itself", newest, Config{}, []policy.Mount{{Source: "/var/lib", Target: "/w", Rights: readOnly},
			{Source: base, Target: "/w/x", Rights: readOnly}}, ""},
		{"a mount below may have more", newest, Config{}, []policy.Mount{{Source: base, Target: "/w", Rights: readOnly}, {Source: "/var/lib", Target: "/w/x"}}, ""},
		{"a rule is tied to the file: the same directory elsewhere", newest, Config{},
			[]policy.Mount{{Source: base, Target: "/w", Rights: readOnly}, {Source: base, Target: "/x"}}, "granted for the same files at /x"},
		{"or a part of it", newest, Config{}, []policy.Mount{{Source: base, Target: "/w", Rights: readOnly}, {Source: inner, Target: "/x"}},
			"granted for the same files at /x"},
		{"but not what it is a part of", newest, Config{}, []policy.Mount{{Source: inner, Target: "/w", Rights: readOnly}, {Source: base, Target: "/x"}}, ""},
		{"the system's directories at another place", newest, Config{Root: policy.RootHost},
			[]policy.Mount{{Source: "/usr", Target: "/w", Rights: readOnly}}, "granted for the same files at"},
	} {
		row.cfg.Mounts, row.cfg.LandlockABI = row.mounts, row.abi
		gaps := RightsGaps(&row.cfg)
		if row.gap == "" && len(gaps) > 0 || row.gap != "" && (len(gaps) == 0 || !strings.Contains(gaps[0], row.gap)) {
			t.Errorf("%s: got %q, want %q", row.why, gaps, row.gap)
		}
	}
}

func without(rights ...string) []string {
	return slices.DeleteFunc(policy.Rights(), func(r string) bool { return slices.Contains(rights, r) })
}

// TestMountGrantsItsOwnPlace: where something is mounted, no other rule holds.
func TestMountGrantsItsOwnPlace(t *testing.T) {
	c := Config{Writable: true, Scratch: 1, Mounts: []policy.Mount{{Source: "/var/lib", Target: "/opt", Rights: []string{"read_file"}}}}
	for _, r := range landlockRules(&c) {
		if r.Path == "/opt" && r.Rights != guest.LandlockRead&^guest.LandlockList {
			t.Errorf("/opt is granted %v, want read_file", rightNames(r.Rights))
		}
		if r.Path == "/" {
			t.Error("/ may be listed, and with it the mount that leaves that out")
		}
	}
}
