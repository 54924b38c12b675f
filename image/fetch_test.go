package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/testclock"
)

// script is a stand-in for kavach-registry.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), RegistryProgram)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func request(t *testing.T) FetchRequest {
	t.Helper()
	ref, err := ParseReference("localhost:5000/app:1")
	if err != nil {
		t.Fatal(err)
	}
	return FetchRequest{Ref: ref, Dir: t.TempDir(), Progress: func(int64, int64) {}}
}

func TestFetchCallsTheProgram(t *testing.T) {
	req := request(t)
	req.Platform = Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	req.Have = map[string]bool{"sha256:b": true, "sha256:a": true, "sha256:no": false}
	req.MaxBytes = 4711
	var steps []int64
	req.Progress = func(done, total int64) { steps = append(steps, done, total) }
	r := &Registry{CA: "ca.pem", Insecure: []string{"a.test", "b.test:1"}}
	r.Program = script(t, `for last; do :; done; printf '%s\n' "$@" >$last/args; cat >$last/have
printf '{"done":0,"total":9}\nhello\n{"done":5,"to' >&2; printf 'tal":9}\n{"done":7,"total":3}\n' >&2`)
	if err := r.Fetch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	want := "fetch --platform linux/arm/v7 --have /dev/stdin --max-size 4711 --ca ca.pem --insecure-registry a.test --insecure-registry b.test:1 --progress json -- localhost:5000/app:1 " + req.Dir
	if got := strings.Join(strings.Fields(read(t, req.Dir, "args")), " "); got != want {
		t.Errorf("called with %s\nwant %s", got, want)
	}
	if got := read(t, req.Dir, "have"); got != "sha256:a\nsha256:b\n" {
		t.Errorf("it is told that there are %q", got)
	}
	if len(steps) != 4 || steps[2] != 5 {
		t.Errorf("progress was %d", steps)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFetchPassesOnWhatIsNeeded(t *testing.T) {
	for _, kv := range []string{"AWS_SECRET_ACCESS_KEY=x", "LD_PRELOAD=", "GITHUB_TOKEN=x", "BASH_ENV=x", "DOCKER_CONFIG=/docker", "HTTPS_PROXY=http://p"} {
		key, value, _ := strings.Cut(kv, "=")
		t.Setenv(key, value)
	}
	req := request(t)
	r := &Registry{Program: script(t, `for last; do :; done; env >$last/env`)}
	if err := r.Fetch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(read(t, req.Dir, "env")), "\n") {
		key, _, _ := strings.Cut(line, "=")
		if strings.Contains("AWS_SECRET_ACCESS_KEY LD_PRELOAD GITHUB_TOKEN BASH_ENV", key) {
			t.Errorf("%s is passed on", key)
		}
	}
	for _, want := range []string{"DOCKER_CONFIG=/docker", "HTTPS_PROXY=http://p", "PATH="} {
		if !strings.Contains(read(t, req.Dir, "env"), want) {
			t.Errorf("%s is not passed on", want)
		}
	}
}

func TestFetchErrors(t *testing.T) {
	tests := []struct {
		body string
		want FetchError
		why  string
	}{
		{`echo '{"kind":"auth","message":"who are you","fix":"log in","status":401}'; exit 1`,
			FetchError{Kind: FetchAuth, Problem: "who are you", Fix: "log in", Status: 401}, "what the program says"},
		{`echo '{"kind":"notfound","message":"none","status":404}'; exit 1`,
			FetchError{Kind: FetchNotFound, Problem: "none", Status: 404}, "an image that is not there"},
		{`echo oops >&2; exit 3`,
			FetchError{Kind: FetchOther, Problem: "kavach-registry ended without an answer: exit status 3: oops"}, "a crash"},
		{`kill -9 $$`,
			FetchError{Kind: FetchOther, Problem: "kavach-registry ended without an answer: signal: killed"}, "a program that is killed"},
		{`head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 1`,
			FetchError{Kind: FetchOther, Problem: "kavach-registry ended without an answer: exit status 1"}, "a flood"},
	}
	for _, tt := range tests {
		req := request(t)
		tt.want.Ref = req.Ref.String()
		err := (&Registry{Program: script(t, tt.body)}).Fetch(t.Context(), req)
		var got *FetchError
		if !errors.As(err, &got) || *got != tt.want {
			t.Errorf("%s: got %#v, want %#v", tt.why, err, tt.want)
		}
		if errors.Is(err, ErrNotFound) != (tt.want.Kind == FetchNotFound) {
			t.Errorf("%s: is it ErrNotFound?", tt.why)
		}
	}
}

func TestFetchFindsTheProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := (&Registry{}).Fetch(t.Context(), request(t))
	var got *FetchError
	if !errors.As(err, &got) || !strings.Contains(got.Problem, "nor in PATH") || !strings.Contains(got.Fix, "make install") {
		t.Errorf("without the program: %v", err)
	}
	err = (&Registry{Program: "/nowhere/kavach-registry"}).Fetch(t.Context(), request(t))
	if !errors.As(err, &got) || !strings.Contains(got.Problem, "cannot run") {
		t.Errorf("with one that is not there: %v", err)
	}
	program := script(t, "exit 0")
	t.Setenv("PATH", filepath.Dir(program)+":/usr/bin:/bin")
	if err := (&Registry{}).Fetch(t.Context(), request(t)); err != nil {
		t.Errorf("in PATH: %v", err)
	}
}

func TestFetchIsStopped(t *testing.T) {
	req := request(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("nobody wants it any more")
	r := &Registry{Program: script(t, `for last; do :; done; sleep 1000 & echo $! >$last/pid; echo '{"done":0,"total":1}' >&2; wait`)}
	req.Progress = func(int64, int64) { cancel(why) }
	if err := r.Fetch(ctx, req); !errors.Is(err, why) {
		t.Errorf("it ended with %v", err)
	}
	pid := strings.TrimSpace(read(t, req.Dir, "pid"))
	if !testclock.Until(10*time.Second, func() bool { return !runs(pid) }) { // it was killed, and may be dying
		t.Error("what it had started still runs")
	}
}
