package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
)

// loadPolicies reads what --policy names, and merges it.
func loadPolicies(names []string) (policy.Policy, error) {
	list, err := loadEach(names)
	if err != nil {
		return policy.Policy{}, err
	}
	return policyfile.Merge(list...)
}

// loadEach reads what --policy names, each time that it is given. None: basic.
func loadEach(names []string) (list []policyfile.Named, err error) {
	if len(names) == 0 {
		names = []string{"basic"}
	}
	if i := slices.Index(names, "-"); i >= 0 && slices.Contains(names[i+1:], "-") {
		return nil, twoFromStdin()
	}
	for _, name := range names {
		p, err := loadPolicy(name)
		if err != nil {
			return nil, err
		}
		list = append(list, policyfile.Named{Name: policyLabel(name), Policy: p})
	}
	return list, nil
}

// notGiven says of each secret that one of several policies names, and another does
// not, that no command is given it.
func notGiven(list []policyfile.Named) (notes []string) {
	for _, from := range list {
		for _, c := range from.Policy.Credentials {
			i := slices.IndexFunc(list, func(other policyfile.Named) bool { return named(other.Policy.Credentials, c.Name) < 0 })
			if i >= 0 {
				notes = append(notes, fmt.Sprintf("secret %s of policy %s is not given: policy %s does not name it", c.Name, from.Name, list[i].Name))
			}
		}
	}
	return notes
}

func twoFromStdin() error {
	return usagef("put one of them into a file", "two policies cannot both be read from stdin")
}

// policyLabel is what a policy is called where it is spoken of.
func policyLabel(name string) string {
	if name == "-" {
		return "stdin"
	}
	return name
}

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
	return p, err
}
