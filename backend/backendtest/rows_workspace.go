//go:build linux

package backendtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/policy"
)

// workspaceRows are about what a sandbox leaves on the host: CONTAINMENT 11, 14,
// 15, 17, 52 and 64. What holds is no layer of a backend but what is between an
// overlay and the host; the twins name what is protected, or go past it with
// access "direct".
var workspaceRows = slices.Concat(protectedRows, exportRows, boundRows, setIDRows)

// noLayers are those of a row whose twin differs by its policy alone.
var noLayers = []policy.Control{}

func writable(p *policy.Policy) { p.Filesystem.Mounts[0].Access = policy.AccessWrite }
func direct(p *policy.Policy)   { p.Filesystem.Mounts[0].Access = policy.AccessDirect }

// names lets everything be applied.
func names(paths ...string) func(*policy.Policy) {
	return func(p *policy.Policy) { p.Filesystem.Protected = paths }
}

var protectedRows = []Row{
	{
		Number: 14, Name: "create settings that did not exist",
		Why:    "what is protected need not exist to be (CVE-2026-25725)",
		Layers: noLayers, Policy: writable, Loosen: names(".vscode", ".envrc", ".mcp.json"),
		Attempt: func(e *Env) (bool, string) {
			e.shell("mkdir .vscode; echo x > .vscode/tasks.json; echo x > .envrc; echo x > .mcp.json")
			e.settle()
			return e.leftOn(".vscode/tasks.json", ".envrc", ".mcp.json")
		},
	},
	{
		Number: 15, Name: "write a hook by another name of its directory",
		Why:    "a protected path has no other name, as what is looked at is the end of it all",
		Layers: noLayers, Policy: writable, Loosen: names(".git"),
		Attempt: func(e *Env) (bool, string) {
			e.repository()
			e.shell("mv .git old; echo x > old/hooks/pre-push; mv old .git")
			e.settle()
			return e.leftOn(".git/hooks/pre-push")
		},
	},
	{
		Number: 17, Name: "leave a hook for git on the host",
		Why:    "the caller runs git in the directory sooner or later",
		Layers: noLayers, Policy: writable, Loosen: names(".git/hooks"),
		Attempt: func(e *Env) (bool, string) {
			e.repository()
			return e.executes("for h in post-checkout pre-commit post-index-change; do (echo '#!/bin/sh'; echo "+e.leave()+") > .git/hooks/$h; chmod 755 .git/hooks/$h; done",
				"git", "commit", "-q", "--allow-empty", "-m", "x")
		},
	},
	{
		Number: 17, Name: "leave a program in the settings of git",
		Why:    "core.fsmonitor is run by git status",
		Layers: noLayers, Policy: writable, Loosen: names(".git/config"),
		Attempt: func(e *Env) (bool, string) {
			e.repository()
			return e.executes(fmt.Sprintf(`printf '[core]\n\tfsmonitor = "%s; false"\n' >> .git/config`, e.leave()), "git", "status")
		},
	},
	{
		Number: 17, Name: "leave an index that leads git to a hook",
		Why:    "git checks the paths of an index when it adds them, and not when it writes the files",
		Layers: noLayers, Policy: writable, Loosen: names(".git/index"),
		Attempt: func(e *Env) (bool, string) {
			e.repository()
			e.shell(`h=$(echo x | git hash-object -w --stdin); git update-index --add --cacheinfo 100755,$h,-git/hooks/post-checkout
				python3 -c 'import hashlib; d = open(".git/index", "rb").read()[:-20].replace(b"-git/hooks", b".git/hooks"); open(".git/index", "wb").write(d + hashlib.sha1(d).digest())' `)
			e.settle()
			e.onTheHost("git", "checkout-index", "-a", "-f")
			return e.leftOn(".git/hooks/post-checkout")
		},
	},
	{
		Number: 17, Name: "leave a repository that has another name",
		Why:    "git takes any directory with these names for a repository, and runs what its settings say",
		Layers: noLayers, Policy: writable, Loosen: names("docs"),
		Attempt: func(e *Env) (bool, string) {
			return e.executes(fmt.Sprintf(`git init -q --bare docs; printf '[remote "origin"]\n\turl = .\n\tuploadpack = "%s; false"\n' > docs/config`, e.leave()),
				"git", "-C", "docs", "fetch")
		},
	},
	{
		Number: 17, Name: "leave a way to a repository",
		Why:    "a file .git, or a link in its place, says where the settings are",
		Layers: noLayers, Policy: writable, Loosen: names(".git", "data"),
		Attempt: func(e *Env) (bool, string) {
			return e.executes(fmt.Sprintf(`git init -q data; mv data/.git data/x; echo 'gitdir: data/x' > .git; printf '[core]\n\tfsmonitor = "%s; false"\n' >> data/x/config`, e.leave()),
				"git", "status")
		},
	},
	{
		Number: 17, Name: "leave a start file for the shell",
		Why:    "the workspace may be somebody's home",
		Layers: noLayers, Policy: writable, Loosen: names(".bashrc"),
		Attempt: func(e *Env) (bool, string) {
			return e.executes("echo '"+e.leave()+"' > .bashrc", "bash", "-i", "-c", "true")
		},
	},
}

var exportRows = []Row{
	{
		Number: 64, Name: "leave a link that leads out",
		Why:    "whoever opens it on the host opens another file",
		Layers: noLayers, Policy: writable, Loosen: direct,
		Attempt: func(e *Env) (bool, string) {
			e.shell("ln -s " + e.Secret + " a; ln -s ../" + filepath.Base(e.Secret) + " b; mkdir d; ln -s ../../" + filepath.Base(e.Secret) + " d/c; ln -s . here; ln -s here/../" + filepath.Base(e.Secret) + " f")
			e.settle()
			for _, name := range []string{"a", "b", "d/c", "f"} {
				if b, err := os.ReadFile(filepath.Join(e.Dir, name)); err == nil && string(b) == e.SecretText {
					return true, name + " leads to the secret"
				}
			}
			return false, "no link leads to the secret"
		},
	},
	{
		Number: 64, Name: "leave two names of one file",
		Why:    "hard links become files",
		Layers: noLayers, Policy: writable, Loosen: direct,
		Attempt: func(e *Env) (bool, string) {
			e.shell("echo x > a; ln a b")
			e.settle()
			var st unix.Stat_t
			if err := unix.Stat(filepath.Join(e.Dir, "b"), &st); err != nil {
				e.Fatal(err)
			}
			return st.Nlink > 1, fmt.Sprintf("%d names", st.Nlink)
		},
	},
	{
		Number: 64, Name: "leave a fifo and a socket",
		Why:    "a program of the host that opens one hangs, or talks to whom it does not know",
		Layers: noLayers, Policy: writable, Loosen: direct,
		Attempt: func(e *Env) (bool, string) {
			e.shell(`mkfifo fifo; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'`)
			e.settle()
			return e.leftOn("fifo", "socket")
		},
	},
}

// small is the bound of the rows about filling up.
const small = 4 << 20

func bounded(p *policy.Policy) {
	writable(p)
	p.Filesystem.TmpSize = small
}

var boundRows = []Row{
	{
		Number: 52, Name: "fill the disk by way of the workspace",
		Why:    "what is written counts against filesystem.tmp_size until it is applied",
		Layers: noLayers, Policy: bounded, Loosen: direct,
		Attempt: func(e *Env) (bool, string) {
			res := e.shell("dd if=/dev/zero of=big bs=64k count=128; ls -l big")
			e.settle()
			info, err := os.Stat(filepath.Join(e.Dir, "big"))
			return err == nil && info.Size() > small+small/2, strings.TrimSpace(string(res))
		},
	},
	{
		Number: 52, Name: "use up the inodes by way of the workspace",
		Why:    "so do files without content",
		Layers: noLayers, Policy: bounded, Loosen: direct,
		Attempt: func(e *Env) (bool, string) {
			const files = 4096
			res := e.shell(fmt.Sprintf("mkdir many; cd many; seq %d | xargs touch 2>&1 | tail -1", files))
			e.settle()
			entries, _ := os.ReadDir(filepath.Join(e.Dir, "many")) // none: nothing was applied
			return len(entries) == files, fmt.Sprintf("%d files: %s", len(entries), strings.TrimSpace(string(res)))
		},
	},
	{
		Number: 52, Name: "fill the disk with a file of holes",
		Why:    "a file is as large on the host as it says it is",
		Layers: noLayers, Policy: bounded, Loosen: direct,
		Attempt: func(e *Env) (bool, string) {
			e.shell("truncate -s 1G holes")
			e.settle()
			return e.leftOn("holes")
		},
	},
}

var setIDRows = []Row{
	{
		Number: 11, Name: "leave a setuid program in a directory of the host",
		Why:    "as root it would belong to root: no filter, no direct mount of root's",
		Layers: []policy.Control{policy.SeccompOn}, Policy: direct,
		Attempt: func(e *Env) (bool, string) {
			e.shell("cp attack a; chmod 4755 a; cp attack b; chmod u+s,g+s b; install -m 6755 attack c")
			for _, name := range []string{"a", "b", "c"} {
				info, err := os.Stat(filepath.Join(e.Dir, name))
				if err == nil && info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
					return true, fmt.Sprintf("%s is %v", name, info.Mode())
				}
			}
			return false, "no file has the bit"
		},
	},
	{
		Number: 11, Name: "leave a setuid program by way of the workspace",
		Why:    "nothing is applied with the bit",
		Layers: []policy.Control{policy.SeccompOn}, Policy: writable, Loosen: direct,
		Attempt: func(e *Env) (bool, string) {
			e.shell("cp attack a; chmod 4755 a")
			e.settle()
			info, err := os.Stat(filepath.Join(e.Dir, "a"))
			if err != nil {
				return false, err.Error()
			}
			return info.Mode()&os.ModeSetuid != 0, fmt.Sprint(info.Mode())
		},
	},
}

// shell runs a script in the workspace, inside. What it cannot do it leaves.
func (e *Env) shell(script string) []byte {
	e.Helper()
	res := e.Exec("sh", "-c", "cd "+e.Dir+" || exit 1; "+script)
	return append(res.Stdout, res.Stderr...)
}

// settle applies what was changed, as kavach run does at its end.
func (e *Env) settle() {
	e.Helper()
	if err := e.Sandbox.Halt(e.Context()); err != nil {
		e.Fatal(err)
	}
	changes, err := e.Sandbox.Changes(e.Context())
	if err != nil {
		e.Fatal(err)
	}
	if _, err := e.Sandbox.Apply(e.Context(), changes); err != nil {
		e.Fatal(err)
	}
}

// leftOn reports whether one of the files is in the workspace on the host.
func (e *Env) leftOn(paths ...string) (bool, string) {
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(e.Dir, path)); err == nil {
			return true, path + " is on the host"
		}
	}
	return false, "none is on the host"
}

// canary is made by what is executed on the host.
func (e *Env) canary() string { return filepath.Join(filepath.Dir(e.Secret), "executed") }

// leave is the harmless program that an attempt leaves behind.
func (e *Env) leave() string { return "touch " + e.canary() }

// onTheHost runs a command in the workspace on the host, as the caller would.
func (e *Env) onTheHost(args ...string) []byte {
	cmd := exec.CommandContext(e.Context(), args[0], args[1:]...)
	cmd.Dir = e.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + e.Dir, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@localhost", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@localhost"}
	out, _ := cmd.CombinedOutput() // its failure is the row's answer, not the test's
	return out
}

// repository makes the workspace a repository, before the sandbox changes it.
func (e *Env) repository() {
	e.Helper()
	if out := e.onTheHost("git", "init", "-q"); len(out) > 0 {
		e.Logf("git init: %s", out)
	}
	e.Sandbox = e.Another() // what the host changes after its making is a conflict
}

// executes has a script change the workspace, and reports whether what it left
// is executed by a command on the host.
func (e *Env) executes(script string, args ...string) (bool, string) {
	e.Helper()
	e.shell(script)
	e.settle()
	out := e.onTheHost(args...)
	if _, err := os.Lstat(e.canary()); err == nil {
		return true, "it was executed"
	}
	return false, "nothing was executed: " + strings.TrimSpace(string(out))
}
