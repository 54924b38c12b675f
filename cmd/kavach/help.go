package main

import (
	"fmt"
	"io"
	"strings"
)

// help prints what --help shows.
func (c *command) help(w io.Writer, path string) error {
	var b strings.Builder
	long := c.long
	if long == "" {
		long = c.short
	}
	fmt.Fprintf(&b, "%s\n\nUsage:\n", strings.TrimRight(long, "\n"))
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
