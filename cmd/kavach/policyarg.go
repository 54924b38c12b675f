package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
)

// loadPolicy reads what --policy names: stdin, a file, or a preset. Presets
// have neither "/" nor "." in their names, and files have one of them.
func loadPolicy(name string) (policy.Policy, error) {
	switch {
	case name == "-":
		data, err := io.ReadAll(io.LimitReader(os.Stdin, policyfile.MaxSize+1))
		if err != nil {
			return policy.Policy{}, fmt.Errorf("read the policy from stdin: %w", err)
		}
		return policyfile.Parse("stdin", data)
	case strings.ContainsAny(name, "/."):
		return policyfile.Load(name)
	}
	p, err := policy.Preset(name)
	if err == nil {
		return p, nil
	}
	if _, statErr := os.Stat(name); statErr == nil {
		return p, usagef(fmt.Sprintf("for the file, write ./%s", name), "there is no preset %q", name)
	}
	return p, fmt.Errorf("--policy: %w", err)
}
