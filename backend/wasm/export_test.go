//go:build linux

package wasm

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// TestExport: what modules see can be exported, and what is in their worker's jail
// beside it cannot, also by a link of theirs.
func TestExport(t *testing.T) {
	s := newStage(t)
	sb := sandbox(t, func(p *policy.Policy) {
		s.mount("")(p)
		p.Filesystem.TmpSize = 1 << 20
	})
	for _, made := range [][]string{{"write", "/tmp/out", "made"}, {"mkdir", "/tmp/d"}, {"write", "/tmp/d/file", "made"}, {"link", "..", "/tmp/up"}, {"link", "../.kavach", "/tmp/own"}} {
		if through, seen := attack(t, sb, made...); !through {
			t.Fatalf("%v: %s", made, seen)
		}
	}
	to := t.TempDir()
	for _, test := range []struct {
		path    string
		through bool
		why     string
	}{
		{"/tmp/out", true, "a module made it"},
		{"/tmp/d", true, "a module made it"},
		{"/work/sub/file", true, "a module sees it"},
		{"/work/good", false, "it is a link"},
		{"/work/relative", false, "it is a link, and leads out"},
		{"/work/through/.kavach/worker", false, "a link leads out of what modules see"},
		{"/tmp/up/.kavach/worker", false, "a link of the module's leads out of what it sees"},
		{"/tmp/own/worker", false, "a link of the module's leads out of what it sees"},
		{"/tmp/../.kavach/worker", false, "modules do not see it"},
		{"/.kavach/worker", false, "modules do not see it"},
		{"/proc/self/status", false, "modules do not see it"},
		{"/tmp", true, "a module sees it"},
		{"/", false, "modules do not see it"},
	} {
		out, err := sb.Export(t.Context(), []kavach.Export{{Path: test.path, Dest: filepath.Join(to, strings.ReplaceAll(test.path, "/", "_"))}})
		if err != nil {
			t.Fatalf("%s: %v", test.path, err)
		}
		if through := out[0].State == kavach.Exported; through != test.through {
			t.Errorf("%s: %+v, want through: %v, as %s", test.path, out[0], test.through, test.why)
		}
	}
	if b, err := os.ReadFile(filepath.Join(to, "_tmp_d/file")); err != nil || string(b) != "made" {
		t.Errorf("%q %v", b, err)
	}
}

// TestExportTwin: without the directory that links are kept below, the worker gets
// out, so that it is this which keeps it.
func TestExportTwin(t *testing.T) {
	s := newStage(t)
	p := strict(t)
	s.mount("")(&p)
	made, err := newBackend(t).Create(t.Context(), backend.Spec{ID: "00000000000000e1", Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = made.Destroy(context.Background()) }()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer w.Close()
		e := backend.Export{Path: "/work/through/.kavach/worker", FileBytes: 1 << 30, TotalBytes: 1 << 30, Entries: 9, Depth: 9}
		if err := made.(*instance).jail.Export(t.Context(), e, "", w); err != nil {
			t.Error(err)
		}
	}()
	n, err := io.Copy(io.Discard, r)
	if err != nil || n < 1<<20 {
		t.Errorf("%d bytes of the worker, %v", n, err)
	}
}
