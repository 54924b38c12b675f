package container

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	ordered := []string{"0.10.5", "1.0.0-rc3", "1.0.0~rc93+ds1", "1.0.0-rc95", "1.0.0", "1.1.5+ds1", "1.1.14", "1.2.0-rc.3", "1.2", "1.20", "1.20.1"}
	for i, text := range ordered {
		v, err := parseVersion(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if i > 0 && mustVersion(ordered[i-1]).compare(v) != -1 {
			t.Errorf("%s is not before %s", ordered[i-1], text)
		}
	}
	for _, text := range []string{"", "1", "release-20260901.0", "1.2.3.4", "1.-2", "1.2-rcx", "1.x", "1.2-rc.0"} {
		if v, err := parseVersion(text); err == nil {
			t.Errorf("%q is %+v", text, v)
		}
	}
}

// Each row is from the advisory or the changelog of that flaw.
func TestFlawsOf(t *testing.T) {
	for _, tt := range []struct {
		name, version, cve string
		want               bool
		why                string
	}{
		{"runc", "1.0.0-rc6", "CVE-2019-5736", true, "the last that has it"},
		{"runc", "1.0.0-rc92", "CVE-2024-21626", false, "before the first that has it"},
		{"runc", "1.0.0-rc93", "CVE-2024-21626", true, "the first that has it"},
		{"runc", "1.1.5+ds1", "CVE-2024-21626", true, "Debian's, which is patched, and cannot tell by its version"},
		{"runc", "1.1.12", "CVE-2024-21626", false, "the first that is fixed"},
		{"runc", "1.1.14", "CVE-2024-45310", false, "fixed in its line"},
		{"runc", "1.2.0-rc.2", "CVE-2024-45310", true, "a later line, before its fix"},
		{"runc", "1.2.0", "CVE-2024-45310", false, "a later line, after its fix"},
		{"runc", "1.1.15", "CVE-2025-31133", true, "a line that was never fixed"},
		{"runc", "1.2.8", "CVE-2025-31133", false, "fixed in its line"},
		{"runc", "1.3.2", "CVE-2025-52881", true, "newer than a fix, of another line"},
		{"runc", "1.5.0", "CVE-2025-52881", false, "newer than all that have it"},
		{"runc", "1.5.0", "CVE-2026-41579", false, "after the candidate that fixed it"},
		{"runc", "1.5.2", "CVE-2026-119101", true, ""},
		{"crun", "1.8.1", "CVE-2022-27650", false, ""},
		{"crun", "1.8.1", "CVE-2025-24965", true, "1.8 is before 1.20"},
		{"crun", "1.8.1", "CVE-2026-30892", false, "it came with 1.19"},
		{"crun", "1.26", "CVE-2026-30892", true, ""},
		{"crun", "1.31", "CVE-2026-115521", false, ""},
		{"youki", "0.1.0", "CVE-2026-115521", false, "nothing is known of it"},
	} {
		found := slices.ContainsFunc(flawsOf(tt.name, mustVersion(tt.version)), func(f flaw) bool { return f.cve == tt.cve })
		if found != tt.want {
			t.Errorf("%s %s has %s: %t, want %t (%s)", tt.name, tt.version, tt.cve, found, tt.want, tt.why)
		}
	}
}

func TestFlawsTable(t *testing.T) {
	id := regexp.MustCompile(`^CVE-20[0-9]{2}-[0-9]{4,6}$`)
	for name, list := range flaws {
		seen := make(map[string]bool)
		for _, f := range list {
			if !id.MatchString(f.cve) || seen[f.cve] || f.means == "" || strings.Contains(f.means, "\n") || len(f.fixed) == 0 {
				t.Errorf("%s: %+v", name, f)
			}
			seen[f.cve] = true
			for i, v := range f.fixed {
				if _, err := parseVersion(v); err != nil || i > 0 && mustVersion(f.fixed[i-1]).compare(mustVersion(v)) >= 0 {
					t.Errorf("%s %s: fixed in %v, in this order", name, f.cve, f.fixed)
				}
				if v := mustVersion(v); f.affects(v) {
					t.Errorf("%s %s: the version that fixes it, %v, has it", name, f.cve, v)
				}
			}
			if f.since != "" && !f.affects(mustVersion(f.since)) {
				t.Errorf("%s %s: the first version that has it has it not", name, f.cve)
			}
		}
	}
}
