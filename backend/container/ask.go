package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// told is what a runtime says of itself. It is for people, and never decides
// anything.
type told struct {
	path    string
	name    string // "runc", "crun", "runsc", …
	version string // as it tells it
	commit  string // what it tells of its build, where distributions put their revision; may be empty

	// noSeccomp says that it was built without.
	noSeccomp bool
}

const (
	// askPatience is how long a runtime may take to tell its version, which takes
	// some ten milliseconds.
	askPatience = 5 * time.Second

	// askMost is how much of it is read: some hundred bytes are usual.
	askMost = 64 << 10
)

// ask asks a runtime for its version, and for its features.
func ask(ctx context.Context, path string) (told, error) {
	text, err := call(ctx, path, "--version")
	if err != nil {
		return told{}, err
	}
	t, ok := parseTold(text)
	if !ok {
		return told{}, fmt.Errorf("%s --version printed no version: %s", path, firstLine(text))
	}
	t.path = path
	// Older runtimes do not know the command (features.md of the runtime-spec, 1.1).
	if text, err := call(ctx, path, "features"); err == nil {
		t.noSeccomp = withoutSeccomp(text)
	}
	return t, nil
}

// call has a runtime say something of itself.
func call(ctx context.Context, path, what string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	out := bounded{enough: cancel}
	cmd := exec.CommandContext(ctx, path, what)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = &out, &out
	ownGroup(cmd)
	cmd.WaitDelay = time.Second // for what it left behind with its stdout
	err := cmd.Run()
	switch {
	case out.full:
		return "", fmt.Errorf("%s %s printed more than %d bytes", path, what, askMost)
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s %s did not end within %v", path, what, askPatience)
	case err != nil:
		return "", fmt.Errorf("%s %s: %w: %s", path, what, err, firstLine(out.String()))
	}
	return out.String(), nil
}

// withoutSeccomp reports whether a runtime says that it was built without
// (features-linux.md): it refuses, or leaves out, the filter of a config.json.
func withoutSeccomp(features string) bool {
	var f struct {
		Linux struct {
			Seccomp struct {
				Enabled *bool `json:"enabled"`
			} `json:"seccomp"`
		} `json:"linux"`
	}
	return json.Unmarshal([]byte(features), &f) == nil && f.Linux.Seccomp.Enabled != nil && !*f.Linux.Seccomp.Enabled
}

// toldVersion is the first line of what runtimes print: "runc version 1.1.5+ds1",
// "crun version 1.8.1", "runsc version release-20260901.0".
var toldVersion = regexp.MustCompile(`(?m)^(?:.*/)?([A-Za-z][A-Za-z0-9_.-]{0,31}) version ([A-Za-z0-9][A-Za-z0-9_.:+~-]{0,63})`)

var toldCommit = regexp.MustCompile(`(?m)^commit: ?([A-Za-z0-9][A-Za-z0-9_.:+~-]{0,127})`)

func parseTold(text string) (t told, ok bool) {
	found := toldVersion.FindStringSubmatch(text)
	if found == nil {
		return t, false
	}
	t.name, t.version = found[1], found[2]
	if commit := toldCommit.FindStringSubmatch(text); commit != nil {
		t.commit = commit[1]
	}
	return t, true
}

// notes tells a person about a runtime: what it is, and what is known to be wrong
// with it.
func (t *told) notes() []string {
	about := fmt.Sprintf("runtime: %s, %s version %s", t.path, t.name, t.version)
	if t.commit != "" {
		about += ", build " + t.commit
	}
	list := []string{about}
	if t.noSeccomp {
		list = append(list, fmt.Sprintf("%s was built without seccomp, which its config.json asks for; use one that was built with it", t.name))
	}
	v, err := parseVersion(t.version)
	if err != nil {
		if flaws[t.name] != nil {
			list = append(list, fmt.Sprintf("what is known to be wrong with %s %s cannot be told from its version", t.name, t.version))
		}
		return list
	}
	for _, f := range flawsOf(t.name, v) {
		note := fmt.Sprintf("%s: %s %s is known to be affected unless your distribution has patched it: %s (fixed in %s)",
			f.cve, t.name, t.version, f.means, strings.Join(f.fixed, ", "))
		if f.unused != "" {
			note += "; " + f.unused
		}
		list = append(list, note)
	}
	return list
}

// firstLine is what can be shown of what a runtime printed.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	const most = 200
	if len(line) > most {
		line = line[:most] + "…"
	}
	if line == "" {
		return "it printed nothing"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, line)
}

// bounded keeps the first askMost bytes, and ends who writes more.
type bounded struct {
	text   bytes.Buffer
	enough func()
	full   bool
}

func (b *bounded) String() string { return b.text.String() }

func (b *bounded) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > askMost {
		b.full = true
		b.enough()
		return 0, errors.New("too much output")
	}
	return b.text.Write(p)
}
