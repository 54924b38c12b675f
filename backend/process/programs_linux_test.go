package process

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// program is what people run in a sandbox, as docs/SECURITY.md names it.
type program struct {
	name   string
	needs  string // a path; .ci/programs installs it
	script string // for sh, in /tmp
	want   string // at the end of stdout
}

// programs is the list of shared ground: what each peer's users run first.
var programs = []program{
	{"npm install, from a folder", "/usr/bin/npm", `mkdir -p dep app; echo '{"name":"dep","version":"1.0.0","main":"i.js"}' >dep/package.json
		echo 'module.exports = "npm works"' >dep/i.js; cd app; echo '{"name":"app","version":"1.0.0"}' >package.json
		npm install ../dep --offline --no-audit --no-fund --no-update-notifier >/dev/null; node -e 'console.log(require("dep"))'`, "npm works"},
	{"pip install, from a wheel", "/usr/bin/pip3", `/usr/bin/python3 - <<'END'
import zipfile
with zipfile.ZipFile("dep-1.0-py3-none-any.whl", "w") as z:
    z.writestr("dep.py", "text = 'pip works'")
    z.writestr("dep-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: dep\nVersion: 1.0\n")
    z.writestr("dep-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr("dep-1.0.dist-info/RECORD", "dep.py,,\n")
END
		/usr/bin/python3 -m pip install -q --no-index --no-deps --no-cache-dir --root-user-action=ignore --target t dep-1.0-py3-none-any.whl
		PYTHONPATH=t /usr/bin/python3 -c 'import dep; print(dep.text)'`, "pip works"},
	{"gcc", "/usr/bin/gcc", `printf '#include <stdio.h>\nint main(void){puts("gcc works");}\n' >a.c; gcc -O2 -pipe -o a a.c; ./a`, "gcc works"},
	{"make", "/usr/bin/make", `printf 'all: a b\n\t@cat a b\n%%: %%.in\n\t@cp $< $@\n' >Makefile; printf 'make ' >a.in; echo works >b.in; make -s -j2`, "make works"},
	{"go build", "go", `mkdir m; cd m; printf 'module m\n\ngo 1.21\n' >go.mod; printf 'package main\n\nfunc main() { println("go works") }\n' >main.go
		GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local GOCACHE=/tmp/cache go build -o m .; ./m 2>&1`, "go works"},
	{"javac, java", "/usr/bin/javac", `echo 'class A { public static void main(String[] a) throws Exception { Thread t = new Thread(() -> System.out.print("java ")); t.start(); t.join(); System.out.println("works"); } }' >A.java; javac A.java; java A`, "java works"},
	{"rustc", "/usr/bin/rustc", `echo 'fn main() { std::thread::spawn(|| print!("rust ")).join().unwrap(); println!("works"); }' >a.rs; rustc -O a.rs; ./a`, "rust works"},
	{"git commit, gc", "/usr/bin/git", `git init -q r; cd r; echo a >a; git add a; git -c user.name=a -c user.email=a@b commit -qm works; git gc -q; git clone -q . c; git -C c log --format='git %s'`, "git works"},
	{"tar, xz", "/usr/bin/xz", `echo 'tar works' >a; tar cJf a.tar.xz a; rm a; tar xJf a.tar.xz; cat a`, "tar works"},
	{"perl", "/usr/bin/perl", `perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); if (!fork) { syswrite A, "perl works"; exit } wait; sysread B, $x, 99; print $x'`, "perl works"},
	{"sqlite3", "/usr/bin/sqlite3", `sqlite3 d 'pragma journal_mode=wal; create table t(a); insert into t values("sqlite works");' >/dev/null; sqlite3 d 'select a from t'`, "sqlite works"},
	{"node, with worker_threads", "/usr/bin/node", `node -e 'const { Worker } = require("worker_threads"); new Worker("require(\"worker_threads\").parentPort.postMessage(\"node works\")", { eval: true }).on("message", console.log)'`, "node works"},
	{"python, with processes and threads", "/usr/bin/python3", `/usr/bin/python3 -c 'import asyncio, multiprocessing, subprocess, threading
t = threading.Thread(target=lambda: None); t.start(); t.join()
with multiprocessing.get_context("fork").Pool(2) as p: assert p.map(abs, [-1, -2]) == [1, 2]
q = multiprocessing.Queue(); q.put(1); assert q.get() == 1
async def main(): assert await (await asyncio.create_subprocess_exec("true")).wait() == 0
asyncio.run(main()); print(subprocess.check_output(["echo", "python works"], text=True), end="")'`, "python works"},
	{"bash, pipelines", "/bin/bash", `bash -c 'set -o pipefail; trap : TERM; kill -TERM $$; cat <(seq 3 | sort -r | tail -n1) >/dev/null; coproc cat; echo bash works >&"${COPROC[1]}"; read -r x <&"${COPROC[0]}"; echo "$x"'`, "bash works"},
	{"shared memory of System V", "/usr/bin/python3", `/usr/bin/python3 -c 'import ctypes; c = ctypes.CDLL(None); i = c.shmget(0, 4096, 0o1600); assert i >= 0; c.shmctl(i, 0, None); print("shm works")'`, "shm works"},
	{"addresses not random (setarch -R)", "/usr/bin/setarch", `setarch -R echo setarch works`, "setarch works"},
}

// TestPrograms runs each program under each profile, and holds against it what
// the documentation says.
func TestPrograms(t *testing.T) {
	if testing.Short() {
		t.Log("it takes minutes, and races are elsewhere")
		return
	}
	source := os.Getenv("KAVACH_SOURCE")
	if source == "" {
		source = "../.."
	}
	text, err := os.ReadFile(filepath.Join(source, "docs/SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	docs := string(text)
	docker := dockerFile(t, nil)
	for _, p := range programs {
		row := "| " + p.name + " |"
		for _, s := range []policy.Seccomp{
			{Profile: policy.SeccompDefault}, {Profile: policy.SeccompStrict}, {Profile: policy.Off, Files: []string{docker}},
		} {
			t.Run(p.name+"/"+filepath.Base(s.Profile+strings.Join(s.Files, "")), func(t *testing.T) {
				works := runProgram(t, p, s)
				row += map[bool]string{true: " yes |", false: " no |"}[works]
			})
		}
		if !strings.Contains(docs, row+"\n") {
			t.Errorf("docs/SECURITY.md does not say %q", row)
		}
	}
}

// runProgram reports whether a program works. Where it does not, that must be
// the filter's doing.
func runProgram(t *testing.T, p program, s policy.Seccomp) bool {
	t.Helper()
	pol, err := policy.Preset("basic")
	if err != nil {
		t.Fatal(err)
	}
	pol.Seccomp = s
	pol.Resources.Memory, pol.Filesystem.TmpSize = 4<<30, 1<<30 // compilers
	pol.Process.Workdir = "/tmp"
	if os.Geteuid() != 0 {
		pol.BestEffort = []policy.Control{policy.Limits}
	}
	path, err := exec.LookPath(p.needs)
	if err != nil {
		t.Fatalf("%v; .ci/programs installs it", err)
	}
	if !strings.HasPrefix(path, "/usr/") && !strings.HasPrefix(path, "/bin/") {
		root := filepath.Dir(filepath.Dir(path)) // bin/go, and what it comes with
		pol.Filesystem.Mounts = []policy.Mount{{Source: root}}
	}
	sb, err := runtimeOf(testbin.Kavach(t)).Create(t.Context(), kavach.Config{Policy: pol, Backend: Name})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Destroy(context.Background())
	res, err := sb.Run(t.Context(), kavach.Cmd{
		Args: []string{"/bin/sh", "-euc", p.script},
		Env:  []string{"PATH=" + filepath.Dir(path) + ":/usr/local/bin:/usr/bin:/bin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.ExitCode == 0 && strings.HasSuffix(strings.TrimSpace(string(res.Stdout)), p.want) {
		return true
	}
	if len(res.Denials) == 0 {
		t.Errorf("it fails, and no call was refused: exit %d\n%s\n%s", res.ExitCode, res.Stdout, res.Stderr)
	}
	t.Logf("%+v\n%s", res.Denials, res.Stderr)
	return false
}
