package main

import (
	"github.com/spf13/cobra"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// completions tells a shell what the flags can be. It costs a map entry each;
// the lists are made when a shell asks.
func (f *runFlags) completions(cmd *cobra.Command) {
	complete(cmd, "backend", func() []string { return append([]string{"auto"}, backend.Names()...) })
	complete(cmd, "policy", policy.PresetNames)
	complete(cmd, "best-effort", controlNames)
}

func controlNames() []string {
	var names []string
	for _, c := range policy.Controls() {
		names = append(names, string(c))
	}
	return names
}

func complete(cmd *cobra.Command, flag string, values func() []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values(), cobra.ShellCompDirectiveDefault
	})
	if err != nil {
		panic(err) // there is no such flag: a mistake in this file
	}
}
