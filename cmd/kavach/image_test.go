package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/imagetest"
	"github.com/kavach-dev/kavach/internal/testbin"
)

// images is a user of kavach image, with a home of their own.
type images struct {
	t    *testing.T
	home string
	path string // PATH
}

func newImages(t *testing.T) *images {
	testbin.Registry(t) // it is beside kavach
	return &images{t: t, home: testbin.TempDir(t), path: os.Getenv("PATH")}
}

func (u *images) command(args ...string) *exec.Cmd {
	return u.commandOf(testbin.Kavach(u.t), append([]string{"image"}, args...)...)
}

// commandOf runs any command of kavach.
func (u *images) commandOf(kavach string, args ...string) *exec.Cmd {
	args = append([]string{kavach}, args...)
	if os.Geteuid() == 0 { // root's store is the machine's: a directory of the test's own is in its place
		own := `mount -t tmpfs none /var/lib && mkdir /var/lib/kavach && mount --bind "$HOME" /var/lib/kavach && exec "$@"`
		args = append([]string{"unshare", "-m", "sh", "-c", own, "sh"}, args...)
	}
	cmd := exec.CommandContext(u.t.Context(), args[0], args[1:]...)
	cmd.Env = []string{"HOME=" + u.home, "PATH=" + u.path, "TMPDIR=" + os.TempDir()}
	return cmd
}

// run runs kavach image, and returns what it says and its exit code. No password
// is in it.
func (u *images) run(args ...string) (stdout, stderr string, code int) {
	u.t.Helper()
	cmd := u.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		u.t.Fatal(err)
	}
	for _, secret := range []string{imagetest.RegistryPassword, loginText()} {
		if strings.Contains(out.String()+errs.String(), secret) {
			u.t.Errorf("kavach image %q says a password: %s%s", args, &out, &errs)
		}
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs what has to go well.
func (u *images) must(args ...string) string {
	u.t.Helper()
	stdout, stderr, code := u.run(args...)
	if code != 0 {
		u.t.Fatalf("kavach image %q: exit code %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

// refuses runs what must fail, and say so.
func (u *images) refuses(says string, args ...string) {
	u.t.Helper()
	stdout, stderr, code := u.run(args...)
	if code != codeFailed || stdout != "" || !strings.Contains(strings.Join(strings.Fields(stderr), " "), says) {
		u.t.Errorf("kavach image %q: exit code %d, want %q\n%s%s", args, code, says, stdout, stderr)
	}
}

func (u *images) list() []map[string]any {
	u.t.Helper()
	var list []map[string]any
	if err := json.Unmarshal([]byte(u.must("list", "--json")), &list); err != nil {
		u.t.Fatal(err)
	}
	return list
}

func loginText() string {
	return base64.StdEncoding.EncodeToString([]byte(imagetest.RegistryUser + ":" + imagetest.RegistryPassword))
}

// login is docker's file after docker login.
func (u *images) login(text string) {
	u.t.Helper()
	path := filepath.Join(u.home, ".docker", "config.json")
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600))
	if err != nil {
		u.t.Fatal(err)
	}
}

func TestImages(t *testing.T) {
	registry := imagetest.StartRegistry(t)
	registry.Push(t, imagetest.Busybox(t), "team/busybox:1")
	u := newImages(t)
	ref := registry.Host + "/team/busybox:1"

	u.refuses("401", "pull", ref)
	u.login(fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, registry.Host, loginText()))
	var pulled struct{ Ref, Digest, Pin string }
	if err := json.Unmarshal([]byte(u.must("pull", "--json", ref)), &pulled); err != nil {
		t.Fatal(err)
	}
	name := registry.Host + "/team/busybox"
	if pulled.Ref != ref || !strings.HasPrefix(pulled.Digest, "sha256:") || pulled.Pin != name+"@"+pulled.Digest {
		t.Errorf("pulled %+v", pulled)
	}
	if text := u.must("pull", pulled.Pin); !strings.Contains(text, "digest  "+pulled.Digest+"\n") || !strings.Contains(text, "pin     "+pulled.Pin+"\n") {
		t.Errorf("what was pinned is pulled as %q", text)
	}
	if list := u.list(); len(list) != 2 || list[0]["digest"] != pulled.Digest || list[1]["digest"] != pulled.Digest {
		t.Errorf("the list is %v", list)
	}
	if text := u.must("list"); !strings.Contains(text, ref) || !strings.HasPrefix(text, "REFERENCE") {
		t.Errorf("the list is %q", text)
	}
	var shown struct {
		Digest string
		Config struct {
			UID     int
			Cmd     []string
			Workdir string
		}
	}
	if err := json.Unmarshal([]byte(u.must("show", "--json", ref)), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.Digest != pulled.Digest || shown.Config.UID != 1000 || shown.Config.Workdir != "/home/app" || fmt.Sprint(shown.Config.Cmd) != "[sh]" {
		t.Errorf("it is shown as %+v", shown)
	}
	if text := u.must("show", ref); !strings.Contains(text, "user        1000:1001\n") || !strings.Contains(text, "env         NAME=busybox\n") {
		t.Errorf("it is shown as %q", text)
	}

	u.refuses("404", "pull", name+":2")
	u.refuses("there is one for linux/", "pull", "--platform", "linux/s390x", ref)
	u.refuses("is no platform", "pull", "--platform", "s390x", ref)
	u.refuses("not in the store", "show", name+":2")
	u.refuses("not in the store", "remove", name+":2")
	u.refuses("write it as", "pull", registry.Host+"/UPPER")
	u.must("remove", ref, pulled.Pin)
	if list := u.list(); len(list) != 0 {
		t.Errorf("after removing all, there is %v", list)
	}
	u.refuses("not in the store", "remove", ref)
	u.must("prune")
	var freed map[string]int64
	if err := json.Unmarshal([]byte(u.must("prune", "--json")), &freed); err != nil || freed["layers"] != 0 {
		t.Errorf("prune --json: %v %v", freed, err)
	}
}

// kavach run gets what the store does not have, once.
func TestRunPullsTheImage(t *testing.T) {
	registry := imagetest.StartRegistry(t)
	registry.Push(t, imagetest.Busybox(t), "busybox:1")
	u := newImages(t)
	ref := registry.Host + "/busybox:1"
	run := func(args ...string) string {
		out, _ := u.commandOf(testbin.Kavach(t), append([]string{"run"}, args...)...).CombinedOutput() // what it says shows how it ended
		return string(out)
	}
	if got := run("--image", ref, "--", "cat", "/etc/motd"); !strings.Contains(got, "401") {
		t.Errorf("without credentials: %q", got)
	}
	u.login(fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, registry.Host, loginText()))
	if got := run("--image", ref, "--pull", "never", "--", "cat", "/etc/motd"); !strings.Contains(got, "not in the store") {
		t.Errorf("with --pull never: %q", got)
	}
	for _, when := range []string{"missing", "never", "always"} {
		if got := run("--image", ref, "--pull", when, "--", "cat", "/etc/motd"); got != "second\n" {
			t.Errorf("with --pull %s: %q", when, got)
		}
	}
	u.login("{}")
	if got := run("--image", ref, "--", "cat", "/etc/motd"); got != "second\n" {
		t.Errorf("what is in the store was not taken: %q", got)
	}
	if got := run("--image", ref, "--pull", "always", "--", "cat", "/etc/motd"); !strings.Contains(got, "401") {
		t.Errorf("with --pull always, and no credentials: %q", got)
	}
}

// A helper of credentials is asked, and its password is in no argument of any
// process: the helper looks.
func TestImagePullAsksHelpers(t *testing.T) {
	registry := imagetest.StartRegistry(t)
	registry.Push(t, imagetest.Busybox(t), "busybox:1")
	u := newImages(t)
	bin := testbin.TempDir(t)
	helper := fmt.Sprintf(`#!/bin/sh
read host
[ "$1 $host" = "get %s" ] || { echo credentials not found in native keychain; exit 1; }
echo '{"ServerURL":"x","Username":"%s","Secret":"%s"}'
`, registry.Host, imagetest.RegistryUser, imagetest.RegistryPassword)
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-kavachtest"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	u.login(`{"credsStore":"kavachtest"}`)
	ref := registry.Host + "/busybox:1"
	u.refuses("docker-credential-kavachtest, which has the credentials, is not in PATH", "pull", ref)
	u.path = bin + ":" + u.path
	u.must("pull", ref)
}

// What kavach has started ends with it, however it ends.
func TestImagePullIsStopped(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
		u := newImages(t)
		listener, err := net.Listen("tcp", "127.0.0.1:0") // a registry that never answers
		if err != nil {
			t.Fatal(err)
		}
		if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		cmd := u.command("pull", listener.Addr().String()+"/app")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("%s: it ended well", sig)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 4096); err == nil; {
			_, err = conn.Read(buf) // to the end: nobody is there any more
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: kavach-registry still runs", sig)
		}
		conn.Close()
		listener.Close()
		if sig == os.Interrupt && len(u.list()) != 0 {
			t.Errorf("%s: there is an image", sig)
		}
	}
}

func TestImagePullWithoutTheProgram(t *testing.T) {
	u := newImages(t)
	alone := filepath.Join(testbin.TempDir(t), "kavach")
	data, err := os.ReadFile(testbin.Kavach(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(alone, data, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := u.commandOf(alone, "image", "pull", "localhost:1/app").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "kavach-registry") || !strings.Contains(string(out), "make install") {
		t.Errorf("%v\n%s", err, out)
	}
}
