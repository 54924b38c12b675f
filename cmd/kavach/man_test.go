package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManual renders every page with both programs that people read pages with,
// and lets neither complain.
func TestManual(t *testing.T) {
	need(t, "groff", "mandoc")
	dir := t.TempDir()
	pages := manPages()
	if err := writePages(dir, pages); err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		path := filepath.Join(dir, p.file())
		if out, err := exec.Command("groff", "-man", "-Tutf8", "-ww", "-z", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff says of %s: %v\n%s", p.file(), err, out)
		}
		out, _ := exec.Command("mandoc", "-Tlint", "-Wwarning", path).Output() // its exit code says what it prints
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			// Pages have no date on purpose: what is built twice is the same.
			if line != "" && !strings.Contains(line, "missing date") {
				t.Errorf("mandoc says: %s", line)
			}
		}
		for _, section := range []string{"NAME", "DESCRIPTION", "SEE ALSO"} {
			if !strings.Contains(p.text, `.SH "`+section+`"`) {
				t.Errorf("%s has no %s", p.file(), section)
			}
		}
	}
}

// TestManualIsWhole fails where something of a command is not in its page.
func TestManualIsWhole(t *testing.T) {
	need(t, "groff")
	pages := make(map[string]string)
	for _, p := range manPages() {
		if p.section == 1 {
			pages[p.name] = rendered(t, p.text)
		}
	}
	var check func(c *command, path string)
	check = func(c *command, path string) {
		text, found := pages[pageName(path)]
		if !found {
			t.Errorf("%s has no page", path)
			return
		}
		for _, info := range c.newFlags().list {
			if !strings.Contains(text, strings.TrimSpace(info.spelled())) {
				t.Errorf("the page of %s lacks %s:\n%s", path, info.spelled(), text)
			}
		}
		for _, row := range c.exits() {
			if !strings.Contains(text, row.Code) {
				t.Errorf("the page of %s lacks the exit code %s", path, row.Code)
			}
		}
		for _, sub := range c.sub {
			if sub.short != "" {
				check(sub, path+" "+sub.name)
			}
		}
	}
	check(newRoot(), "kavach")
}

func TestManualOfPolicies(t *testing.T) {
	need(t, "groff")
	text := rendered(t, policyPage().text)
	d := describe()
	for at, keys := range d.Defs {
		for key := range keys.Properties {
			if !strings.Contains(text, key+" (") {
				t.Errorf("kavach-policy(5) lacks %s of %s", key, at)
			}
		}
	}
	for key := range d.Properties {
		if !strings.Contains(text, key+" (") {
			t.Errorf("kavach-policy(5) lacks %s", key)
		}
	}
	for _, want := range []string{"Default: 256m.", "bounded by tmp_size and", "whether a Landlock domain"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("kavach-policy(5) lacks %q:\n%s", want, text)
		}
	}
}

// What a text holds is shown, and never obeyed.
func TestRoffShowsWhatItIsGiven(t *testing.T) {
	need(t, "groff", "mandoc")
	for _, text := range []string{
		".so /etc/passwd", "'so /etc/passwd", `\X'tty: exec id'`, `a\fBb\nc\*(dq`, `\`, `"quoted" 'too' "`,
		"--flag=-1", "...", "' leading", `ends with \`, "`a` ^b ~c", "\u2026 é", "\\\\", `\&`, `\"comment`,
	} {
		write := map[string]func(*roff){
			"paragraph": func(r *roff) { r.paragraph(text) },
			"example":   func(r *roff) { r.example(text) },
			"item":      func(r *roff) { r.item(text, "x") },
			"section":   func(r *roff) { r.section(text); r.paragraph("x") },
			"bold":      func(r *roff) { r.paragraph(bold(text)) },
		}
		for how, do := range write {
			var r roff
			r.page("x", 1)
			r.section("NAME")
			r.line(`x \- y`)
			do(&r)
			for _, render := range [][]string{{"groff", "-man", "-Tutf8", "-ww", "-P-cbu"}, {"mandoc", "-Tutf8"}} {
				if got := unstruck(render, t, r.b.String()); !strings.Contains(got, text) {
					t.Errorf("%s shows %s %q as:\n%s", render[0], how, text, got)
				}
			}
		}
	}
	if got := escape("a\x1b[31m\nb\tc\x00"); got != "a [31m b c " {
		t.Errorf("control characters were let through: %q", got)
	}
}

// rendered is a page as a terminal without bold shows it.
func rendered(t *testing.T, text string) string {
	t.Helper()
	return unstruck([]string{"groff", "-man", "-Tutf8", "-P-cbu"}, t, text)
}

// unstruck renders, and takes out what was typed over: how bold and underlined
// characters are written for printers.
func unstruck(render []string, t *testing.T, text string) string {
	t.Helper()
	cmd := exec.Command(render[0], render[1:]...)
	cmd.Stdin = strings.NewReader(text)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Errorf("%v: %v: %s of:\n%s", render, err, errs.String(), text)
	}
	var kept []rune
	for _, c := range string(out) {
		if c == '\b' {
			kept = kept[:max(0, len(kept)-1)]
			continue
		}
		kept = append(kept, c)
	}
	return string(kept)
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed; make test-programs installs it", name)
		}
	}
}

func TestManCommand(t *testing.T) {
	bin := kavachPath(t)
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(bin, append([]string{"man"}, args...)...).Output()
		if err != nil {
			t.Fatalf("kavach man %s: %v", args, err)
		}
		return string(out)
	}
	run("--dir", dir)
	names := strings.Fields(run())
	if len(names) < 15 {
		t.Errorf("kavach man lists %d pages: %s", len(names), names)
	}
	for _, name := range names {
		section := name[strings.LastIndexByte(name, '.')+1:]
		file, err := os.ReadFile(filepath.Join(dir, "man"+section, name))
		if err != nil {
			t.Fatal(err)
		}
		if page := run(name); page != string(file) || !strings.HasPrefix(page, fmt.Sprintf(".TH %s %s \"\" ", escape(strings.ToUpper(strings.TrimSuffix(name, "."+section))), section)) {
			t.Errorf("kavach man %s prints another page than --dir writes, or one with a date:\n%.200s", name, page)
		}
	}
	if run("kavach-policy") != run("kavach-policy.1") {
		t.Error("without a section, the first is not taken")
	}
	for _, args := range [][]string{{"man", "kavach-walk"}, {"man", "--dir", dir, "kavach-run"}, {"man", "--dir", "/proc/nowhere"}} {
		var failed *exec.ExitError
		if _, err := exec.Command(bin, args...).Output(); !asExit(err, &failed) || failed.ExitCode() != codeFailed {
			t.Errorf("kavach %s: %v, want exit code %d", args, err, codeFailed)
		}
	}
}

func asExit(err error, to **exec.ExitError) bool {
	failed, ok := err.(*exec.ExitError) //nolint:errorlint // as os/exec returns it
	*to = failed
	return ok
}
