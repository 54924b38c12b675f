//go:build linux

package backendtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/policy"
)

// Credentials sees that commands get their secrets in each way, byte for byte, for as
// long as they are to have them, and that ways which a backend does not have (in the
// words of policy.Credential.As, without what is behind the colon) are refused. Commands
// are programs of the host.
func Credentials(t *testing.T, b backend.Backend, adapt func(*policy.Policy), without ...string) {
	w := &lending{backend: b, adapt: adapt, without: without}
	t.Run("each way", w.eachWay)
	t.Run("sizes", w.sizes)
	t.Run("refusals", w.refusals)
	if w.has(policy.CredentialFile) {
		t.Run("files", w.files)
		t.Run("moved", w.moved)
		t.Run("kept open", w.keptOpen)
	}
	t.Run("lifetime", w.lifetime)
	t.Run("of some", w.some)
	t.Run("many", w.many)
}

type lending struct {
	backend backend.Backend
	adapt   func(*policy.Policy)
	without []string
}

func (w *lending) has(way string) bool { return !slices.Contains(w.without, way) }

// fixed is a source of the test's own.
type fixed []byte

func (f fixed) Secret(context.Context, string) ([]byte, error) { return bytes.Clone(f), nil }

func given(name, as string, value []byte) credential.Ref {
	return credential.Ref{Credential: policy.Credential{Name: name, Source: "a test", As: as}, From: fixed(value)}
}

// create makes a sandbox with these secrets. The gate is off: what commands print is
// held against the value.
func (w *lending) create(t testing.TB, refs ...credential.Ref) (*kavach.Sandbox, error) {
	t.Helper()
	p, err := policy.Preset("basic")
	if err != nil {
		t.Fatal(err)
	}
	p.Gate = policy.Gate{Mode: policy.GateOff}
	p.BestEffort = policy.Controls()
	if w.adapt != nil {
		w.adapt(&p)
	}
	sb, err := (&kavach.Runtime{Backends: []backend.Backend{w.backend}}).Create(t.Context(), kavach.Config{Policy: p, Backend: w.backend.Name(), Credentials: refs})
	if err == nil {
		t.Cleanup(func() {
			if err := sb.Destroy(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return sb, err
}

func (w *lending) mustCreate(t testing.TB, refs ...credential.Ref) *kavach.Sandbox {
	t.Helper()
	sb, err := w.create(t, refs...)
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

// sh runs a script, and returns what it prints.
func sh(t testing.TB, sb *kavach.Sandbox, script string, credentials ...string) string {
	t.Helper()
	cmd := kavach.Cmd{Args: []string{"sh", "-c", script}}
	if credentials != nil {
		cmd.Credentials = slices.DeleteFunc(credentials, func(s string) bool { return s == "" })
	}
	res, err := sb.Run(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	return string(res.Stdout) + string(res.Stderr)
}

// ways are those that there are, and how a shell gets at the value.
var ways = []struct{ as, read, why string }{
	{"env:KAVACH_TEST_SECRET", `printf %s "$KAVACH_TEST_SECRET"`, "a variable"},
	{"stdin", "cat", "standard input"},
	{"stdin", "cat /dev/stdin", "standard input by its name, for programs that want that of a file"},
	{"fd:3", "cat <&3", "the first descriptor that there can be"},
	{"fd:9", "cat <&9", "a descriptor with none before it"},
	{"fd:9", "cat /dev/fd/9", "a descriptor by its name"},
	{"file:/run/secrets/test", "cat /run/secrets/test", "a file"},
	{"file:/srv/app/keys/test.pem", "cat /srv/app/keys/test.pem", "a file in a directory that is not there else"},
}

func (w *lending) eachWay(t *testing.T) {
	for _, way := range ways {
		kind, _, _ := strings.Cut(way.as, ":")
		value := []byte("line one of " + way.as + "\nline two, with 'quotes' and \xff\xfe bytes")
		t.Run(way.read, func(t *testing.T) {
			sb, err := w.create(t, given("test", way.as, value))
			if err == nil && !w.has(kind) {
				_, err = sb.Run(t.Context(), kavach.Cmd{Args: []string{"true"}})
			}
			if !w.has(kind) {
				if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "way") {
					t.Fatalf("%v, want a refusal that says what to do", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second command gets it as well
				if got := sh(t, sb, way.read); got != string(value) {
					t.Errorf("%s: a command reads %q, want %q", way.why, got, value)
				}
			}
			if got := sh(t, sb, way.read+" 2>/dev/null </dev/null", ""); strings.Contains(got, "line one") {
				t.Errorf("%s: a command that was given nothing has it: %q", way.why, got)
			}
		})
	}
}

func (w *lending) sizes(t *testing.T) {
	for _, way := range ways {
		kind, _, _ := strings.Cut(way.as, ":")
		if !w.has(kind) {
			continue
		}
		value := make([]byte, backend.MaxSecret)
		_, _ = rand.Read(value)
		for i := range value {
			value[i] |= 1 // no zero byte, and no line end
		}
		sb := w.mustCreate(t, given("test", way.as, value))
		if got := sh(t, sb, way.read+" | sha256sum"); got != fmt.Sprintf("%x  -\n", sha256.Sum256(value)) {
			t.Errorf("as %s: of %d bytes a command has others: %s", way.as, len(value), got)
		}
		// One that does not read it ends all the same.
		if got := sh(t, sb, "echo ended"); got != "ended\n" {
			t.Errorf("as %s: a command that does not read it prints %q", way.as, got)
		}
	}
	sb := w.mustCreate(t, given("test", "env:KAVACH_TEST_SECRET", make([]byte, backend.MaxSecret+1)))
	var refused *credential.Error
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"true"}}); !errors.As(err, &refused) {
		t.Errorf("%v of a secret that is too long", err)
	}
}

// What a command cannot be given is an error that does not hold the value.
func (w *lending) refusals(t *testing.T) {
	const value = "hunter2-hunter2"
	tests := []struct {
		why string
		ref credential.Ref
		cmd kavach.Cmd
	}{
		{"a zero byte in a variable", given("test", "env:KAVACH_TEST_SECRET", []byte(value+"\x00more")), kavach.Cmd{}},
		{"a standard input that is something else already", given("test", "stdin", []byte(value)), kavach.Cmd{Stdin: strings.NewReader("x")}},
		{"a standard input that is typed on a terminal", given("test", "stdin", []byte(value)), kavach.Cmd{Terminal: &backend.WindowSize{Rows: 24, Cols: 80}}},
		{"an empty value", given("test", "stdin", nil), kavach.Cmd{}},
		{"an empty line, which is no value", given("test", "env:KAVACH_TEST_SECRET", []byte("\n")), kavach.Cmd{}},
		{"a secret that the sandbox does not have", given("test", "stdin", []byte(value)), kavach.Cmd{Credentials: []string{"other"}}},
	}
	for _, test := range tests {
		sb := w.mustCreate(t, test.ref)
		test.cmd.Args = []string{"true"}
		_, err := sb.Run(t.Context(), test.cmd)
		if err == nil || strings.Contains(err.Error(), value) {
			t.Errorf("%s: %v", test.why, err)
		}
	}
}

// A file is the command's to read, and nobody's to change.
func (w *lending) files(t *testing.T) {
	const at = "/run/secrets/test"
	sb := w.mustCreate(t, given("test", "file:"+at, []byte("in a file")), given("other", "file:/run/secrets/other", []byte("in another file")))
	if got := sh(t, sb, `stat -c '%a %u %g' `+at+`; id -u; id -g; ls /run/secrets`); func() bool {
		var mode, uid, gid, me, group int
		n, _ := fmt.Sscanf(got, "%d %d %d\n%d\n%d\n", &mode, &uid, &gid, &me, &group)
		return n != 5 || mode != 400 || uid != me || gid != group || !strings.HasSuffix(got, "other\ntest\n")
	}() {
		t.Errorf("mode, owner, and whose it should be: %q", got)
	}
	for _, attempt := range []string{
		"echo x > " + at, "echo x >> " + at, "chmod 600 " + at, "rm -f " + at, "mv " + at + " /run/secrets/moved", "ln " + at + " /tmp/link",
		"echo x > /run/secrets/new", "mkdir /run/secrets/dir", "mv /run/secrets /run/gone", "rmdir /run/secrets", "truncate -s 0 " + at,
		"mount -o remount,rw /run/secrets", "exec 5<>" + at, "cp /bin/true /run/secrets/true",
	} {
		if got := sh(t, sb, "{ "+attempt+"; } 2>/dev/null && echo through"); strings.Contains(got, "through") {
			t.Errorf("%s: it got through", attempt)
		}
		if got := sh(t, sb, "cat "+at); got != "in a file" {
			t.Fatalf("after %s: %q", attempt, got)
		}
	}
	if got := sh(t, sb, "{ echo x > /tmp/f && chmod 600 /tmp/f && ln /tmp/f /tmp/g && rm /tmp/f; } 2>&1 && echo through"); got != "through\n" {
		t.Errorf("where nothing stands in the way: %q: what was tried shows nothing", got)
	}
	if got := sh(t, sb, "ls /run/secrets; cat "+at, ""); strings.Contains(got, "in a file") || strings.Contains(got, "other\n") {
		t.Errorf("when it was taken back: %q", got)
	}
}

// What is above a file cannot be moved away either, so that nobody puts another in its
// place, for the next command to read.
func (w *lending) moved(t *testing.T) {
	writable := *w
	writable.adapt = func(p *policy.Policy) {
		if w.adapt != nil {
			w.adapt(p)
		}
		p.Filesystem.Writable, p.Filesystem.Landlock = true, policy.Off
	}
	for _, at := range []string{"/run/secrets/test", "/srv/app/keys/test", "/tmp/app/keys/test"} {
		above := path.Dir(path.Dir(at))
		fake := fmt.Sprintf("mv %s /tmp/moved || mv %s %s.moved; mkdir -p %s; echo a fake > %s", above, above, above, path.Dir(at), at)
		sb := writable.mustCreate(t, given("test", "file:"+at, []byte("in a file")))
		sh(t, sb, fake, "")
		if got := sh(t, sb, "cat "+at); got != "in a file" {
			t.Errorf("%s: %q", fake, got)
		}
		if got := sh(t, sb, "touch "+above+"/beside && rm "+above+"/beside && echo through"); got != "through\n" {
			t.Errorf("beside %s: %q", path.Dir(at), got)
		}
		if got := sh(t, writable.mustCreate(t), "mkdir -p "+path.Dir(at)+"; "+fake+"; cat "+at); !strings.HasSuffix(got, "a fake\n") {
			t.Errorf("where there is no secret: %q: what was tried shows nothing", got)
		}
	}
}

// What keeps a file open that was taken back is not in the way of the next.
func (w *lending) keptOpen(t *testing.T) {
	const at = "/run/secrets/test"
	sb := w.mustCreate(t, given("test", "file:"+at, []byte("in a file")))
	for n := range 8 {
		if got := sh(t, sb, "exec 7<"+at+"; (exec sleep 60) >/dev/null 2>&1 & cat "+at); got != "in a file" {
			t.Fatalf("after %d that were kept: %q", n, got)
		}
	}
}

// changing is a source whose value is another each time.
type changing struct{ n atomic.Int64 }

func (c *changing) Secret(context.Context, string) ([]byte, error) {
	return fmt.Appendf(nil, "value number %d", c.n.Add(1)), nil
}

func (w *lending) lifetime(t *testing.T) {
	if !w.has(policy.CredentialFile) {
		return
	}
	// What stays has what was read last.
	anew := given("anew", "file:/run/secrets/anew", nil)
	anew.From, anew.Lifetime = new(changing), policy.LifetimeSandbox
	again := w.mustCreate(t, anew)
	for i := 1; i <= 3; i++ {
		if got, want := sh(t, again, "ls -A /run/secrets; cat /run/secrets/anew"), fmt.Sprintf("anew\nvalue number %d", i); got != want {
			t.Errorf("command %d reads %q, want %q", i, got, want)
		}
	}
	if got := sh(t, again, "cat /run/secrets/anew", ""); got != "value number 3" {
		t.Errorf("who is given nothing reads %q", got)
	}
	lasting, brief := given("lasting", "file:/run/secrets/lasting", []byte("for the sandbox")), given("brief", "file:/run/secrets/brief", []byte("for a moment"))
	lasting.Lifetime, brief.Lifetime = policy.LifetimeSandbox, "10ms"
	sb := w.mustCreate(t, lasting, brief, given("usual", "file:/run/secrets/usual", []byte("for the command")))
	got := sh(t, sb, "cat /run/secrets/lasting /run/secrets/usual; while test -e /run/secrets/brief; do sleep 0.01; done; echo; ls /run/secrets")
	if got != "for the sandboxfor the command\nlasting\nusual\n" {
		t.Errorf("a command that waits for the end of one reads %q", got)
	}
	if got := sh(t, sb, "ls /run/secrets; cat /run/secrets/*", ""); got != "lasting\nfor the sandbox" {
		t.Errorf("the next command reads %q", got)
	}
	// Who keeps it open, or has not read a pipe, has nothing when it was taken back.
	sb = w.mustCreate(t, given("usual", "file:/run/secrets/usual", []byte("for the command")), given("pipe", "fd:8", []byte("for the command")))
	sh(t, sb, `exec 7</run/secrets/usual; (while ! test -e /tmp/go; do sleep 0.01; done; cat <&7 >/tmp/file; cat <&8 >/tmp/pipe; touch /tmp/done) >/dev/null 2>&1 &`)
	if got := sh(t, sb, "touch /tmp/go; while ! test -e /tmp/done; do sleep 0.01; done; cat /tmp/file /tmp/pipe", ""); got != "" {
		t.Errorf("what was left behind reads %q", got)
	}
}

// Commands that run at once, with some of the secrets each, do not take each other's.
func (w *lending) some(t *testing.T) {
	refs := []credential.Ref{given("a", "env:A", []byte("value of a")), given("b", "env:B", []byte("value of b"))}
	if w.has(policy.CredentialFile) {
		refs = append(refs, given("c", "file:/run/secrets/c", []byte("value of c")))
	}
	sb := w.mustCreate(t, refs...)
	out, theirs := io.Pipe()
	in, stdin := io.Pipe()
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "echo ready; read x; cat /run/secrets/c"}, Stdin: in, Stdout: theirs})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadFull(out, make([]byte, len("ready\n")))
	if got := sh(t, sb, `echo "$A,$B"; cat /run/secrets/c 2>/dev/null`, "b"); !strings.HasPrefix(got, ",value of b\n") {
		t.Errorf("a command that is given b has %q", got)
	}
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"true"}})
	if err != nil || len(res.Credentials) != len(refs) || res.Credentials[0] != (credential.Grant{Name: "a", Source: "a test", As: "env:A", Lifetime: "command"}) {
		t.Errorf("%+v, %v", res, err)
	}
	go func() { fmt.Fprintln(stdin, "go"); stdin.Close() }()
	go func() { _, _ = p.Wait(context.Background()); theirs.Close() }()
	rest, _ := io.ReadAll(out)
	if w.has(policy.CredentialFile) && string(rest) != "value of c" {
		t.Errorf("the end of another command took a file from one that runs: %q", rest)
	}
}

// A hundred at once.
func (w *lending) many(t *testing.T) {
	var refs []credential.Ref
	want := ""
	for i := range 100 {
		value := fmt.Sprintf("value number %d", i)
		want += value + "\n"
		refs = append(refs, given(fmt.Sprintf("n%d", i), fmt.Sprintf("env:N%d", i), []byte(value)))
	}
	sb := w.mustCreate(t, refs...)
	if got := sh(t, sb, `i=0; while test $i -lt 100; do eval echo "\$N$i"; i=$((i+1)); done`); got != want {
		t.Errorf("%q", got)
	}
}
