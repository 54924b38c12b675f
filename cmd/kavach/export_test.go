package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kavach-dev/kavach"
)

func TestExportFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("there", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("there", "link"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		flags exportFlags
		want  kavach.Export // Path is empty: it is refused
	}{
		{exportFlags{[]string{"/tmp/out"}, false}, kavach.Export{Path: "/tmp/out"}},
		{exportFlags{[]string{"out:dir/a:b"}, false}, kavach.Export{Path: "out", Dest: "dir/a:b"}},
		{exportFlags{[]string{"out:dir/"}, true}, kavach.Export{Path: "out", Dest: "dir/", Replace: true}},
		{exportFlags{[]string{"/tmp/there"}, true}, kavach.Export{Path: "/tmp/there", Replace: true}},
		{exportFlags{[]string{"/tmp/there"}, false}, kavach.Export{}},
		{exportFlags{[]string{"/tmp/dir"}, true}, kavach.Export{}},
		{exportFlags{[]string{"/tmp/x:link"}, true}, kavach.Export{}},
		{exportFlags{[]string{"/tmp/x:none/y"}, false}, kavach.Export{}},
		{exportFlags{[]string{":dir/"}, false}, kavach.Export{}},
		{exportFlags{[]string{""}, false}, kavach.Export{}},
		{exportFlags{[]string{"/"}, false}, kavach.Export{}},
		{exportFlags{[]string{"a/.."}, false}, kavach.Export{}},
		{exportFlags{nil, true}, kavach.Export{}},
	} {
		err := test.flags.applyExport(nil)
		if (err == nil) != (test.want.Path != "") {
			t.Errorf("%+v: %v", test.flags, err)
		}
		if err == nil && test.flags.wanted()[0] != test.want {
			t.Errorf("%+v: %+v", test.flags, test.flags.wanted())
		}
	}
	if left, _ := filepath.Glob(".kavach-*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestCodeWithExports(t *testing.T) {
	for _, test := range []struct {
		code  int
		state kavach.ExportState
		want  int
	}{
		{0, kavach.Exported, 0}, {0, kavach.ExportWithheld, codeWithheld}, {0, kavach.ExportRefused, codeWithheld}, {3, kavach.ExportRefused, 3},
	} {
		if got := codeWithExports(test.code, []kavach.ExportOutcome{{State: kavach.Exported}, {State: test.state}}); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}
