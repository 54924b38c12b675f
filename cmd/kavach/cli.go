package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// The command line is made of package flag and this file. The libraries for it
// link package net or os/user, and so cgo wherever a C compiler is installed,
// and with cgo a program cannot be its own guest (docs/RATIONALE.md).

// command is one command, or a group of them.
type command struct {
	name    string
	args    string // for the usage line: "FILE..."
	short   string // one line
	long    string // for --help; empty: short
	example string

	exit []exitRow // exit codes; nil: 0, and what goes for every command
	one  string    // what 1 means, where exit is nil; empty: nothing

	sub []*command // a group has these, and nothing of the following

	flags       func(*flags)    // registers them; nil: none
	least, most int             // arguments; most -1: any number
	needs       string          // what is missing with fewer than least
	passes      bool            // the first argument ends the flags
	raw         bool            // all arguments are taken as they are; for shells, not people
	values      func() []string // what an argument can be, for completion
	run         func(args []string) error
}

// flags are the flags of a command.
type flags struct {
	set  *flag.FlagSet
	list []flagInfo // as they were registered
}

type flagInfo struct {
	name, short string
	value       string // what it takes, for help; empty: nothing
	help        string
	values      func() []string // what value can be, for completion
}

// Bool registers a flag without a value, Text one with, and Texts one that can
// be given more than once. short may be empty.
func (f *flags) Bool(to *bool, name, short, help string) {
	f.add(flagInfo{name: name, short: short, help: help}, func(name string) { f.set.BoolVar(to, name, *to, "") })
}

func (f *flags) Text(to *string, name, short, value, help string, values func() []string) {
	f.add(flagInfo{name, short, value, help, values}, func(name string) { f.set.StringVar(to, name, *to, "") })
}

func (f *flags) Texts(to *[]string, name, short, value, help string, values func() []string) {
	f.add(flagInfo{name, short, value, help, values}, func(name string) {
		f.set.Func(name, "", func(s string) error { *to = append(*to, s); return nil })
	})
}

func (f *flags) add(info flagInfo, register func(name string)) {
	f.list = append(f.list, info)
	register(info.name)
	if info.short != "" {
		register(info.short)
	}
}

// find returns the flag that a word of a command line names, or nil.
func (f *flags) find(word string) *flagInfo {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	i := slices.IndexFunc(f.list, func(i flagInfo) bool { return i.name == name || (name != "" && i.short == name) })
	if i < 0 || !strings.HasPrefix(word, "-") {
		return nil
	}
	return &f.list[i]
}

// spread takes flags of one letter that were written together apart, as -it for
// -i -t; the last may take a value. It stops where flags do.
func (f *flags) spread(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		word := args[i]
		if len(word) < 2 || word[0] != '-' || word == "--" {
			return append(out, args[i:]...)
		}
		letters := f.letters(word)
		out = append(out, letters...)
		last := f.find(letters[len(letters)-1])
		if last != nil && last.value != "" && !strings.Contains(word, "=") && i+1 < len(args) {
			i++ // its value, whatever it looks like
			out = append(out, args[i])
		}
	}
	return out
}

// letters is a word that names a flag as the flags that it is made of: itself,
// unless each letter is a flag.
func (f *flags) letters(word string) []string {
	name, _, _ := strings.Cut(word[1:], "=")
	if word[1] == '-' || len(name) < 2 || f.find(word) != nil {
		return []string{word}
	}
	var out []string
	for i, letter := range name {
		info := f.find("-" + string(letter))
		if info == nil || info.value != "" && i < len(name)-1 {
			return []string{word}
		}
		out = append(out, "-"+string(letter))
	}
	out[len(out)-1] += word[1+len(name):]
	return out
}

func (c *command) newFlags() *flags {
	f := &flags{set: flag.NewFlagSet(c.name, flag.ContinueOnError)}
	f.set.SetOutput(io.Discard) // errors are told in one place
	if c.flags != nil {
		c.flags(f)
	}
	return f
}

// dispatch finds the command that is meant and runs it. path is how it is
// called so far.
func dispatch(c *command, path string, args []string) error {
	if c.raw {
		return c.run(args)
	}
	if len(c.sub) == 0 {
		return c.execute(path, args)
	}
	if len(args) == 0 || isHelp(args[0]) {
		return c.help(os.Stdout, path)
	}
	if args[0] == "help" {
		return dispatch(c, path, append(slices.Clone(args[1:]), "--help"))
	}
	for _, sub := range c.sub {
		if sub.name == args[0] {
			return dispatch(sub, path+" "+sub.name, args[1:])
		}
	}
	return c.unknown(path, args)
}

func isHelp(arg string) bool { return arg == "--help" || arg == "-help" || arg == "-h" }

// execute runs a command that is not a group.
func (c *command) execute(path string, args []string) error {
	rest, err := c.parse(path, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return c.help(os.Stdout, path)
	case err != nil:
		return err
	case len(rest) < c.least:
		return usagef("", "%s needs %s", path, c.needs)
	case c.most >= 0 && len(rest) > c.most:
		return usagef("see "+path+" --help", "%s does not take %q", path, rest[c.most])
	}
	return c.run(rest)
}

// parse sets the flags, and returns the arguments. Flags may stand among the
// arguments, unless those are another program's.
func (c *command) parse(path string, args []string) (rest []string, err error) {
	f := c.newFlags()
	for {
		args = f.spread(args)
		if err := f.set.Parse(args); err != nil {
			return nil, f.explain(path, args, err)
		}
		left := f.set.Args()
		ended := len(left) < len(args) && args[len(args)-len(left)-1] == "--"
		if c.passes || ended || len(left) == 0 {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// explain says what is wrong with the flag at which parsing has stopped.
func (f *flags) explain(path string, args []string, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	word := args[max(0, len(args)-f.set.NArg()-1)]
	name, _, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
	info := f.find(word)
	see := fmt.Sprintf("see %s --help", path)
	switch {
	case info != nil && info.value != "" && !given:
		return usagef("write --"+info.name+" "+info.value, "flag --%s needs a value", info.name)
	case info != nil:
		return usagef(see, "%v", err)
	}
	var names []string
	for _, i := range f.list {
		names = append(names, i.name)
	}
	if near := policy.Nearest(name, names); near != "" {
		see = fmt.Sprintf("did you mean --%s?", near)
	}
	return usagef(see, "unknown flag %s", flagWord(word))
}

// flagWord is a word that names a flag without what it is set to, which may be
// something that nobody is to see.
func flagWord(word string) string {
	name, _, _ := strings.Cut(word, "=")
	return name
}

// beforeFlags are the words before the first flag, for the same reason.
func beforeFlags(words []string) []string {
	for i, word := range words {
		if strings.HasPrefix(word, "-") {
			return append(slices.Clone(words[:i]), "…")
		}
	}
	return words
}

// unknown says that there is no such command in a group.
func (c *command) unknown(path string, args []string) error {
	if strings.HasPrefix(args[0], "-") {
		return usagef("see "+path+" --help", "unknown flag %s", flagWord(args[0]))
	}
	var names []string
	for _, sub := range c.sub {
		if sub.short != "" {
			names = append(names, sub.name)
		}
	}
	fix := "the commands are " + strings.Join(names, ", ")
	if near := policy.Nearest(args[0], names); near != "" {
		fix = fmt.Sprintf("did you mean %q?", near)
	} else if path == c.name {
		fix = "to run a program: kavach run -- " + strings.Join(beforeFlags(args), " ")
	}
	return usagef(fix, "there is no command %q", path+" "+args[0])
}
