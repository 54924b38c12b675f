package main

import (
	"fmt"
	"strings"
)

// table is rows of cells, the first row the head, in Markdown: names to the left,
// figures to the right.
type table [][]string

func (t table) write(b *strings.Builder) {
	for i, row := range t {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(b, "| --- |%s\n", strings.Repeat(" ---: |", len(row)-1))
		}
	}
	b.WriteString("\n")
}
