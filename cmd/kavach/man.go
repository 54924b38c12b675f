package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// manPage is one page of the manual.
type manPage struct {
	name    string // "kavach-run"
	section int    // as man(1) counts: 1 commands, 5 files, 7 the rest
	text    string
}

// file is where man looks for the page, below a directory of MANPATH.
func (p manPage) file() string {
	return filepath.Join(fmt.Sprintf("man%d", p.section), fmt.Sprintf("%s.%d", p.name, p.section))
}

// manPages makes the whole manual: a page for each command, one for policy
// files, one for the protocol of kavach session.
func manPages() []manPage {
	pages := commandPages(newRoot(), "kavach")
	return append(pages, policyPage(), sessionPage())
}

func manCommand() *command {
	dir := ""
	return &command{
		name: "man", args: "[flags] [PAGE]", short: "print a page of the manual, or write all of them",
		long: `Print a page of the manual, in the roff that man shows:

  kavach man kavach-run | man -l -

or write all pages below DIR, as a directory of MANPATH has them. Without
either, list the pages.`,
		example: `  kavach man --dir ~/.local/share/man`,
		flags: func(f *flags) {
			f.Text(&dir, "dir", "", "DIR", "write all pages below DIR: DIR/man1/kavach-run.1 and so on", nil)
		},
		most:   1,
		values: func() []string { return pageNames(manPages()) },
		run: func(args []string) error {
			switch {
			case dir != "" && len(args) > 0:
				return usagef("leave one of them out", "--dir writes all pages, and %s is one", args[0])
			case dir != "":
				return writePages(dir, manPages())
			case len(args) == 0:
				_, err := fmt.Println(strings.Join(pageNames(manPages()), "\n"))
				return err
			}
			return printPage(args[0])
		},
	}
}

func pageNames(pages []manPage) []string {
	var names []string
	for _, p := range pages {
		names = append(names, filepath.Base(p.file()))
	}
	return names
}

// printPage prints the page of that name; without a section, the first.
func printPage(name string) error {
	for _, p := range manPages() {
		if p.name == name || filepath.Base(p.file()) == name {
			_, err := os.Stdout.WriteString(p.text)
			return err
		}
	}
	return usagef("kavach man lists the pages", "there is no page %q", name)
}

func writePages(dir string, pages []manPage) error {
	for _, p := range pages {
		path := filepath.Join(dir, p.file())
		// Both are for everybody to read: 0755 and 0644, less what umask takes.
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err = errors.Join(err, os.WriteFile(path, []byte(p.text), 0o644)); err != nil {
			return fmt.Errorf("write a page of the manual: %w", err)
		}
	}
	return nil
}

// commandPages makes the pages of a command, which is called by path, and of
// those below it.
func commandPages(c *command, path string) []manPage {
	pages := []manPage{{name: pageName(path), section: 1, text: commandPage(c, path)}}
	for _, sub := range c.sub {
		if sub.short != "" { // else it is not for people
			pages = append(pages, commandPages(sub, path+" "+sub.name)...)
		}
	}
	return pages
}

func pageName(path string) string { return strings.ReplaceAll(path, " ", "-") }

func commandPage(c *command, path string) string {
	var r roff
	r.page(pageName(path), 1)
	r.section("NAME")
	r.line(escape(pageName(path)) + ` \- ` + escape(c.short))
	r.section("SYNOPSIS")
	if len(c.sub) > 0 {
		r.line(escape(bold(path) + " " + italic("COMMAND")))
	} else {
		r.line(escape(strings.TrimRight(bold(path)+" "+c.args, " ")))
	}
	r.section("DESCRIPTION")
	r.prose(c.description())
	r.commands(c, path)
	r.options(c)
	r.exits(c)
	if c.example != "" {
		r.section("EXAMPLES")
		r.example(outdent(c.example))
	}
	r.section("SEE ALSO")
	r.running(seeAlso(c, path))
	return r.b.String()
}

// commands lists the commands of a group.
func (r *roff) commands(c *command, path string) {
	if len(c.sub) == 0 {
		return
	}
	r.section("COMMANDS")
	for _, sub := range c.sub {
		if sub.short != "" {
			r.item(reference(pageName(path+" "+sub.name), 1), sub.short+".")
		}
	}
}

func (r *roff) options(c *command) {
	list := c.newFlags().list
	if len(list) == 0 {
		return
	}
	r.section("OPTIONS")
	for _, info := range list {
		term := bold("--" + info.name)
		if info.short != "" {
			term = bold("-"+info.short) + ", " + term
		}
		if info.value != "" {
			term += " " + italic(info.value)
		}
		r.item(term, info.help+".")
	}
}

func (r *roff) exits(c *command) {
	r.section("EXIT STATUS")
	for _, row := range c.exits() {
		r.item(bold(row.Code), row.Means+".")
	}
}

// prose is a text as --help shows it: paragraphs between empty lines, and
// examples, whose lines are set in.
func (r *roff) prose(text string) {
	for _, part := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		switch {
		case strings.HasPrefix(part, " "):
			r.example(outdent(part))
		default:
			r.paragraph(part)
		}
	}
}

// outdent takes the indentation of the first line from all lines.
func outdent(text string) string {
	text = strings.TrimLeft(text, "\n")
	in := text[:len(text)-len(strings.TrimLeft(text, " "))]
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n"+in, "\n"), in)
}

// seeAlso refers to the pages beside, above and below that of a command.
func seeAlso(c *command, path string) string {
	pages := []string{reference("kavach-policy", 5), reference("kavach-session", 7)}
	if up := strings.LastIndex(path, " "); up >= 0 {
		pages = append([]string{reference(pageName(path[:up]), 1)}, pages...)
	}
	var below []string
	for _, sub := range c.sub {
		if sub.short != "" {
			below = append(below, reference(pageName(path+" "+sub.name), 1))
		}
	}
	return strings.Join(append(below, pages...), ", ")
}

// reference is how a page is referred to: its name, and its section.
func reference(name string, section int) string {
	return fmt.Sprintf("%s(%d)", bold(name), section)
}
