package main

import (
	"fmt"
	"io"
	"strings"
)

// help prints what --help shows.
func (c *command) help(w io.Writer, path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", strings.TrimRight(c.description(), "\n"))
	if len(c.exit) > 0 {
		fmt.Fprintf(&b, "Exit codes:\n%s\n", exitCodeTable(c.exit))
	}
	b.WriteString("Usage:\n")
	if len(c.sub) > 0 {
		fmt.Fprintf(&b, "  %s COMMAND\n\nCommands:\n", path)
		for _, sub := range c.sub {
			if sub.short != "" {
				fmt.Fprintf(&b, "  %-11s %s\n", sub.name, sub.short)
			}
		}
		fmt.Fprintf(&b, "\n%s COMMAND --help says more.\n", path)
	} else {
		fmt.Fprintf(&b, "  %s\n", strings.TrimRight(path+" "+c.args, " "))
	}
	if c.example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", c.example)
	}
	c.newFlags().help(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// description is more than the one line about a command, where there is more
// to say.
func (c *command) description() string {
	if c.long == "" {
		return capitalized(c.short) + "."
	}
	return c.long
}

// capitalized is text that begins with a capital letter, where it began with a
// letter of ASCII.
func capitalized(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func (f *flags) help(b *strings.Builder) {
	if len(f.list) == 0 {
		return
	}
	width := 0
	for _, info := range f.list {
		width = max(width, len(info.spelled()))
	}
	b.WriteString("\nFlags:\n")
	for _, info := range f.list {
		fmt.Fprintf(b, "  %-*s  %s\n", width, info.spelled(), info.help)
	}
}

// spelled is a flag as help shows it: "-v, --volume SRC:DST".
func (i flagInfo) spelled() string {
	s := "    --" + i.name
	if i.short != "" {
		s = "-" + i.short + ", --" + i.name
	}
	if i.value != "" {
		s += " " + i.value
	}
	return s
}
