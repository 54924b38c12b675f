package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/testclock"
)

// hang is when a test takes what it waits for to be lost. It is no measure.
const hang = 3 * time.Minute

// pane is a terminal of tmux, on a server of its own, with a shell on it in
// which kavach is the program of that name.
type pane struct {
	*testing.T
	dir    string // where the shell is
	server []string
	marks  int
}

func newPane(t *testing.T) *pane {
	t.Helper()
	tmux, err := exec.LookPath("tmux")
	if err != nil {
		t.Skip("tmux is not installed")
	}
	at, err := os.MkdirTemp("", "kt") // a short name: the path of a socket is short (unix(7))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(at) })
	p := &pane{T: t, dir: t.TempDir(), server: []string{tmux, "-u", "-S", filepath.Join(at, "s"), "-f", "/dev/null"}}
	start := p.tmux("new-session", "-d", "-x", "80", "-y", "24", "sh")
	start.Dir = p.dir
	start.Env = []string{
		"PATH=" + filepath.Dir(kavachPath(t)) + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + at,
		"LANG=C.UTF-8", "PS1=host> ", "SHELL=/bin/sh",
		"TMPDIR=" + os.TempDir(), "XDG_RUNTIME_DIR=" + os.Getenv("XDG_RUNTIME_DIR"), // where records are
	}
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = p.tmux("kill-server").Run() }) // it is gone when its shell is
	p.sees("host>")
	return p
}

func (p *pane) tmux(args ...string) *exec.Cmd {
	return exec.Command(p.server[0], append(slices.Clone(p.server[1:]), args...)...)
}

// types sends text as it is.
func (p *pane) types(text string) {
	p.Helper()
	if out, err := p.tmux("send-keys", "-l", "--", text).CombinedOutput(); err != nil {
		p.Fatalf("tmux: %v: %s", err, out)
	}
}

// runs types a line.
func (p *pane) runs(line string) { p.Helper(); p.types(line + "\r") }

func (p *pane) screen() string {
	p.Helper()
	out, err := p.tmux("capture-pane", "-p", "-J").Output()
	if err != nil {
		p.Fatalf("tmux: %v", err)
	}
	return "\n" + string(out)
}

func (p *pane) until(what string, is func() bool) {
	p.Helper()
	if !testclock.Until(hang, is) {
		p.Fatalf("%s does not come about; the screen is\n%s", what, p.screen())
	}
}

// sees waits until the screen shows a text.
func (p *pane) sees(text string) {
	p.Helper()
	p.until(fmt.Sprintf("%q", text), func() bool { return strings.Contains(p.screen(), text) })
}

// says has the shell in front expand a text, and waits until it shows what it
// should be. What is typed is not what is waited for.
func (p *pane) says(text, want string) {
	p.Helper()
	p.marks++
	p.runs(fmt.Sprintf(`echo "%d""=%s"`, p.marks, text))
	p.sees(fmt.Sprintf("\n%d=%s\n", p.marks, want))
}

// ready is a program for a command line that says when it has the terminal: a
// shell hands it over before it starts one.
func (p *pane) ready(program string) (line, said string) {
	p.marks++
	return fmt.Sprintf(`sh -c 'echo read''y%d; exec %s'`, p.marks, program), fmt.Sprintf("ready%d", p.marks)
}

// session starts a bash in a sandbox, and clears the screen in it.
func (p *pane) session(flags string) {
	p.Helper()
	p.runs("kavach run -it " + flags + " --best-effort limits -- bash --norc --noprofile")
	p.sees("bash-")
	p.runs("PS1='inside> '; clear")
	p.sees("inside>")
}

// file waits for a file that the outer shell writes.
func (p *pane) file(name string) string {
	p.Helper()
	path := filepath.Join(p.dir, name)
	p.until(name, func() bool { _, err := os.Stat(path); return err == nil })
	b, err := os.ReadFile(path)
	if err != nil {
		p.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// settings are those of the terminal, as a shell in front of it sees them.
func (p *pane) settings() string {
	p.Helper()
	p.marks++
	name := fmt.Sprintf("settings%d", p.marks)
	p.runs(fmt.Sprintf("stty -g >new; mv new %s", name))
	return p.file(name)
}

func TestConsole(t *testing.T) {
	t.Parallel()
	p := newPane(t)
	before := p.settings()
	p.session("")
	p.says("$(tty) $(stty size) $TERM", "/dev/pts/0 24 80 "+p.term())
	p.says("[$COLUMNS$LINES$HOME]", "[8024/tmp]") // bash has the size from the terminal
	line, ready := p.ready("sleep 1000")
	p.runs(line)
	p.sees("\n" + ready)
	p.types("\x03")
	p.says("$?", "130")
	p.runs("clear")

	p.runs("sleep 1000 &")
	p.sees("[1]")
	p.runs("jobs")
	p.sees("Running                 sleep 1000 &")
	p.runs("clear; fg; echo after")
	p.sees("\nsleep 1000\n")        // as fg says it: ^Z before that would flush what was typed (n_tty)
	p.until("a stop", func() bool { // the job is in front soon after that
		p.types("\x1a")
		return strings.Contains(p.screen(), "Stopped                 sleep 1000")
	})
	p.runs("clear; bg")
	p.sees("[1]+ sleep 1000 &")
	p.runs("kill %1; wait; jobs; clear")
	p.says("$(jobs | wc -l)", "0")

	// Before its prompt is there, readline sets the size that it has read.
	p.until("a prompt", func() bool { return strings.HasSuffix(strings.TrimSpace(p.screen()), "inside>") })
	if out, err := p.tmux("resize-window", "-x", "101", "-y", "33").CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	p.runs(`until [ "$(stty size)" = "33 101" ]; do sleep .1; done`)
	p.says("$(stty size)", "33 101")
	p.runs("exit 3")
	p.sees("host>")
	p.says("$?", "3")
	if after := p.settings(); after != before {
		t.Errorf("the terminal is %s, and was %s", after, before)
	}
}

// term is what tmux says that it is.
func (p *pane) term() string {
	p.Helper()
	out, err := p.tmux("show-options", "-gv", "default-terminal").Output()
	if err != nil {
		p.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// Programs that take the terminal over.
func TestConsolePrograms(t *testing.T) {
	t.Parallel()
	p := newPane(t)
	for _, program := range []string{"/usr/bin/vim", "/usr/bin/python3", "/usr/bin/top", "/usr/bin/less"} {
		if _, err := os.Stat(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	p.session("")
	p.runs("vim -u NONE -N /tmp/file")
	p.sees(`/file" [New]`)
	p.types("ihello from the editor")
	p.sees("hello from the editor")
	p.types("\x1b:wq\r")
	p.sees("inside>")
	p.says("$(cat /tmp/file)", "hello from the editor")

	p.runs("clear; python3")
	p.sees(">>> ")
	p.runs("6*7")
	p.sees("\n42\n")
	p.types("\x04")
	p.sees("inside>") // what is typed before may still be the program's
	p.says("$?", "0")

	p.runs("clear; top")
	p.sees("Tasks:")
	p.sees("PID USER")
	p.types("q")
	p.sees("inside>")
	p.says("$?", "0")

	p.runs("clear; seq 1 1000 | less")
	p.sees("\n20\n")
	p.types("G")
	p.sees("\n1000\n")
	p.types("q")
	p.sees("inside>")
	p.says("$?", "0")
	p.runs("exit")
	p.sees("host>")
}

// However a session ends, the terminal is what it was.
func TestConsoleIsPutBack(t *testing.T) {
	tests := []struct {
		flags, inside string // inside says "ready" where it is ended by send
		send          syscall.Signal
		want          int
		why           string
	}{
		{"", "exit 4", 0, 4, "it ended"},
		{"", "stty raw -echo; exit 5", 0, 5, "inside it is another"},
		{"", "kill -9 $$", 0, 137, "the command is killed"},
		{"--timeout 1s", "stty raw -echo; sleep 1000", 0, 124, "its time is over"},
		{"--output-limit 1k", "trap 'exit 6' HUP; while :; do echo and on and on; done", 0, 6, "nothing more would be shown"},
		{"--backend noop", "exit 4", 0, 125, "there is no terminal"},
		{"--workdir /nothing", "exit 4", 0, 126, "nothing can be run"},
		{"", "echo ready; sleep 1000", syscall.SIGKILL, 137, "kavach is killed"},
		{"", "stty raw -echo; echo ready; sleep 1000", syscall.SIGKILL, 137, "kavach is killed, and inside it is another"},
		{"", "echo ready; sleep 1000", syscall.SIGABRT, 2, "kavach ends by a mistake of its own"},
		{"", "echo ready; sleep 1000", syscall.SIGTERM, 129, "kavach is told to end"},
		{"", "echo ready; sleep 1000", syscall.SIGHUP, 129, "kavach is hung up on"},
		{"", "echo ready; sleep 1000", syscall.SIGQUIT, 129, "kavach is told to quit"},
		{"", "echo ready; sleep 1000", syscall.SIGINT, 130, "kavach is interrupted, which no key does"},
		{"", "trap 'exit 7' HUP; trap '' TERM; echo ready; while :; do sleep .1; done", syscall.SIGTERM, 7, "a session is hung up"},
		{"", "trap '' HUP TERM; echo ready; while :; do sleep .1; done", syscall.SIGTERM, 143, "and when that does not help, killed"},
	}
	for i, test := range tests {
		t.Run(test.why, func(t *testing.T) {
			t.Parallel()
			p := newPane(t)
			before := p.settings()
			script := filepath.Join(p.dir, fmt.Sprintf("inside%d", i))
			if err := os.WriteFile(script, []byte(test.inside), 0o644); err != nil {
				t.Fatal(err)
			}
			p.runs(fmt.Sprintf(`sh -c 'echo $$ >new; mv new pid; exec kavach run -it --best-effort limits %s -- sh %s'; echo $? >new; mv new code`, test.flags, script))
			pid, err := strconv.Atoi(p.file("pid"))
			if err != nil {
				t.Fatal(err)
			}
			guardian := 0
			if test.send != 0 {
				p.sees("\nready")
				if guardian = guardianOf(pid); guardian == 0 {
					t.Error("there is no guardian")
				}
				if err := syscall.Kill(pid, test.send); err != nil {
					t.Fatal(err)
				}
			}
			if code := p.file("code"); code != strconv.Itoa(test.want) {
				t.Errorf("exit code %s, want %d: %s", code, test.want, p.screen())
			}
			if test.send == syscall.SIGKILL || test.send == syscall.SIGABRT {
				p.until("the end of the guardian", func() bool { return gone(guardian) })
			} else if guardian != 0 && !gone(guardian) {
				t.Error("the guardian is left")
			}
			if after := p.settings(); after != before {
				t.Errorf("the terminal is %s, and was %s", after, before)
			}
		})
	}
}

// guardianOf finds the guardian that a kavach has started.
func guardianOf(pid int) int {
	names, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, name := range names {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		args, err := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(pid) && strings.TrimRight(string(args), "\x00") == guardianName {
			guardian, _ := strconv.Atoi(filepath.Base(filepath.Dir(name))) // the pattern is of numbers
			return guardian
		}
	}
	return 0
}

// gone reports whether a process has ended; a machine's init may be slow to bury
// it.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// Whoever stops kavach gets the terminal as it was, and a session that goes on
// has it raw again; in the background it waits to be brought to the front.
func TestConsoleIsStopped(t *testing.T) {
	t.Parallel()
	p := newPane(t)
	p.runs("set -m")
	before := p.settings()
	p.runs(`sh -c 'echo $$ >new; mv new pid; exec kavach run -it --best-effort limits -- bash --norc --noprofile'`)
	pid, err := strconv.Atoi(p.file("pid"))
	if err != nil {
		t.Fatal(err)
	}
	p.sees("bash-")
	p.runs("PS1='inside> '; clear")
	p.sees("inside>")
	if err := syscall.Kill(pid, syscall.SIGTSTP); err != nil {
		t.Fatal(err)
	}
	p.sees("Stopped")
	if stopped := p.settings(); stopped != before {
		t.Errorf("stopped, the terminal is %s, and was %s", stopped, before)
	}
	if out, err := p.tmux("resize-window", "-x", "90", "-y", "30").CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	p.runs("clear; fg")
	p.runs(`until [ "$(stty size)" = "30 90" ]; do sleep .1; done`)
	p.says("$(stty size)", "30 90")
	p.runs("exit 8")
	p.sees("host>")
	p.says("$?", "8")

	p.runs("clear; kavach run -it --best-effort limits -- sh -c 'echo in''side; exit 9' &")
	p.until("the end of waiting", func() bool {
		p.runs("jobs")
		return strings.Contains(p.screen(), "Stopped (tty output)")
	})
	p.runs("clear; fg")
	p.sees("\ninside")
	p.sees("host>")
	p.says("$?", "9")
	if after := p.settings(); after != before {
		t.Errorf("the terminal is %s, and was %s", after, before)
	}
}

// When the terminal goes away, so does everything.
func TestConsoleIsHungUp(t *testing.T) {
	t.Parallel()
	p := newPane(t)
	p.runs(`sh -c 'echo $$ >new; mv new pid; exec kavach run -it --best-effort limits -- sh -c "trap : INT; stty raw; echo ready; sleep 1000"'`)
	pid, err := strconv.Atoi(p.file("pid"))
	if err != nil {
		t.Fatal(err)
	}
	p.sees("\nready")
	guardian, sandbox := guardianOf(pid), sandboxOf(t, pid)
	if guardian == 0 || sandbox == nil {
		t.Fatalf("guardian %d, sandbox %v", guardian, sandbox)
	}
	if out, err := p.tmux("kill-server").CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	for _, left := range []int{pid, guardian, sandbox.Guest} {
		if !testclock.Until(hang, func() bool { return gone(left) }) {
			t.Fatalf("process %d is left, of kavach %d, guardian %d, guest %d", left, pid, guardian, sandbox.Guest)
		}
	}
	if left := sandboxOf(t, pid); left != nil {
		t.Errorf("on record still: %+v", left)
	}
}

// With -t alone the command is seen, and ^C is a signal to kavach.
func TestConsoleWithoutInput(t *testing.T) {
	t.Parallel()
	p := newPane(t)
	before := p.settings()
	p.runs("clear; kavach run -t --best-effort limits -- sh -c 'tty; stty size; echo ready; exec sleep 1000'")
	p.sees("\n/dev/pts/0\n24 80\nready\n")
	p.types("\x03")
	p.sees("host>")
	p.says("$?", "130")
	if after := p.settings(); after != before {
		t.Errorf("the terminal is %s, and was %s", after, before)
	}
}
