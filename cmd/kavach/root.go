package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kavach-dev/kavach/policy"
)

// run is kavach, from its arguments to its exit code.
func run(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.Execute()
	code := codeOfError(err)
	var status exitStatus
	switch {
	case err == nil || errors.As(err, &status):
	case wantsJSON(args):
		writeJSONError(os.Stdout, code, err)
	default:
		complain(os.Stderr, err)
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "kavach",
		Short:         "run code that nobody trusts, and know how well it is confined",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args)
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		runCommand(),
		scoreCommand(),
		doctorCommand(),
		policyCommand(),
		psCommand(),
		cleanCommand(),
		sessionCommand(),
		sessionCommand(),
		versionCommand(),
	)
	return root
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	if near := policy.Nearest(args[0], names); near != "" {
		return usagef(fmt.Sprintf("did you mean %q?", near), "there is no command %q", args[0])
	}
	if cmd.HasParent() {
		return usagef("the commands are "+strings.Join(names, ", "), "there is no command %q of %s", args[0], cmd.CommandPath())
	}
	return usagef("to run a program: kavach run -- "+strings.Join(args, " "), "there is no command %q", args[0])
}

// flagError names the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	fix := fmt.Sprintf("see %s --help", cmd.CommandPath())
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := policy.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			fix = fmt.Sprintf("did you mean --%s?", near)
		}
	}
	return usagef(fix, "%v", err)
}

// exactly is cobra.ExactArgs and its like, in our own words.
func exactly(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("", "%s needs %s", cmd.CommandPath(), what)
		case most >= 0 && len(args) > most:
			return usagef("see "+cmd.CommandPath()+" --help", "%s does not take %q", cmd.CommandPath(), args[most])
		}
		return nil
	}
}

// wantsJSON reports whether --json is among the arguments of kavach itself. It
// also serves where the arguments could not be parsed.
func wantsJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// writeJSON writes v as one object on one line.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// jsonError is what --json prints where there is no result.
type jsonError struct {
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error"`
	Fix      string `json:"fix,omitempty"`
}

func writeJSONError(w io.Writer, code int, err error) {
	out := jsonError{ExitCode: code}
	var what, fix []string
	for _, p := range explain(err) {
		what = append(what, p.what)
		if p.fix != "" {
			fix = append(fix, p.fix)
		}
	}
	out.Error, out.Fix = strings.Join(what, "; "), strings.Join(fix, "; ")
	_ = writeJSON(w, out) // there is nobody left to tell
}
