package main

import (
	"regexp"
	"strings"
	"sync"

	"github.com/kavach-dev/kavach/docs"
)

// sessionPage is kavach-session(7): docs/session.md as a page.
func sessionPage() manPage {
	var r roff
	r.page("kavach-session", 7)
	r.section("NAME")
	r.line(`kavach\-session \- one sandbox over stdin and stdout, in JSON lines`)
	r.section("DESCRIPTION")
	r.markdown(docs.Session)
	r.section("SEE ALSO")
	r.running(reference("kavach-session", 1) + ", " + reference("kavach-run", 1) + ", " + reference("kavach-policy", 5))
	return manPage{name: "kavach-session", section: 7, text: r.b.String()}
}

// markdown writes a text in the Markdown that our documents use: headings,
// paragraphs, lists, tables and fenced examples. The first heading is the title,
// which a page has already.
func (r *roff) markdown(text string) {
	lines := strings.Split(text, "\n")
	for len(lines) > 0 {
		n := 1
		switch line := lines[0]; {
		case line == "", strings.HasPrefix(line, "# "):
		case strings.HasPrefix(line, "### "):
			r.subsection(unmarked(line[len("### "):]))
		case strings.HasPrefix(line, "## "):
			r.section(strings.ToUpper(unmarked(line[len("## "):])))
		case strings.HasPrefix(line, "```"):
			for n < len(lines) && lines[n] != "```" {
				n++
			}
			r.example(strings.Join(lines[1:n], "\n"))
			n++ // the fence
		case strings.HasPrefix(line, "|"):
			n = block(lines, func(s string) bool { return strings.HasPrefix(s, "|") })
			r.table(lines[:n])
		case strings.HasPrefix(line, "- "):
			n = block(lines, func(s string) bool { return strings.HasPrefix(s, "  ") })
			r.item("\u2022", marked(strings.Join(lines[:n], " ")[len("- "):]))
		default:
			n = block(lines, func(s string) bool { return s != "" && !strings.HasPrefix(s, "```") })
			r.paragraph(marked(strings.Join(lines[:n], " ")))
		}
		lines = lines[min(n, len(lines)):]
	}
}

// block is how many lines belong together: the first, and those after it that
// are in.
func block(lines []string, in func(string) bool) int {
	n := 1
	for n < len(lines) && in(lines[n]) {
		n++
	}
	return n
}

// table makes an item of each row: its first cell stands out, with the type
// beside it where the table has one; the cells after it are the text, those from
// the second on with the head of their column.
func (r *roff) table(lines []string) {
	head := cells(lines[0])
	for _, line := range lines[min(2, len(lines)):] { // the second is the rule
		row := cells(line)
		name, rest := bold(unmarked(row[0])), row[1:]
		at := 1
		if len(rest) > 0 && head[1] == "type" {
			name, rest, at = name+" ("+italic(unmarked(rest[0]))+")", rest[1:], 2
		}
		var b strings.Builder
		for i, cell := range rest {
			switch {
			case i == 0:
				b.WriteString(marked(cell))
			case cell != "" && at+i < len(head):
				b.WriteString(". " + capitalized(head[at+i]) + ": " + marked(cell))
			}
		}
		r.item(name, b.String()+".")
	}
}

// cells are those of a row of a table. A bar may be in one when it is escaped.
func cells(line string) []string {
	const bar = "\x00" // in no document
	line = strings.ReplaceAll(strings.Trim(line, "| "), `\|`, bar)
	row := strings.Split(line, "|")
	for i := range row {
		row[i] = strings.ReplaceAll(strings.TrimSpace(row[i]), bar, "|")
	}
	return row
}

// Compiled when they are needed: kavach starts for every command.
var (
	code = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("`([^`]*)`") })
	link = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`) })
)

// marked is text with its code in bold, and of its links the words.
func marked(text string) string {
	return code().ReplaceAllString(link().ReplaceAllString(text, "$1"), bold("$1"))
}

// unmarked is text without marks.
func unmarked(text string) string {
	return code().ReplaceAllString(link().ReplaceAllString(text, "$1"), "$1")
}
