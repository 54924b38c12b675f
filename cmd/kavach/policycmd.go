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
		name: "policy", short: "show and check policies",
		sub: []*command{
			{
				name: "show", args: "[PRESET|FILE]", short: "print a policy as YAML; without a name, list the presets",
				most: 1, values: policy.PresetNames, run: showPolicy,
			},
			{
				name: "validate", args: "FILE...", short: "check policy files, and say where each is wrong",
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

func showPolicy(args []string) error {
	if len(args) == 0 {
		_, err := fmt.Println(strings.Join(policy.PresetNames(), "\n"))
		return err
	}
	p, err := loadPolicy(args[0])
	if err != nil {
		return err
	}
	text, err := policyfile.Marshal(p)
	if err != nil {
		return err
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
