package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
)

func policyCommand() *command {
	return &command{
		name: "policy", short: "show, check, compare and merge policies",
		sub: []*command{
			policyShow(), policyExplain(), policyDiff(), policyMerge(),
			{
				name: "validate", args: "FILE...", short: "check policy files, and say where each is wrong",
				one:   "a file is wrong",
				least: 1, most: -1, needs: "a file", run: validatePolicies,
			},
			{
				name: "schema", short: "print the JSON Schema of policy files",
				run: func([]string) error {
					_, err := os.Stdout.Write(policyfile.Schema())
					return err
				},
			},
		},
	}
}

func policyShow() *command {
	asJSON := false
	return &command{
		name: "show", args: "[flags] [POLICY]", short: "print a policy as YAML; without a name, list the presets",
		flags: jsonFlag(&asJSON),
		most:  1, values: policy.PresetNames,
		run: func(args []string) error {
			switch {
			case len(args) == 1:
				p, err := loadPolicy(args[0])
				if err != nil {
					return err
				}
				return printPolicy(p, asJSON)
			case asJSON:
				return writeJSON(os.Stdout, policy.PresetNames())
			}
			_, err := fmt.Println(strings.Join(policy.PresetNames(), "\n"))
			return err
		},
	}
}

func policyMerge() *command {
	asJSON := false
	return &command{
		name: "merge", args: "[flags] POLICY POLICY...", short: "print the policy that allows what each of several allows",
		long: `Print the policy that allows what each of several allows: the stricter value of
each field, as docs/policies.md has it. Where two values have no order and differ,
it is an error. kavach run --policy A --policy B runs with the merge.`,
		flags: jsonFlag(&asJSON),
		least: 2, most: -1, needs: "two policies, such as: kavach policy merge basic ./site.yaml", values: policy.PresetNames,
		run: func(args []string) error {
			p, err := loadPolicies(args)
			if err != nil {
				return err
			}
			return printPolicy(p, asJSON)
		},
	}
}

func jsonFlag(to *bool) func(*flags) {
	return func(f *flags) { f.Bool(to, "json", "", "print JSON") }
}

// printPolicy writes p as a policy file.
func printPolicy(p policy.Policy, asJSON bool) error {
	text, err := policyfile.Marshal(p)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(os.Stdout, p)
	}
	_, err = os.Stdout.Write(text)
	return err
}

// validatePolicies says each problem of each file on a line of its own, which
// begins with the position as compilers write it.
func validatePolicies(files []string) error {
	failed := false
	for _, file := range files {
		var err error
		if file == "-" {
			_, err = loadPolicy(file)
		} else {
			_, err = policyfile.Load(file)
		}
		if err != nil {
			failed = true
			printProblems(err)
		}
	}
	if failed {
		return exitStatus(1)
	}
	return nil
}

func printProblems(err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, inner := range several.Unwrap() {
			printProblems(inner)
		}
		return
	}
	var positioned *policyfile.Error
	if errors.As(err, &positioned) {
		fmt.Fprintln(os.Stderr, printable(positioned.Error()))
		return
	}
	complain(os.Stderr, err)
}
