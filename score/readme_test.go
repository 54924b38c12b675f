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
	for _, e := range Table() {
		if e.Process == 0 {
			continue
		}
		row := fmt.Sprintf("| `%s` | %d | %s | %s |", e.Control, e.Process, e.Means, e.ProvenBy)
		if !strings.Contains(string(readme), row) {
			t.Errorf("the README lacks the row\n%s", row)
		}
	}
	if want := fmt.Sprintf("at most %d", Max("process")); !strings.Contains(string(readme), want) {
		t.Errorf("the README does not say %q", want)
	}
}
