package main

import (
	"fmt"
	"strings"
	"unicode"
)

// roff writes a page with the macros of man(7), and no others: they mean the
// same to groff and to mandoc. Each text goes through escape, so that no text
// is ever a request or an escape sequence.
type roff struct {
	b     strings.Builder
	begun bool // something was written below the last heading
}

// page begins a page. It has no date: what is built twice is the same.
func (r *roff) page(name string, section int) {
	fmt.Fprintf(&r.b, ".TH %s %d \"\" Kavach \"Kavach Manual\"\n", escape(strings.ToUpper(name)), section)
	// Pages are full of what people copy: nothing is hyphenated or stretched.
	r.b.WriteString(".nh\n.ad l\n")
}

func (r *roff) section(title string)    { r.heading("SH", title) }
func (r *roff) subsection(title string) { r.heading("SS", title) }

func (r *roff) heading(macro, title string) {
	fmt.Fprintf(&r.b, ".%s %s\n", macro, quoted(title))
	r.begun = false
}

// paragraph is running text, in which bold and italic may have marked words.
func (r *roff) paragraph(text string) {
	r.gap()
	r.running(text)
}

// gap parts a paragraph from what is before it, but for a heading, which does
// that itself.
func (r *roff) gap() {
	if r.begun {
		r.b.WriteString(".PP\n")
	}
}

// item is a paragraph with a term that stands out to the left of it.
func (r *roff) item(term, text string) {
	r.b.WriteString(".TP\n")
	r.line(escape(term))
	r.running(text)
}

// example is text whose lines stay as they are, set in.
func (r *roff) example(text string) {
	r.gap()
	r.b.WriteString(".RS 4\n.nf\n")
	for _, line := range strings.Split(strings.Trim(text, "\n"), "\n") {
		r.line(escape(line))
	}
	r.b.WriteString(".fi\n.RE\n")
}

// running breaks text into short lines at its spaces.
func (r *roff) running(text string) {
	const width = 72
	var line string
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+len(word) >= width {
			r.line(escape(line))
			line = ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	r.line(escape(line))
}

// line writes a line of text that is escaped. One that begins like a request
// would be one; an empty one is another request.
func (r *roff) line(text string) {
	if text == "" || strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	r.b.WriteString(text + "\n")
	r.begun = true
}

// bold and italic mark text; escape makes fonts of the marks. They are of the
// characters that no text of ours may have (Unicode's private use area).
func bold(s string) string   { return string(markBold) + s + string(markRoman) }
func italic(s string) string { return string(markItalic) + s + string(markRoman) }

const (
	markBold   = '\ue000'
	markItalic = '\ue001'
	markRoman  = '\ue002'
)

// escapes has what roff would show as another character, or take for the
// beginning of something: groff_char(7), "Fixed-width" ASCII.
var escapes = map[rune]string{
	'\\': `\(rs`, '-': `\-`, '\'': `\(aq`, '`': `\(ga`, '"': `\(dq`, '^': `\(ha`, '~': `\(ti`,
	markBold: `\fB`, markItalic: `\fI`, markRoman: `\fR`,
}

// escape makes of text what roff shows as that text, on one line.
func escape(text string) string {
	var b strings.Builder
	for _, c := range text {
		switch e, found := escapes[c]; {
		case found:
			b.WriteString(e)
		case c < unicode.MaxASCII && unicode.IsPrint(c):
			b.WriteRune(c)
		case unicode.IsPrint(c):
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteByte(' ') // a tab, or what a terminal would obey
		}
	}
	return b.String()
}

// quoted is text as one argument of a macro.
func quoted(text string) string { return `"` + escape(text) + `"` }
