package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// secret is what no error may hold.
const secret = "hunter2-hunter2"

// ask gives a command the one secret that c says, as a pipe, and returns what it reads.
func ask(t *testing.T, c policy.Credential) (string, error) {
	t.Helper()
	c.Name, c.As = "registry.example", "fd:3"
	set, err := Open(Options{Policy: &policy.Policy{Credentials: []policy.Credential{c}}})
	if err != nil {
		return "", err
	}
	defer set.Close()
	cmd := new(backend.Cmd)
	lease, err := set.Attach(t.Context(), Command{Cmd: cmd})
	if err != nil {
		return "", err
	}
	into := make([]byte, backend.MaxSecret+1)
	n, err := readAll(cmd.Files[0].File, into)
	return string(into[:n]), errors.Join(err, lease.Revoke())
}

func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelper(t *testing.T) {
	const agent = `while test -e "$0"; do sleep 0.05; done` // as long as the test has its directory
	tests := []struct {
		name, text, want, problem, why string
	}{
		{"plain", `test "$1" = get && read name && echo "$name-value"`, "registry.example-value", "", "the name goes in, and the value comes out"},
		{"crlf", `printf 'a-value\r\n'`, "a-value", "", "a line end of another system"},
		{"no-end", `printf a-value`, "a-value", "", "no line end"},
		{"deaf", `echo a-value`, "a-value", "", "one that does not ask for the name"},
		{"spaces", `echo '  two words  '`, "  two words  ", "", "blanks are the value's own"},
		{"daemon", `(` + agent + ` >/dev/null 2>&1 &) ; echo a-value`, "a-value", "", "what it leaves behind, as agents do, is not waited for"},
		{"agent", `(` + agent + ` &) ; echo a-value`, "a-value", "", "nor where that holds its stdout open"},
		{"agent-much", `(` + agent + ` &) ; head -c 65536 /dev/zero | tr '\0' x`, strings.Repeat("x", backend.MaxSecret), "", "all that it printed is read"},
		{"agent-none", `(` + agent + ` &) ; exit 0`, "", "printed nothing", "it has ended, and no value comes any more"},
		{"fails", `echo ` + secret + `; echo ` + secret + ` >&2; exit 3`, "", "exit status 3", "a value of a helper that failed is none"},
		{"killed", `echo ` + secret + `; kill -9 $$`, "", "killed", "a signal"},
		{"nothing", `true`, "", "printed nothing", "no value"},
		{"empty-line", `echo`, "", "printed nothing", "an empty line"},
		{"lines", `echo ` + secret + `; echo more`, "", "several lines", "which of them is it?"},
		{"much", `while :; do echo ` + secret + `; done`, "", "more than 65536 bytes", "it is ended, and not waited for"},
		{"docker-credential-test", `read url; printf '{"ServerURL":"%s", "Username":"me","Secret":"a\u00e9\ud83d\ude00\\"b"}\n' "$url"`, "aé😀\"b", "", "Docker's"},
		{"docker-credential-none", `echo credentials not found in native keychain; exit 1`, "", "exit status 1", "Docker's, which tells on stdout"},
		{"docker-credential-cut", `printf '{"ServerURL":"x","Secret":"' ; printf %s ` + secret + ` ; printf '","User'`, "", "no JSON", "an answer that was cut short"},
		{"docker-credential-odd", `echo ` + secret, "", "no JSON", "not what Docker's print"},
		{"git-credential-test", `while read line && test -n "$line"; do last=$line; done; echo username=me; echo "password=of $last"`, "of host=registry.example", "", "git's"},
		{"git-credential-none", `cat >/dev/null`, "", "no password=", "git's, which says nothing where it has none"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ask(t, policy.Credential{Source: "cmd:" + script(t, test.name, test.text)})
			if test.problem == "" {
				if err != nil || got != test.want {
					t.Errorf("%s: %q, %v", test.why, got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.problem) || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v, want %q", test.why, err, test.problem)
			}
		})
	}
}

// A URL that names a user asks for that one.
func TestAskGit(t *testing.T) {
	want := "protocol=http\nhost=git.example:8080\nusername=bot\npath=a/b\n\n"
	if got := askGit("http://bot@git.example:8080/a/b"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := askGit("git.example"); got != "protocol=https\nhost=git.example\n\n" {
		t.Errorf("%q", got)
	}
}

// One that hangs is ended, with what it has started, when nobody waits any more.
func TestHelperHangs(t *testing.T) {
	for _, text := range []string{"sleep 1000", "sleep 1000 & wait", "exec >&-; sleep 1000", "trap '' TERM; sleep 1000 & wait"} {
		ctx, cancel := context.WithCancel(t.Context())
		marker := filepath.Join(t.TempDir(), "started")
		go func() {
			for _, err := os.Stat(marker); err != nil; _, err = os.Stat(marker) {
			}
			cancel()
		}()
		into := make([]byte, backend.MaxSecret+1)
		_, err := readHelper(ctx, script(t, "hangs", "touch "+marker+"; "+text), "a-name", into)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("KAVACH_TEST_SECRET", "of the environment\n")
	t.Setenv("KAVACH_TEST_EMPTY", "")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(write("target", "by a link", 0o600), link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		source       string
		shared       bool
		want, probem string
		why          string
	}{
		{"env:KAVACH_TEST_SECRET", false, "of the environment\n", "", "byte for byte"},
		{"env:KAVACH_TEST_NONE", false, "", "no variable KAVACH_TEST_NONE", "it is missing"},
		{"env:ghp_" + strings.ReplaceAll(secret, "-", "_"), false, "", "no such variable", "it may be the value"},
		{"env:KAVACH_TEST_EMPTY", false, "", "is empty", "there is nothing to give"},
		{"file:" + write("own", "a\nb\x00c\n", 0o600), false, "a\nb\x00c\n", "", "byte for byte"},
		{"file:" + write("readonly", "value", 0o400), false, "value", "", "the owner alone reads it"},
		{"file:" + link, false, "by a link", "", "the file that a link leads to is what counts"},
		{"file:" + write("group", secret, 0o640), false, "", "chmod 600", "the group reads it"},
		{"file:" + write("world", secret, 0o604), false, "", "chmod 600", "everybody reads it"},
		{"file:" + write("writable", secret, 0o622), false, "", "chmod 600", "others put something else there"},
		{"file:" + write("shared", "shared value", 0o644), true, "shared value", "", "the policy says so"},
		{"file:" + write("empty", "", 0o600), false, "", "is empty", "there is nothing to give"},
		{"file:" + write("large", strings.Repeat("x", backend.MaxSecret+1), 0o600), false, "", "more than 65536", "no secret is so large"},
		{"file:" + filepath.Join(dir, "none"), false, "", "no such file", "it is missing"},
		{"file:" + dir, true, "", "no regular file", "a directory"},
		{"file:/dev/zero", true, "", "no regular file", "it has no end"},
		{"cmd:" + filepath.Join(dir, "none"), false, "", "no such file", "it is missing"},
		{"cmd:kavach-test-no-such-helper", false, "", "not found", "it is in no directory of PATH"},
		{"cmd:" + write("plain", secret, 0o600), false, "", "permission denied", "it is no program"},
	}
	for _, test := range tests {
		got, err := ask(t, policy.Credential{Source: test.source, Shared: test.shared})
		if test.probem == "" && (err != nil || got != test.want) {
			t.Errorf("%s: %s: %q, %v", test.source, test.why, got, err)
		}
		if test.probem != "" && (err == nil || !strings.Contains(err.Error(), test.probem) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %s: %v, want %q", test.source, test.why, err, test.probem)
		}
	}
}

// A descriptor is read to its end, once, and kept for the commands to come.
func TestDescriptor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString("by a pipe\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	fd := dup(t, r)
	r.Close()
	c := policy.Credential{Name: "pipe", Source: "fd:" + fd, As: "env:PIPE"}
	number, err := strconv.Atoi(fd)
	if err != nil {
		t.Fatal(err)
	}
	p := &policy.Policy{Credentials: []policy.Credential{c}}
	set, err := Open(Options{Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	var refused *Error
	if _, err := set.Attach(t.Context(), Command{Cmd: new(backend.Cmd)}); !errors.As(err, &refused) {
		t.Errorf("%v of a descriptor that may be anything", err)
	}
	set.Close()
	if set, err = Open(Options{Policy: p, Inherited: []int{number}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		cmd := new(backend.Cmd)
		lease, err := set.Attach(t.Context(), Command{Cmd: cmd})
		if err != nil || len(cmd.Secrets) != 1 || string(cmd.Secrets[0].Value()) != "by a pipe" {
			t.Fatalf("%v, %v", cmd.Secrets, err)
		}
		if err := lease.Revoke(); err != nil {
			t.Error(err)
		}
	}
	set.Close()
	if _, err := set.Attach(t.Context(), Command{Cmd: new(backend.Cmd)}); !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("%v of a set that was closed", err)
	}
}

// What is decoded in place is what package encoding/json decodes.
func FuzzDockerSecret(f *testing.F) {
	for _, seed := range []string{`{"Secret":"x"}`, `{"ServerURL":"https://a","Username":"b","Secret":"a\"\\\/\b\f\n\r\té😀"}` + "\n", `{ "a" : "b" , "secret":"c"}`, `{"Secret":"\ud83d"}`, `{}`, `{"Secret":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		var want struct{ ServerURL, Username, Secret string }
		valid := json.Unmarshal(said, &want) == nil
		got, err := dockerSecret(bytes.Clone(said))
		if err == nil && len(got) == 0 {
			t.Error("a secret that is empty")
		}
		if !valid || bytes.ContainsRune([]byte(want.Secret), '�') || bytes.Count(bytes.ToLower(said), []byte("secret")) != 1 {
			return // one is as strict as it likes, and the first of two counts
		}
		if err == nil && string(got) != want.Secret {
			t.Errorf("%q: %q, want %q", said, got, want.Secret)
		}
	})
}
