package seccomp

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// need skips a test whose program is not there.
func need(t *testing.T, program string) {
	t.Helper()
	if !has(program) {
		t.Skipf("%s is not there", program)
	}
}

func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// cc compiles a static program.
func cc(t *testing.T, source string, flags ...string) string {
	t.Helper()
	need(t, "gcc")
	file := filepath.Join(t.TempDir(), "a.c")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	program := strings.TrimSuffix(file, ".c")
	args := append([]string{"-static", "-o", program, file}, flags...)
	if out, err := exec.CommandContext(t.Context(), "gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return program
}

// Row 44. Call 20 of i386 is getpid; of amd64, writev.
const int80 = `int main(void) {
	int r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return r > 0 ? 0 : 3;
}`

func TestI386CodeIsKilled(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("int 0x80 is of amd64")
	}
	program := cc(t, int80)
	if out, err := again(t, "none", program).CombinedOutput(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Sys().(interface{ Signal() os.Signal }).Signal() == unix.SIGSEGV {
			t.Skip("the kernel has no i386 calls (CONFIG_IA32_EMULATION)")
		}
		t.Fatalf("without a filter: %v\n%s", err, out)
	}
	for _, profile := range []string{"default", "strict"} {
		err := again(t, profile, program).Run()
		if err == nil || !strings.Contains(err.Error(), "bad system call") {
			t.Errorf("%s: %v, want death by SIGSYS", profile, err)
		}
	}
}

// unshare(CLONE_NEWUSER) works in a process without threads only, and so not
// from the test binary.
const userns = `#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
int main(void) { return unshare(CLONE_NEWUSER) == 0 ? 0 : errno; }`

func TestUserNamespaceIsRefused(t *testing.T) {
	program := cc(t, userns)
	for filter, want := range map[string]int{"none": 0, "default": int(unix.EPERM), "strict": int(unix.EPERM)} {
		cmd := again(t, filter, program)
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != want {
			t.Errorf("%s: %v, want exit %d", filter, err, want)
		}
	}
}

// Threads (glibc falls back from clone3), a child, signals, shared memory.
const staticC = `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
static void *run(void *p) { return p; }
int main(void) {
	pthread_t t;
	int status;
	if (pthread_create(&t, 0, run, 0) || pthread_join(t, 0)) return 2;
	if (memfd_create("m", 0) < 0) return 3;
	if (fork() == 0) _exit(0);
	if (wait(&status) < 0 || status) return 4;
	if (system("exit 7") >> 8 != 7) return 5;
	puts("static works");
	return 0;
}`

const goProgram = `package main

import (
	"fmt"
	"io"
	"net"
	"os/exec"
)

// A proxy, whose io.Copy splices.
func main() {
	back, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	front, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		c, err := back.Accept()
		check(err)
		c.Write(make([]byte, 1<<20))
		c.Close()
	}()
	go func() {
		c, err := front.Accept()
		check(err)
		b, err := net.Dial("tcp", back.Addr().String())
		check(err)
		_, err = io.Copy(c, b)
		check(err)
		c.Close()
	}()
	c, err := net.Dial("tcp", front.Addr().String())
	check(err)
	n, err := io.Copy(io.Discard, c)
	check(err)
	check(exec.Command("true").Run())
	fmt.Println("copied", n)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
`

const python = `
import asyncio, multiprocessing, os, socket, sqlite3, ssl, subprocess, tempfile, threading
from multiprocessing import shared_memory
assert subprocess.check_output(["echo", "a"]) == b"a\n"
t = threading.Thread(target=lambda: None); t.start(); t.join()
with multiprocessing.get_context("fork").Pool(2) as p: assert p.map(abs, [-1, -2]) == [1, 2]
m = shared_memory.SharedMemory(create=True, size=10); m.close(); m.unlink()
a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"
s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname())
assert socket.getaddrinfo("localhost", 80)
async def main():
    p = await asyncio.create_subprocess_exec("true"); assert await p.wait() == 0
asyncio.run(main())
with tempfile.NamedTemporaryFile() as f:
    d = sqlite3.connect(f.name); d.execute("create table t(a)"); d.commit()
os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0)); os.sched_setaffinity(0, os.sched_getaffinity(0))
print("python works")
`

const node = `
const fs = require('fs'), os = require('os'), cp = require('child_process'), http = require('http'), { Worker } = require('worker_threads');
cp.execSync('true'); fs.cpSync(process.argv[1] || '/etc/hostname', os.tmpdir() + '/copy'); fs.watch(os.tmpdir()).close();
os.cpus(); require('crypto').randomBytes(8); require('zlib').gzipSync('a');
new Worker('1', { eval: true }).on('exit', () => {
  const s = http.createServer((q, r) => r.end('ok')).listen(0, 'localhost', () =>
    http.get({ port: s.address().port, host: 'localhost' }, r => r.on('data', d => { console.log('node', '' + d); s.close(); process.exit(0) })));
});
`

// What is here needs no place of its own to run in; package backend/process runs
// more, in sandboxes.
func TestPrograms(t *testing.T) {
	for _, row := range []struct {
		name    string
		needs   string
		script  string // for sh, in a directory of its own
		want    string // in the output
		without string // a filter it is not meant for
	}{
		{"sh", "sh", `trap : TERM; kill -TERM $$; (ulimit -n 100); echo a | while read x; do echo "sh $x"; done & wait`, "sh a", ""},
		{"bash", "bash", `bash -c 'cat <(echo bash works); coproc cat; kill $COPROC_PID'`, "bash works", ""},
		{"coreutils", "tar", `echo b >x; echo a >>x; sort x >y; cp -a y z; mv z w; ln -s w l; mkfifo p; mkdir d; install -m 755 w d/i; chmod 600 w
			ls -la . >/dev/null; tar czf t.tgz w l p d; mkdir o; tar xzf t.tgz -C o; timeout 5 nice -n 1 cat o/w; df . >/dev/null; sync; split -n 2 x; shred -u w; truncate -s 1M s; dd if=s of=u bs=4k 2>/dev/null; stat u >/dev/null; tail -n 1 x; head -n1 x; find . -name x; sha256sum x; date; id; nproc; du -s .; touch k; rm -r o; seq 3 | xargs -P2 -n1 echo; echo done`, "done", ""},
		{"python", "/usr/bin/python3", `/usr/bin/python3 -c "$PYTHON"`, "python works", ""},
		{"node", "node", `node -e "$NODE"`, "node ok", ""},
		{"node lists interfaces", "node", `node -e "console.log(Object.keys(os.networkInterfaces()).length >= 0)"`, "true", "strict"},
		{"go", "go", `go version; go env GOOS`, "linux", ""},
		{"go build and run", "go", `printf 'module m\n\ngo 1.26\n' >go.mod; echo "$GO" >main.go; go build -o m . && ./m`, "copied 1048576", ""},
		{"static C", "gcc", `"$STATIC"`, "static works", ""},
		{"gcc and make", "make", `printf '#include <stdio.h>\nint main(void){puts("compiled");}\n' >a.c; printf 'a: a.c\n\tgcc -O2 -pipe -o a a.c\n' >Makefile; make -j2 >/dev/null; ./a`, "compiled", ""},
		{"git", "git", `git init -q .; echo a >a; git add a; git -c user.name=a -c user.email=a@b commit -qm first; git clone -q . c; git -C c log --format=%s; git gc -q; git status --short; git stash list; git diff HEAD`, "first", ""},
		{"pip", "/usr/bin/python3", `/usr/bin/python3 -m venv --without-pip v && v/bin/python -c 'print("venv works")'; /usr/bin/python3 -m pip --version || true`, "venv works", ""},
	} {
		for _, filter := range []string{"none", "default", "strict"} {
			t.Run(row.name+"/"+filter, func(t *testing.T) {
				t.Parallel()
				need(t, row.needs)
				out, err := runScript(t, filter, row.script)
				works := err == nil && strings.Contains(out, row.want)
				if works == (filter == row.without) {
					t.Errorf("works: %v, %v\n%s", works, err, out)
				}
			})
		}
	}
}

// runScript runs a script in an empty directory. Caches of the user are reused
// where making them anew would take long.
func runScript(t *testing.T, filter, script string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	cmd := again(t, filter, "sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir(), "PYTHON="+python, "NODE="+node, "GO="+goProgram,
		"GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "GIT_CONFIG_GLOBAL=/dev/null", "npm_config_update_notifier=false")
	if strings.Contains(script, "$STATIC") {
		cmd.Env = append(cmd.Env, "STATIC="+cc(t, staticC, "-D_GNU_SOURCE", "-pthread"))
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
