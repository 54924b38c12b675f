package score

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme: the README shows the table as it is.
func TestReadme(t *testing.T) {
	dir := ".."
	if source := os.Getenv("KAVACH_SOURCE"); source != "" {
		dir = source
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{"process", "oci", "wasm", "gvisor"}
	for _, e := range Table() {
		row := fmt.Sprintf("| `%s` |", e.Control)
		for _, name := range shown {
			if points := e.Points(name); points > 0 {
				row += fmt.Sprintf(" %d |", points)
			} else {
				row += " – |"
			}
		}
		row += fmt.Sprintf(" %s | %s |", e.Means, e.ProvenBy)
		if !strings.Contains(string(readme), row) {
			t.Errorf("the README lacks the row\n%s", row)
		}
	}
	for _, name := range shown {
		if want := fmt.Sprintf("`%s` at most %d", name, Max(name)); !strings.Contains(string(readme), want) {
			t.Errorf("the README does not say %q", want)
		}
	}
}
