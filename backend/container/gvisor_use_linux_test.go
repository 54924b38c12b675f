package container

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// quiet is for how long what is frozen is listened to.
const quiet = 300 * time.Millisecond

// channelWriter sends what is written, and drops what nobody takes.
type channelWriter chan string

func (c channelWriter) Write(p []byte) (int, error) {
	select {
	case c <- string(p):
	default:
	}
	return len(p), nil
}

// inSandbox runs a shell, which must end with 0.
func inSandbox(t testing.TB, sb *kavach.Sandbox, script string) string {
	t.Helper()
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", script}})
	if err != nil || res.ExitCode != 0 {
		t.Fatalf("%s: %+v, %v: %s", script, res, err, res.Stderr)
	}
	return string(res.Stdout)
}

// TestGVisorWrites: what is mounted to be written to is, also in a read-only root
// directory, and nothing beside it; what is read-only below it stays so.
func TestGVisorWrites(t *testing.T) {
	base := testbin.TempDir(t)
	for _, name := range []string{"rw", "ro"} {
		if err := os.Mkdir(filepath.Join(base, name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(base, name), os.Geteuid(), os.Getegid()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/", filepath.Join(base, "rw", "up")); err != nil {
		t.Fatal(err)
	}
	sb := gvisorSandbox(t, func(p *policy.Policy) {
		p.Filesystem.Mounts = []policy.Mount{
			{Source: filepath.Join(base, "rw"), Target: "/work", Access: policy.AccessWrite},
			{Source: filepath.Join(base, "ro"), Target: "/work/ro"},
			{Source: filepath.Join(base, "ro"), Target: "/other"},
		}
	})
	inSandbox(t, sb, "cd /work && echo text > file && mkdir -p new/er && ln -s ../../.. out && ln -s /etc/passwd in")
	for _, path := range []string{"/work/ro/x", "/other/x", "/x", "/usr/x", "/work/up/x", "/work/out/x"} {
		if res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "echo > " + path}}); err != nil || res.ExitCode == 0 {
			t.Errorf("%s was written: %+v, %v", path, res, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(base, "rw", "file")); err == nil {
		t.Error("it is on the host before it is applied")
	}
	if err := sb.Halt(t.Context()); err != nil {
		t.Fatal(err)
	}
	changes, err := sb.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sb.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"file": true, "new/er": true, "out": false, "in": false, "ro/x": false} {
		if _, err := os.Lstat(filepath.Join(base, "rw", name)); (err == nil) != there {
			t.Errorf("%s: %v, after %+v", name, err, changes)
		}
	}
}

// TestGVisorStreams: input and output go through, much of it, and many at once.
func TestGVisorStreams(t *testing.T) {
	const much = 100 << 20
	sb := gvisorSandbox(t, func(p *policy.Policy) { p.Resources.Output = 2 * much })
	var out counted
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"head", "-c", fmt.Sprint(much), "/dev/zero"}, Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := p.Wait(t.Context()); err != nil || res.ExitCode != 0 || out != much || res.Truncated {
		t.Errorf("%d bytes of %d: %+v, %v", out, much, res, err)
	}

	in, stdin := io.Pipe()
	answers := make(chan string, 10)
	p, err = sb.Start(t.Context(), kavach.Cmd{Args: []string{"cat"}, Stdin: in, Stdout: channelWriter(answers)})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"one", "two"} {
		if _, err := io.WriteString(stdin, word); err != nil {
			t.Fatal(err)
		}
		if got := <-answers; got != word {
			t.Errorf("%q came of %q", got, word)
		}
	}
	stdin.Close()
	if res, err := p.Wait(t.Context()); err != nil || res.ExitCode != 0 {
		t.Errorf("%+v, %v", res, err)
	}

	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", fmt.Sprintf("cat; exit %d", n)}, Stdin: strings.NewReader(fmt.Sprint(n))})
			if err != nil || res.ExitCode != n || string(res.Stdout) != fmt.Sprint(n) {
				t.Errorf("%d: %+v, %v", n, res, err)
			}
		})
	}
	all.Wait()
}

// counted is how much was written.
type counted int

func (c *counted) Write(p []byte) (int, error) { *c += counted(len(p)); return len(p), nil }

// TestGVisorTerminal: a terminal is one, has its size, and its keys do what they do.
func TestGVisorTerminal(t *testing.T) {
	sb := gvisorSandbox(t, nil)
	in, typed := io.Pipe()
	out := &locked{}
	// Short sleeps: a shell that is interrupted before it forked waits for the whole of one.
	p, err := sb.Start(t.Context(), kavach.Cmd{
		Args:  []string{"sh", "-c", "tty; stty size; trap 'echo caught; caught=1' INT; echo ready; until [ $caught ]; do sleep 0.1; done; read line; echo got $line"},
		Stdin: in, Stdout: out, Terminal: &backend.WindowSize{Rows: 33, Cols: 99},
	})
	if err != nil {
		t.Fatal(err)
	}
	out.wait(t, "ready")
	for _, step := range [][2]string{{"\x03", "caught"}, {"word\n", "got word"}} {
		if _, err := io.WriteString(typed, step[0]); err != nil {
			t.Fatal(err)
		}
		out.wait(t, step[1])
	}
	if res, err := p.Wait(t.Context()); err != nil || res.ExitCode != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if text := out.String(); !strings.Contains(text, "/dev/pts/") || !strings.Contains(text, "33 99") {
		t.Errorf("%q", text)
	}
}

// locked is a buffer that is read while it is written.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *locked) wait(t testing.TB, want string) {
	t.Helper()
	if !testclock.Until(faultPatience, func() bool { return strings.Contains(l.String(), want) }) {
		t.Fatalf("no %q in %q", want, l.String())
	}
}

// TestGVisorSysrq: what is written to the sentry's file comes to nobody.
func TestGVisorSysrq(t *testing.T) {
	if _, err := os.Stat("/proc/sysrq-trigger"); err != nil {
		t.Log("this kernel has none:", err)
		return
	}
	if os.Geteuid() != 0 {
		t.Log("root only reads what this kernel says")
		return
	}
	said := func() int {
		const readAll, size = 3, 1 << 20 // SYSLOG_ACTION_READ_ALL
		b := make([]byte, size)
		n, err := unix.Klogctl(readAll, b)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(b[:n]), "sysrq")
	}
	before := said()
	const help = "h" // has the kernel print which commands there are
	res, err := gvisorSandbox(t, nil).Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "echo " + help + " > /proc/sysrq-trigger"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", res.Stderr)
	if after := said(); after != before {
		t.Errorf("this kernel was told: %d messages, before %d", after, before)
	}
	if err := os.WriteFile("/proc/sysrq-trigger", []byte(help), 0); err != nil || said() == before {
		t.Errorf("nor is it told by its own file, so this proves nothing: %v", err)
	}
}

// TestGVisorDevices: of the devices of the host, none is opened; those that the
// sentry has of its own are, and hold nothing of the host.
func TestGVisorDevices(t *testing.T) {
	sb := gvisorSandbox(t, func(p *policy.Policy) {
		p.Filesystem.Mounts = []policy.Mount{{Source: "/dev", Target: "/hostdev"}}
	})
	out := inSandbox(t, sb, `for d in /hostdev/*; do if [ ! -L $d ] && { [ -c $d ] || [ -b $d ]; }; then echo seen; (exec 3<$d) 2>/dev/null && echo ${d#/hostdev/}; fi; done; true`)
	if !strings.Contains(out, "seen") {
		t.Fatal("no device is seen")
	}
	own := map[string]bool{"null": true, "zero": true, "full": true, "random": true, "urandom": true, "ptmx": true, "tty": true, "seen": true, "fuse": true, "net": true}
	for _, name := range strings.Fields(out) {
		if !own[name] {
			t.Errorf("%s of the host was opened", name)
		}
	}
	t.Log(strings.ReplaceAll(out, "seen\n", ""))
}
