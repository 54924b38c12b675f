package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/workspace"
)

// When kavach is interrupted, nothing is applied, whatever the command makes of
// it.
func TestInterruptedRun(t *testing.T) {
	scripts := map[string]int{
		`echo x > a; trap 'exit 0' INT; echo ready; while :; do sleep .05; done`: 0,
		`echo x > a; echo ready; sleep 60`:                                       130,
	}
	for script, code := range scripts {
		cmd, r := startKavach(t, "run", "--rw", ".", "--", "sh", "-c", script)
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r)
		if got := exitCode(t, cmd); got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
		if _, err := os.Stat(filepath.Join(cmd.Dir, "a")); err == nil {
			t.Errorf("%s: it was applied", script)
		}
	}
}

func TestAsk(t *testing.T) {
	changes := make([]workspace.Change, 1) // not listed, so nothing of it can be applied
	stop := &stopper{ctx: context.Background()}
	if why := ask(stop, strings.NewReader("y\n"), io.Discard, changes, nil); why != "nothing of it can be applied" {
		t.Errorf("nothing to ask about: %q", why)
	}
	listed := listedChange(t)
	for answer, applied := range map[string]bool{"y\n": true, "Yes\n": true, " y \n": true, "n\n": false, "\n": false, "": false, "yeah\n": false} {
		var shown strings.Builder
		if why := ask(stop, strings.NewReader(answer), &shown, listed, nil); (why == "") != applied {
			t.Errorf("%q: %q", answer, why)
		}
		if !strings.HasPrefix(shown.String(), "kavach: apply 1 change? [y/N] ") {
			t.Errorf("asked %q", shown.String())
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	nobody, _ := io.Pipe() // a terminal at which nobody sits
	if why := ask(&stopper{ctx: cancelled}, nobody, io.Discard, listed, nil); why != "kavach was interrupted" {
		t.Errorf("interrupted: %q", why)
	}
}

// listedChange is a change as Diff lists it.
func listedChange(t *testing.T) []workspace.Change {
	t.Helper()
	base, upper := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(upper, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w := &workspace.Workspace{Since: time.Now(), MaxBytes: 1}
	for to, dir := range map[**os.File]string{&w.Base: base, &w.Upper: upper} {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		*to = f
	}
	changes, err := w.Diff(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func TestSessionChanges(t *testing.T) {
	t.Parallel()
	c := dial(t)
	dir := c.cmd.Dir
	mount, err := json.Marshal(map[string]any{"mounts": []any{map[string]string{"source": dir, "access": "rw"}}, "protected": []string{".envrc"}})
	if err != nil {
		t.Fatal(err)
	}
	c.create(string(mount))
	for _, method := range []string{"changes", "apply"} {
		if m := c.ask(`{"id":1,"method":"` + method + `"}`); m.Error == nil || m.Error.Code != errState {
			t.Errorf("%s while it runs: %s", method, m.raw)
		}
	}
	script, err := json.Marshal(map[string]any{"id": 1, "method": "exec", "params": map[string]any{
		"args": []string{"sh", "-c", "cd " + dir + "; echo 1 > a; echo 2 > b; echo 3 > .envrc; echo 4 > .bashrc; echo ready; sleep 60 & wait"}}})
	if err != nil {
		t.Fatal(err)
	}
	c.send(string(script))
	c.until(func(m message) bool { return m.Event == "stdout" })
	c.send(`{"id":2,"method":"halt"}`)
	c.until(func(m message) bool { return m.Event == "exit" }) // comes first
	if m := c.next(); m.Error != nil || m.ID != 2.0 {
		t.Fatal(m.raw)
	}
	m := c.ask(`{"id":3,"method":"changes"}`)
	if list, ok := m.Result["changes"].([]any); !ok || len(list) != 4 {
		t.Fatal(m.raw)
	}
	if m := c.ask(`{"id":4,"method":"apply","params":{"only":[4]}}`); m.Error == nil || m.Error.Code != errParams {
		t.Errorf("one that was not listed: %s", m.raw)
	}
	if m := c.ask(`{"id":5,"method":"apply","params":{"only":[3,1,0,3]}}`); m.Error != nil || !strings.Contains(m.raw, `"path":".bashrc"`) ||
		strings.Count(m.raw, `"state":"applied"`) != 2 || strings.Count(m.raw, `"state":"protected"`) != 1 {
		t.Errorf("apply: %s", m.raw)
	}
	for name, want := range map[string]bool{"a": false, "b": true, ".envrc": true, ".bashrc": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is on the host: %t", name, err == nil)
		}
	}
	if m := c.ask(`{"id":6,"method":"exec","params":{"args":["true"]}}`); m.Error == nil || m.Error.Code != errState {
		t.Errorf("exec after halt: %s", m.raw)
	}
	if got := c.end(); got != 0 {
		t.Errorf("exit code %d", got)
	}
}
