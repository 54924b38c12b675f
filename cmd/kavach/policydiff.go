package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/kavach-dev/kavach/policy"
)

// compared is what policy diff --json prints.
type compared struct {
	From string `json:"from"` // as it was named
	To   string `json:"to"`

	// FromCovers says that From allows all that To allows; ToCovers the other
	// way round. Where both are true, the policies mean the same.
	FromCovers bool `json:"from_covers"`
	ToCovers   bool `json:"to_covers"`

	Differences []policy.Difference `json:"differences"`
}

func policyDiff() *command {
	asJSON := false
	return &command{
		name: "diff", args: "[flags] FROM TO", short: "say what differs between two policies, and which is the stricter",
		long: `Say in which fields two policies differ in what they mean, and whether the second
is stricter there or weaker. Exits with 0 where nothing differs, with 1 where
something does, and with 125 where a policy cannot be read.`,
		flags: jsonFlag(&asJSON),
		one:   "the policies differ",
		least: 2, most: 2, needs: "two policies, such as: kavach policy diff basic ./site.yaml", values: policy.PresetNames,
		run: func(args []string) error {
			c, err := compare(args[0], args[1])
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(os.Stdout, c)
			} else {
				err = c.print(os.Stdout, newPaint(os.Stdout))
			}
			if err == nil && len(c.Differences) > 0 {
				return exitStatus(1)
			}
			return err
		},
	}
}

func compare(from, to string) (*compared, error) {
	if from == "-" && to == "-" {
		return nil, twoFromStdin()
	}
	a, err := loadPolicy(from)
	if err != nil {
		return nil, err
	}
	b, err := loadPolicy(to)
	if err != nil {
		return nil, err
	}
	c := &compared{
		From: policyLabel(from), To: policyLabel(to),
		FromCovers: policy.Covers(a, b), ToCovers: policy.Covers(b, a),
		Differences: policy.Diff(a, b),
	}
	if c.Differences == nil {
		c.Differences = []policy.Difference{}
	}
	return c, nil
}

// print writes a line for each field, and one that sums up. Where nothing
// differs there is nothing to say, as with diff(1).
func (c *compared) print(w io.Writer, out paint) error {
	if len(c.Differences) == 0 {
		return nil
	}
	rows := [][]string{{"field", c.From, c.To, "effect"}}
	for _, d := range c.Differences {
		rows = append(rows, []string{d.Field, d.From, d.To, string(d.Effect)})
	}
	colour := func(row int, line string) string {
		switch {
		case row == 0:
			return out.dim(line)
		case c.Differences[row-1].Effect == policy.Weaker:
			return out.bad(line)
		case c.Differences[row-1].Effect == policy.Stricter:
			return out.good(line)
		}
		return line
	}
	printTable(w, rows, colour)
	sum := "neither allows all that the other does"
	switch {
	case c.FromCovers:
		sum = fmt.Sprintf("%s allows all that %s does", c.From, c.To)
	case c.ToCovers:
		sum = fmt.Sprintf("%s allows all that %s does", c.To, c.From)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", printable(sum))
	return err
}

// maxColumn is how wide a column of a table becomes at most; what is longer
// pushes the rest of its line aside.
const maxColumn = 40

// printTable writes rows in columns. paint colours a line.
func printTable(w io.Writer, rows [][]string, paint func(row int, line string) string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if width := utf8.RuneCountInString(printable(cell)); width <= maxColumn {
				widths[i] = max(widths[i], width)
			}
		}
	}
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%-*s  ", widths[i], printable(cell))
		}
		fmt.Fprintln(w, paint(n, strings.TrimRight(line.String(), " ")))
	}
}
