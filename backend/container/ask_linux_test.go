package container

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
)

// script makes a program that behaves as a runtime should not.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(testbin.TempDir(t), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAsk(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"fails", "echo broken >&2; exit 1", "exit status 1: broken"},
		{"silent", "exit 0", "printed no version: it printed nothing"},
		{"garbage", `printf '\033[2Jhello\007'`, "printed no version: \ufffd[2Jhello"},
		{"floods", "while :; do echo 0123456789012345678901234567890123456789; done", "printed more than 65536 bytes"},
		{"killed", "kill -9 $$", "signal: killed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ask(t.Context(), script(t, "runtime", tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	for text, want := range map[string]told{
		"runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev": {name: "runc", version: "1.1.5+ds1", commit: "1.1.5+ds1-1+deb12u1"},
		"crun version 1.8.1\ncommit: f8a096be":                                 {name: "crun", version: "1.8.1", commit: "f8a096be"},
		"runsc version release-20260901.0\nspec: 1.2.0":                        {name: "runsc", version: "release-20260901.0"},
		"WARNING: something\ncrun version 1.20":                                {name: "crun", version: "1.20"},
	} {
		if got, ok := parseTold(text); !ok || got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

// TestFeatures: what a runtime says that it lacks is told, and one that cannot say
// is not suspected.
func TestFeatures(t *testing.T) {
	for features, want := range map[string]bool{
		`echo '{"linux":{"seccomp":{"enabled":false}}}'`: true,
		`echo '{"linux":{"seccomp":{"enabled":true}}}'`:  false,
		`echo '{"linux":{}}'`:                            false,
		`echo unknown command features >&2; exit 1`:      false,
		`echo '{'`: false,
	} {
		about, err := ask(t.Context(), script(t, "crun", `if [ $1 = features ]; then `+features+`; exit; fi; echo crun version 1.31`))
		if err != nil || about.noSeccomp != want || strings.Contains(strings.Join(about.notes(), "\n"), "without seccomp") != want {
			t.Errorf("%s: %+v, %v", features, about, err)
		}
	}
}

// TestAskHangs: what does not end is ended, with what it started.
func TestAskHangs(t *testing.T) {
	pidFile := filepath.Join(testbin.TempDir(t), "pid")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := ask(ctx, script(t, "runtime", "sleep 1000 & echo $! > "+pidFile+"; wait"))
	if err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Fatal(err)
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s still runs", pid)
}

func TestFind(t *testing.T) {
	dir := testbin.TempDir(t)
	t.Setenv("PATH", dir+":relative")
	write := func(name string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("plain", 0o644)
	write("other", 0o755)
	if err := os.Symlink("other", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ runtime, want, wrong string }{
		{"other", "other", ""},
		{"link", "other", ""},
		{filepath.Join(dir, "link"), "other", ""},
		{"none", "", "neither PATH nor"},
		{"plain", "", "it is not an executable file"},
		{filepath.Join(dir, "plain"), "", "it is not an executable file"},
		{filepath.Join(dir, "none"), "", "no such file"},
		{dir + "/", "", "it is not an executable file"},
	} {
		got, err := (&Backend{Runtime: tt.runtime}).find()
		var unavailable *backend.UnavailableError
		switch {
		case tt.wrong == "" && (err != nil || len(got) != 1 || filepath.Base(got[0]) != tt.want):
			t.Errorf("%s: %v, %v", tt.runtime, got, err)
		case tt.wrong != "" && (!errors.As(err, &unavailable) || !strings.Contains(err.Error(), tt.wrong) || unavailable.Fix == ""):
			t.Errorf("%s: %v, want %q", tt.runtime, err, tt.wrong)
		}
	}
}

// TestInstalled: what is installed here tells its version, and Debian's runc of
// 2023 has flaws that are told with the words that a patched one deserves.
func TestInstalled(t *testing.T) {
	paths, err := (&Backend{}).find()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		got, err := ask(t.Context(), path)
		if err != nil || got.name != filepath.Base(path) {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
		notes := strings.Join(got.notes(), "\n")
		if got.name == "runc" && strings.HasPrefix(got.version, "1.1.5") && !strings.Contains(notes, "CVE-2024-21626: runc "+got.version+" is known to be affected unless your distribution has patched it") {
			t.Errorf("notes of %s:\n%s", path, notes)
		}
	}
}
