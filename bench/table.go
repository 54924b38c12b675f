package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is rows of cells; the first row is the head. Rows may be short.
type table [][]string

// write prints the table with its columns aligned: the first to the left, and
// numbers, which begin with a digit or stand above such, to the right. A row of
// two cells is a name and a remark, which may be as long as it likes.
func (t table) write(w io.Writer) {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			if !remark(t, row, i) {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	for n, row := range t {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
			if i > 0 {
				b.WriteString("  ")
			}
			if i > 0 && numeric(t, i) && !remark(t, row, i) {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
		if n == 0 {
			fmt.Fprintln(w, t.rule(widths))
		}
	}
}

func remark(t table, row []string, i int) bool { return i == 1 && len(row) == 2 && len(t[0]) > 2 }

// numeric reports whether a column holds numbers.
func numeric(t table, i int) bool {
	for _, row := range t[1:] {
		if len(row) > i && !remark(t, row, i) && row[i] != "" {
			return row[i][0] >= '0' && row[i][0] <= '9'
		}
	}
	return false
}

func (t table) rule(widths []int) string {
	n := 2 * (len(widths) - 1)
	for _, w := range widths {
		n += w
	}
	return strings.Repeat("-", n)
}
