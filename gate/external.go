package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/kavach-dev/kavach/policy"
)

const (
	// maxAnswer is how long the answer of a program may be, in bytes.
	maxAnswer = 1 << 20

	// externalPath is the PATH of such programs.
	externalPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// externalSubject is what a program is told of what it looks at, as JSON in the
// environment variable KAVACH_SCAN.
type externalSubject struct {
	Version  int    `json:"version"` // 1
	Name     string `json:"name"`
	File     bool   `json:"file"`
	Mode     uint32 `json:"mode,omitempty"`
	Terminal bool   `json:"terminal,omitempty"`
}

// externalAnswer is what it answers on stdout.
type externalAnswer struct {
	Findings *[]struct {
		Rule     string   `json:"rule"`
		Severity Severity `json:"severity"`
		Offset   int64    `json:"offset"`
		Length   int64    `json:"length"`
	} `json:"findings"`
}

// runExternal has a program look at content, which it reads on its stdin. An error
// says that it did not answer, or not as docs/gate.md says. Size is that of the
// content, below 0 where it is not known.
func runExternal(ctx context.Context, x *policy.ExternalScanner, subject Subject, size int64, content io.Reader) ([]Match, error) {
	told, err := json.Marshal(externalSubject{Version: 1, Name: subject.Name, File: subject.File, Mode: subject.Mode, Terminal: subject.Terminal})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(x.Timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, x.Command[0], x.Command[1:]...)
	cmd.Env = []string{"PATH=" + externalPath, "LANG=C.UTF-8", "KAVACH_SCAN=" + string(told)}
	cmd.Dir = "/"
	out := limited{left: maxAnswer}
	counted := &counter{r: content}
	cmd.Stdin, cmd.Stdout = counted, &out
	wholeGroup(cmd)
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	endGroup(cmd)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("scanner %s did not answer within %v", x.Name, time.Duration(x.Timeout))
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("scanner %s: %w", x.Name, err) // what it says may hold what it has read
	case out.left < 0:
		return nil, fmt.Errorf("scanner %s answered with more than %d bytes", x.Name, maxAnswer)
	}
	if size < 0 {
		size = counted.n // what it has not read, it has not looked at
	}
	return matchesOf(x.Name, out.Bytes(), size)
}

// matchesOf reads an answer about so many bytes.
func matchesOf(name string, text []byte, size int64) ([]Match, error) {
	var a externalAnswer
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&a); err != nil {
		return nil, fmt.Errorf("scanner %s: its answer is not what docs/gate.md says", name)
	}
	if a.Findings == nil {
		return nil, fmt.Errorf(`scanner %s: its answer has no "findings"; where there are none, they are []`, name)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("scanner %s: something follows its answer", name)
	}
	var found []Match
	for i, f := range *a.Findings {
		switch {
		case !isRuleName(f.Rule):
			return nil, fmt.Errorf("scanner %s: findings[%d].rule is not made of lower-case letters, digits, dots and dashes", name, i)
		case f.Severity == 0:
			return nil, fmt.Errorf("scanner %s: findings[%d] has no severity", name, i)
		case f.Offset < 0 || f.Length < 0 || f.Offset > size || f.Length > size-f.Offset:
			return nil, fmt.Errorf("scanner %s: findings[%d] is not within the %d bytes that it was given", name, i, size)
		}
		found = append(found, Match{
			Rule: name + "/" + f.Rule, Severity: f.Severity, Start: f.Offset, End: f.Offset + f.Length,
			Preview: fmt.Sprintf("(%d bytes)", f.Length),
		})
	}
	return found, nil
}

func isRuleName(s string) bool {
	return s != "" && len(s) <= 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

// limited keeps so many bytes, and takes all. The buffer is no part of it: its
// ReadFrom would be.
type limited struct {
	kept bytes.Buffer
	left int
}

func (l *limited) Bytes() []byte { return l.kept.Bytes() }

func (l *limited) Write(p []byte) (int, error) {
	if keep := min(len(p), max(l.left, 0)); keep > 0 {
		l.kept.Write(p[:keep])
	}
	l.left -= len(p)
	return len(p), nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
