package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// shells has for each shell what makes it ask "kavach __complete WORD...", whose
// last word is the one that is being typed.
var shells = map[string]string{
	"bash": `_kavach() {
	local IFS=$'\n'
	COMPREPLY=($(compgen -W "$(kavach __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _kavach kavach
`,
	"zsh": `#compdef kavach
_kavach() {
	local -a found
	found=("${(@f)$(kavach __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "${found[*]}" ]]; then compadd -- "${found[@]}"; else _files; fi
}
# zsh runs a file of its fpath as the function, and others source it.
if [[ "${funcstack[1]}" == _kavach ]]; then _kavach "$@"; else compdef _kavach kavach; fi
`,
	"fish": `complete -c kavach -a '(kavach __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

func completionCommand() *command {
	names := slices.Sorted(maps.Keys(shells))
	return &command{
		name: "completion", args: "SHELL", short: "print what makes a shell complete kavach's commands",
		long: `Print what makes a shell (bash, zsh or fish) complete kavach's commands:

  source <(kavach completion bash)     in ~/.bashrc
  source <(kavach completion zsh)      in ~/.zshrc, after compinit
  kavach completion fish | source      in ~/.config/fish/config.fish
`,
		least: 1, most: 1, needs: "a shell: " + strings.Join(names, ", "),
		values: func() []string { return names },
		run: func(args []string) error {
			script, known := shells[args[0]]
			if !known {
				return usagef("the shells are "+strings.Join(names, ", "), "there is no completion for %q", args[0])
			}
			_, err := os.Stdout.WriteString(script)
			return err
		},
	}
}

func completeCommand() *command {
	return &command{name: "__complete", raw: true, run: func(words []string) error {
		if len(words) == 0 {
			return nil
		}
		for _, s := range candidates(newRoot(), words[:len(words)-1], words[len(words)-1]) {
			fmt.Println(s)
		}
		return nil
	}}
}

// candidates are what the word that is being typed can be, after those before
// it. None: the name of a file.
func candidates(c *command, before []string, typed string) []string {
	var all []string
	if len(c.sub) > 0 {
		for _, sub := range c.sub {
			if len(before) > 0 && sub.name == before[0] {
				return candidates(sub, before[1:], typed)
			}
			if len(before) == 0 && sub.short != "" {
				all = append(all, sub.name)
			}
		}
		return beginning(all, typed)
	}
	f := c.newFlags()
	before = f.spread(before)
	for i := 0; i < len(before); i++ {
		info := f.find(before[i])
		switch {
		case before[i] == "--", info == nil && c.passes:
			return nil // what follows is another program's
		case info == nil || info.value == "" || strings.Contains(before[i], "="):
		case i == len(before)-1: // its value is being typed
			if info.values == nil {
				return nil
			}
			return beginning(info.values(), typed)
		default:
			i++
		}
	}
	if strings.HasPrefix(typed, "-") {
		for _, info := range f.list {
			all = append(all, "--"+info.name)
		}
	} else if c.values != nil {
		all = c.values()
	}
	return beginning(all, typed)
}

func beginning(all []string, with string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, with) })
}

func controlNames() []string {
	var names []string
	for _, c := range policy.BestEffortNames() {
		names = append(names, string(c))
	}
	return names
}
