package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "show and check policies",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args)
			}
			return cmd.Help()
		},
	}
	presets := cobra.FixedCompletions(policy.PresetNames(), cobra.ShellCompDirectiveDefault)
	cmd.AddCommand(
		&cobra.Command{
			Use:               "show [PRESET|FILE]",
			Short:             "print a policy as YAML; without a name, list the presets",
			Args:              exactly(0, 1, ""),
			ValidArgsFunction: presets,
			RunE:              func(_ *cobra.Command, args []string) error { return showPolicy(args) },
		},
		&cobra.Command{
			Use:   "validate FILE...",
			Short: "check policy files, and say where each is wrong",
			Args:  exactly(1, -1, "a file"),
			RunE:  func(_ *cobra.Command, args []string) error { return validatePolicies(args) },
		},
		&cobra.Command{
			Use:   "schema",
			Short: "print the JSON Schema of policy files",
			Args:  exactly(0, 0, ""),
			RunE: func(*cobra.Command, []string) error {
				_, err := os.Stdout.Write(policyfile.Schema())
				return err
			},
		},
	)
	return cmd
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
	if several, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // of errors.Join itself
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
