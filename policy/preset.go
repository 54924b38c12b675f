package policy

import (
	"fmt"
	"strings"
	"time"
)

// presets are ordinary policies, weakest first. They are made anew with each
// call, so that a caller may change what it gets.
func presets() []Policy {
	return []Policy{
		{
			Name:       "minimal",
			Filesystem: Filesystem{Root: RootHost, Writable: true, TmpSize: 1 << 30, Landlock: Off},
			Seccomp:    Seccomp{Profile: Off},
			Network:    Network{Loopback: true},
			Resources: Resources{
				Memory: Unlimited, CPUs: Unlimited, PIDs: Unlimited, Output: 64 << 20, Timeout: Unlimited,
			},
		},
		{
			Name:       "basic",
			Filesystem: Filesystem{Root: RootHost, TmpSize: 256 << 20, Landlock: On},
			Seccomp:    Seccomp{Profile: SeccompDefault},
			Network:    Network{Loopback: true},
			Resources: Resources{
				Memory: 1 << 30, CPUs: 2, PIDs: 512, Output: 16 << 20, Timeout: Duration(time.Hour),
			},
		},
		{
			Name:       "strict",
			Filesystem: Filesystem{Root: RootHost, TmpSize: 64 << 20, Landlock: On},
			Seccomp:    Seccomp{Profile: SeccompStrict},
			Resources: Resources{
				Memory: 512 << 20, CPUs: 1, PIDs: 128, Output: 1 << 20, Timeout: Duration(time.Minute),
			},
			Gate: Gate{Redact: SeverityLow},
		},
	}
}

// PresetNames lists the presets, weakest first.
func PresetNames() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.Name)
	}
	return names
}

// Preset returns the preset of that name, which is also the policy's Name. The
// error is a *FieldError without a Field.
func Preset(name string) (Policy, error) {
	for _, p := range presets() {
		if p.Name == name {
			return p, nil
		}
	}
	return Policy{}, &FieldError{
		Problem: fmt.Sprintf("there is no preset %s (there are %s)", quote(name), strings.Join(PresetNames(), ", ")),
		Fix:     didYouMean(name, PresetNames()),
	}
}

// didYouMean is the fix for a name that is near a known one, or "".
func didYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}
