package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// envProgram makes the test binary the program.
const envProgram = "KAVACH_REGISTRY_IS_THE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(envProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is the program as its callers run it, with an environment of its own.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append([]string{envProgram + "=1", "HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}, env...)
	return cmd
}

// answer runs the program, and reads its one line.
func answer(t *testing.T, cmd *exec.Cmd) (code int, s summary, w trouble) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	code = cmd.ProcessState.ExitCode()
	if line := stdout.String(); strings.Count(line, "\n") != 1 || (err != nil) != (code != 0) {
		t.Fatalf("%v, stdout %q, stderr %q", err, line, &stderr)
	}
	var to any = &s
	if code != 0 {
		to = &w
	}
	if err := json.Unmarshal(stdout.Bytes(), to); err != nil {
		t.Fatal(err)
	}
	return code, s, w
}

func TestCalls(t *testing.T) {
	full := writeFile(t, "x", "", 0o644)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{nil, "the one command is fetch"},
		{[]string{"pull", "a", "b"}, "the one command is fetch"},
		{[]string{"fetch", "a"}, "has 1 arguments"},
		{[]string{"fetch", "--nope", "a", "b"}, "nope"},
		{[]string{"fetch", "--progress", "loud", "a", "b"}, "none of auto, json and none"},
		{[]string{"fetch", "--max-size", "0", "a", "b"}, "not a size"},
		{[]string{"fetch", "--patience", "-1s", "a", "b"}, "not a time"},
		{[]string{"fetch", "--platform", "amd64", "a", t.TempDir()}, "no platform"},
		{[]string{"fetch", "--insecure-registry", "http://x", "a", t.TempDir()}, "HOST:PORT"},
		{[]string{"fetch", "A!b", t.TempDir()}, "could not parse reference"},
		{[]string{"fetch", "a", full}, "is not empty"},
		{[]string{"fetch", "a", full + "/none"}, "no such file"},
		{[]string{"fetch", "--have", full + "/none", "a", t.TempDir()}, "no such file"},
		{[]string{"fetch", "--ca", full + "/none", "localhost:1/a", t.TempDir()}, "no such file"},
		{[]string{"fetch", "--ca", full + "/x", "localhost:1/a", t.TempDir()}, "holds no certificate"},
		{[]string{"fetch", "localhost:1/a", t.TempDir()}, "connection refused"},
		{[]string{"fetch", "[::1]:1/a", t.TempDir()}, "cannot reach [::1]:1"},
	} {
		code, _, w := answer(t, program(t, nil, tt.args...))
		if code != 1 || !strings.Contains(w.Message, tt.says) {
			t.Errorf("%q: exit code %d, %+v, want %q", tt.args, code, w, tt.says)
		}
	}
}

func TestWhomItTrusts(t *testing.T) {
	f := newFake(t)
	ref := f.host() + "/app"
	fetch := func(env []string, flags ...string) (int, trouble) {
		t.Helper()
		dir := t.TempDir()
		args := append(append([]string{"fetch", "--platform", "linux/amd64"}, flags...), ref, dir)
		code, _, w := answer(t, program(t, env, args...))
		if code == 0 {
			checkLayout(t, dir)
		}
		return code, w
	}
	if code, w := fetch(nil); code != 1 || w.Kind != kindTLS || !strings.Contains(w.Message, "signed by nobody") {
		t.Errorf("a registry that nobody knows: %d %+v", code, w)
	}
	if code, w := fetch(nil, "--insecure-registry", f.host()); code != 1 || w.Kind != kindTLS {
		t.Errorf("a registry with TLS that may do without: %d %+v", code, w)
	}
	if code, w := fetch(nil, "--ca", f.ca()); code != 0 {
		t.Errorf("with its certificate: %+v", w)
	}
	if code, w := fetch([]string{"SSL_CERT_FILE=" + f.ca()}); code != 0 {
		t.Errorf("with its certificate in SSL_CERT_FILE: %+v", w)
	}
	j := f.job()
	j.caFile, j.certsDirs = "", []string{t.TempDir()}
	if got := refused(t, j); got.Kind != kindTLS {
		t.Errorf("with no certificate where docker has them: %+v", got)
	}
	dir := filepath.Join(j.certsDirs[0], f.host())
	data, err := os.ReadFile(f.ca())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	j.dir = t.TempDir()
	fetched(t, j)
}

// proxy brings requests for any host to one server, as HTTP_PROXY and HTTPS_PROXY
// have it: so that a registry has a name that is not this machine's.
func proxy(t *testing.T, to *httptest.Server) []string {
	address := to.Listener.Addr().String()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			to.Config.Handler.ServeHTTP(w, r)
			return
		}
		there, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(there, here) }()
		_, _ = io.Copy(here, there)
	}))
	t.Cleanup(srv.Close)
	return []string{"HTTP_PROXY=" + srv.URL, "HTTPS_PROXY=" + srv.URL}
}

func TestPlainHTTP(t *testing.T) {
	f := newFake(t)
	plain := httptest.NewServer(f)
	defer plain.Close()
	here := strings.TrimPrefix(plain.URL, "http://")
	_, port, err := net.SplitHostPort(here)
	if err != nil {
		t.Fatal(err)
	}
	through := proxy(t, plain)
	for _, tt := range []struct {
		host  string
		flags []string
		well  bool
		why   string
	}{
		{here, nil, true, "127.0.0.1"},
		{"localhost:" + port, nil, true, "localhost"},
		{"registry.test:" + port, nil, false, "elsewhere"},
		{"10.1.2.3:" + port, nil, false, "a private network"},
		{"evil.localhost.test:" + port, nil, false, "a name that has localhost in it"},
		{"registry.test:" + port, []string{"--insecure-registry", "other.test"}, false, "elsewhere, where another may"},
		{"registry.test:" + port, []string{"--insecure-registry", "registry.test:1"}, false, "another port may"},
		{"registry.test:" + port, []string{"--insecure-registry", "registry.test"}, true, "elsewhere, and it may"},
		{"registry.test:" + port, []string{"--insecure-registry", "registry.test:" + port}, true, "elsewhere, and it may at that port"},
	} {
		before := f.times("")
		args := append(append([]string{"fetch", "--platform", "linux/amd64"}, tt.flags...), tt.host+"/app", t.TempDir())
		code, s, w := answer(t, program(t, through, args...))
		switch {
		case tt.well && (code != 0 || !s.Insecure):
			t.Errorf("%s: %+v", tt.why, w)
		case !tt.well && (code != 1 || w.Kind != kindTLS):
			t.Errorf("%s: %d %+v", tt.why, code, w)
		case !tt.well && f.times("") != before:
			t.Errorf("%s: it was asked in plain HTTP", tt.why)
		}
	}
}

// A public registry does not send us into our own network.
func TestRedirectsIntoOurNetwork(t *testing.T) {
	f := newFake(t, "the layer")
	through := proxy(t, f.srv)
	blob := "blobs/" + digestOf([]byte("the layer")).String()
	for _, tt := range []struct {
		to   string
		well bool
	}{
		{"https://127.0.0.1/v2/app/" + blob, false},
		{"https://localhost/v2/app/" + blob, false},
		{"https://169.254.169.254/latest", false},
		{"https://10.0.0.1/", false},
		{"https://[::ffff:192.168.0.1]/", false},
		{"http://example.com/v2/app/" + blob, false},
		{"https://other.example.com/v2/app/" + blob, true},
	} {
		f.spoil[blob] = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			if r.Host == "other.example.com" {
				return false
			}
			return answers(http.StatusTemporaryRedirect, "Location", tt.to)(0, w, r)
		}
		// The certificate of httptest is for example.com, and what is below it.
		code, _, w := answer(t, program(t, through, "fetch", "--platform", "linux/amd64", "--ca", f.ca(), "example.com/app", t.TempDir()))
		inner := strings.HasPrefix(tt.to, "https://") && !tt.well
		if tt.well != (code == 0) || inner != strings.Contains(w.Message, "an address of our own network") {
			t.Errorf("to %s: exit code %d, %+v", tt.to, code, w)
		}
	}
}

func TestStopped(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		f := newFake(t, strings.Repeat("x", 1<<20))
		came := make(chan bool, 1)
		blob := "blobs/" + digestOf(bytes.Repeat([]byte("x"), 1<<20)).String()
		f.spoil[blob] = func(n int, w http.ResponseWriter, r *http.Request) bool {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<19))
			_ = http.NewResponseController(w).Flush()
			came <- true
			return hangs(n, w, r)
		}
		dir := t.TempDir()
		cmd := program(t, nil, "fetch", "--platform", "linux/amd64", "--ca", f.ca(), f.host()+"/app", dir)
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-came
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("%s: it ended well", sig)
		}
		if sig != syscall.SIGKILL {
			if !strings.Contains(stdout.String(), "fetching was stopped") {
				t.Errorf("%s: it said %q", sig, &stdout)
			}
			checkNothing(t, dir)
		}
		if _, err := os.Stat(filepath.Join(dir, "index.json")); err == nil {
			t.Errorf("%s: it left what looks like an image", sig)
		}
	}
}

func TestProgressForPrograms(t *testing.T) {
	f := newFake(t, strings.Repeat("a", 1<<20), strings.Repeat("b", 1<<20))
	run := func(how string) string {
		cmd := program(t, nil, "fetch", "--progress", how, "--platform", "linux/amd64", "--ca", f.ca(), f.host()+"/app", t.TempDir())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return stderr.String()
	}
	for _, how := range []string{"none", "auto"} { // stderr is no terminal
		if got := run(how); got != "" {
			t.Errorf("%s: %q", how, got)
		}
	}
	lines := strings.Split(strings.TrimSpace(run("json")), "\n")
	last := int64(-1)
	for _, line := range lines {
		var s step
		if err := json.Unmarshal([]byte(line), &s); err != nil || s.Done < last || s.Total != 2<<20 {
			t.Errorf("%q: %v", line, err)
		}
		last = s.Done
	}
	if want := fmt.Sprintf(`{"done":%d,"total":%d}`, 2<<20, 2<<20); lines[len(lines)-1] != want {
		t.Errorf("the last is %s, want %s", lines[len(lines)-1], want)
	}
}

// What a helper says beside its answer is not for anybody to see.
func TestHelpersAreNotHeard(t *testing.T) {
	f := newFake(t)
	f.wantsBasic("me", secret)
	home := writeFile(t, ".docker/config.json", `{"credsStore":"test"}`, 0o600)
	bin := writeFile(t, "docker-credential-test", fmt.Sprintf("#!/bin/sh\necho '%s' >&2\necho '{\"Username\":\"me\",\"Secret\":\"%s\"}'\n", secret, secret), 0o755)
	cmd := program(t, []string{"HOME=" + home, "PATH=" + bin + ":/usr/bin:/bin"}, "fetch", "--platform", "linux/amd64", "--ca", f.ca(), f.host()+"/app", t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	checkHidden(t, string(out))
}
