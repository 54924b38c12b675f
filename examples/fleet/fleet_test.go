package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
)

// busybox is a static program that a root directory is made of.
const busybox = "/bin/busybox"

// fleetFile writes nodes into a file: four on the host's programs, with every
// preset, and two on root directories of their own.
func fleetFile(t *testing.T) string {
	t.Helper()
	dir := readable(t)
	for _, name := range []string{"a", "b"} {
		root := filepath.Join(dir, name)
		for _, sub := range []string{"bin", "proc", "dev", "tmp", "etc"} {
			if err := os.MkdirAll(filepath.Join(root, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		program, err := os.ReadFile(busybox)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "bin", "busybox"), program, 0o755)
		if err := os.Symlink("busybox", filepath.Join(root, "bin", "sh")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("busybox", filepath.Join(root, "bin", "cat")); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "etc", "node"), []byte("I am "+name+"\n"), 0o644)
	}
	file := filepath.Join(dir, "nodes.json")
	write(t, file, []byte(`[
		{"name": "minimal", "policy": "minimal"}, {"name": "basic", "policy": "basic", "min_score": 60},
		{"name": "strict", "policy": "strict", "min_score": 60}, {"name": "weak", "policy": "minimal", "min_score": 60},
		{"name": "a", "policy": "strict", "rootfs": "a"}, {"name": "b", "policy": "basic", "rootfs": "b"}]`), 0o644)
	return file
}

// readable is a temporary directory that sandboxes may read: they run as others.
func readable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kavach-fleet-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
}

func decode[T any](t *testing.T, text []byte) (all []T) {
	t.Helper()
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, v)
	}
	return all
}

func TestFleet(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit")
	var out bytes.Buffer
	o := options{audit: audit, atOnce: 3}
	code, err := command(context.Background(), o, fleetFile(t), []string{"sh", "-c", `cat /etc/node; [ -e /etc/node ] || echo host; exit 0`}, &out)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]result)
	for _, r := range decode[result](t, out.Bytes()) {
		got[r.Node] = r
	}
	for name, want := range map[string]string{
		"minimal": "host\n", "basic": "host\n", "strict": "host\n", "a": "I am a\n", "b": "I am b\n",
	} {
		if r := got[name]; r.Stdout != want || r.ExitCode != 0 || r.Error != "" {
			t.Errorf("node %s: %+v, want %q", name, r, want)
		}
	}
	if r := got["weak"]; code != codeNotRun || !strings.Contains(r.Error, "the policy requires 60") {
		t.Errorf("a node that proves too little: code %d, %+v", code, r)
	}
	if got["strict"].Score <= got["minimal"].Score {
		t.Errorf("strict proves %d, minimal %d", got["strict"].Score, got["minimal"].Score)
	}
	text, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	checkLog(t, decode[record](t, text), got)
}

// checkLog looks whether the log has each act of each node, in order, and of
// output what was printed.
func checkLog(t *testing.T, log []record, got map[string]result) {
	t.Helper()
	acts := make(map[string][]string)
	for i, r := range log {
		if r.Seq != int64(i+1) {
			t.Errorf("record %d has the number %d", i+1, r.Seq)
		}
		acts[r.Node] = append(acts[r.Node], string(r.Act))
		if r.Act != kavach.ActResult {
			continue
		}
		sum := ""
		for _, d := range r.Digests {
			if d.Stream == "stdout" {
				sum = d.SHA256
			}
		}
		if sum == "" || sum != got[r.Node].SHA256 {
			t.Errorf("node %s: the log has the digest %q, and the result %q", r.Node, sum, got[r.Node].SHA256)
		}
	}
	for name := range got {
		want := "create prove exec result destroy"
		if name == "weak" {
			want = "create destroy"
		}
		if s := strings.Join(acts[name], " "); s != want {
			t.Errorf("the log has of node %s: %s, want: %s", name, s, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	file := filepath.Join(readable(t), "nodes.json")
	write(t, file, []byte(`[{"name": "x", "policy": "basic"}, {"name": "y", "policy": "strict"}]`), 0o644)
	wrong := filepath.Join(readable(t), "nodes.json")
	write(t, wrong, []byte(`[{"name": "x", "policy": "basic"}, {"name": "y", "policy": "harsh"}]`), 0o644)
	for _, tt := range []struct {
		file, script string
		want         int
	}{
		{file, "exit 0", codeOK},
		{file, "exit 3", codeFailed},
		{file, "kill -9 $$", codeFailed},
		{wrong, "exit 3", codeNotRun},
	} {
		var out bytes.Buffer
		o := options{audit: filepath.Join(t.TempDir(), "audit"), atOnce: 2}
		code, err := command(context.Background(), o, tt.file, []string{"sh", "-c", tt.script}, &out)
		if err != nil || code != tt.want || len(decode[result](t, out.Bytes())) != 2 {
			t.Errorf("%s: code %d, %v, want %d:\n%s", tt.script, code, err, tt.want, &out)
		}
	}
}

// failing is a log on a disk that is full after some records, or whose fsync
// fails.
type failing struct {
	bytes.Buffer
	left int // records
	sync bool
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 && !f.sync {
		return 0, errors.New("the disk is full")
	}
	return f.Buffer.Write(p)
}

func (f *failing) Sync() error {
	if f.left < 0 {
		return errors.New("the disk is gone")
	}
	return nil
}

func (*failing) Close() error { return nil }

// Whichever record it is that cannot be written: what it announces does not
// happen, and no output is released. With room for all five, the same works.
func TestNoRecordNoAct(t *testing.T) {
	acts := []string{"create", "prove", "exec", "result", "destroy"}
	for _, sync := range []bool{false, true} {
		for records := range len(acts) + 1 {
			f := &failing{left: records, sync: sync}
			var out bytes.Buffer
			nodes := []node{{Name: "x", Policy: "basic"}}
			code, err := newFleet(nodes, &auditLog{file: f}).run(context.Background(), []string{"echo", "done"}, 1, &out)
			if err != nil {
				t.Fatal(err)
			}
			r := decode[result](t, out.Bytes())[0]
			if records == len(acts) {
				if code != codeOK || r.Stdout != "done\n" {
					t.Errorf("with a log that works: code %d, %+v", code, r)
				}
				continue
			}
			refused := "did not take the record of " + acts[records]
			if code != codeNotRun || r.Stdout != "" || !strings.Contains(r.Error, refused) {
				t.Errorf("with room for %d records: code %d, %+v, want that the log %s", records, code, r, refused)
			}
		}
	}
}

func TestLogIsRefused(t *testing.T) {
	for _, path := range []string{"/dev/full", filepath.Join(t.TempDir(), "nowhere", "audit"), torn(t)} {
		var out bytes.Buffer
		file := filepath.Join(readable(t), "nodes.json")
		write(t, file, []byte(`[{"name": "x", "policy": "basic"}]`), 0o644)
		code, err := command(context.Background(), options{audit: path, atOnce: 1}, file, []string{"echo", "done"}, &out)
		if code != codeNotRun || strings.Contains(out.String(), `done`) || err == nil && !strings.Contains(out.String(), "no space left") {
			t.Errorf("with the log %s: code %d, %v, %s", path, code, err, &out)
		}
	}
}

func torn(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit")
	write(t, path, []byte(`{"seq":1}`+"\n"+`{"se`), 0o600)
	return path
}

// What a record holds cannot make another record.
func TestOneRecordOneLine(t *testing.T) {
	f := &failing{left: 2}
	log := &auditLog{file: f}
	forged := "x\n" + fmt.Sprintf(`{"seq":%d}`, 2)
	if err := log.of(forged).Record(context.Background(), kavach.Event{Act: kavach.ActExec, Args: []string{forged}}); err != nil {
		t.Fatal(err)
	}
	if got := decode[record](t, f.Bytes()); len(got) != 1 || got[0].Node != forged || got[0].Args[0] != forged {
		t.Errorf("one record became %+v", got)
	}
}
