//go:build linux

package backendtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/policy"
	changes "github.com/kavach-dev/kavach/workspace"
)

// takeoutRows are about what is copied out of a sandbox: CONTAINMENT 64. What holds
// is no layer of a backend but the export itself, so what stands in for a twin is
// that a plain file beside it is exported in the same call, and, where there is a
// naive way to do it, that this is taken in on the host.
var takeoutRows = []Row{
	{
		Number: 64, Name: "export a link",
		Why:    "what a link leads to is not what was named; on the host it would lead elsewhere",
		Layers: noLayers, Contrast: naive(func(e *Env, at string) error { return os.Symlink(e.Secret, at) }),
		Attempt: func(e *Env) (bool, string) {
			e.inTmp("echo target > target; ln -s target link; ln -s " + e.Secret + " out; ln -s /etc/hostname etc")
			return e.takes("link", "out", "etc")
		},
	},
	{
		Number: 64, Name: "export a directory with links in it",
		Why:    "links below what was named lead out as well",
		Layers: noLayers, Contrast: naive(func(e *Env, at string) error { return os.Symlink(filepath.Dir(e.Secret), at) }),
		Attempt: func(e *Env) (bool, string) {
			e.inTmp("mkdir -p d/e target; echo target > target/file; ln -s ../target d/dir; ln -s /etc/hostname d/e/file; ln -s / d/root")
			return e.takes("d")
		},
	},
	{
		Number: 64, Name: "export a fifo, a socket and a device",
		Why:    "a fifo is waited for for ever, and a device has no end",
		Layers: noLayers, Contrast: naive(func(_ *Env, at string) error { return unix.Mkfifo(at, 0o600) }),
		Attempt: func(e *Env) (bool, string) {
			e.inTmp("mkdir d; mkfifo fifo d/fifo")
			return e.takes("fifo", "d", "/dev/zero", "/dev/null", "/dev/tty", "/dev/ptmx", "/dev/stdin")
		},
	},
	{
		Number: 64, Name: "export a file of the kernel's",
		Why:    "it says that it is regular and empty, and is what the exporting process is, or never ends",
		Layers: noLayers, Contrast: func(*Env) (bool, string) {
			b, err := os.ReadFile("/proc/self/environ")
			return err == nil && len(b) > 0, fmt.Sprintf("a naive copy has %d bytes, %v", len(b), err)
		},
		Attempt: func(e *Env) (bool, string) {
			return e.takes("/proc/self/environ", "/proc/self/mem", "/proc/1/environ", "/proc/self/maps", "/proc/self/exe",
				"/proc/self/fd/3", "/proc/kmsg", "/proc/sys/kernel/hostname", "/proc/self/root/proc/self/status")
		},
	},
	{
		Number: 64, Name: "export a file of the host by its path",
		Why:    "paths are those of the sandbox, whatever they look like",
		Layers: noLayers, Contrast: func(e *Env) (bool, string) {
			b, err := os.ReadFile(filepath.Join(e.Dir, "..", "secret"))
			return string(b) == e.SecretText, fmt.Sprint(err)
		},
		Attempt: func(e *Env) (bool, string) {
			return e.takes(e.Secret, filepath.Join(e.Dir, "..", "secret"), e.Dir+"/../secret", "/proc/1/root"+e.Secret,
				"/proc/self/root"+e.Secret, "/proc/self/cwd/../../../../.."+e.Secret, "../../../../../.."+e.Secret, "/", "..", "")
		},
	},
	{
		Number: 64, Name: "export a file that a command may not read",
		Why:     "it is read with the rights of a command, and no more",
		Layers:  []policy.Control{policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) { return e.takes(guest.CanaryPath) },
	},
	{
		Number: 64, Name: "export a hard link",
		Why:    "it is a file like any other: a copy of what is inside, and not the file itself",
		Layers: noLayers, NoTwin: "the attempt itself makes sure that it is copied",
		Attempt: func(e *Env) (bool, string) {
			e.inTmp("echo plain > a; ln a b; chmod 4755 b")
			out := e.export("b")[0]
			info, err := os.Lstat(out.Dest)
			if out.State != kavach.Exported || err != nil {
				e.Fatalf("a hard link was not exported: %+v %v", out, err)
			}
			special := info.Mode()&(os.ModeSetuid|os.ModeSetgid|os.ModeSticky) != 0
			return special || !info.Mode().IsRegular(), fmt.Sprint(info.Mode())
		},
	},
	{
		Number: 64, Name: "export a file that grows",
		Why:    "half of a file is not the file, and one without end fills the disk",
		Layers: noLayers, NoTwin: "a plain file beside it is exported in the same call",
		Attempt: func(e *Env) (bool, string) {
			e.startIn(e.Sandbox, "growing", "grow", "/tmp/grows")
			for range 10 {
				if through, seen := e.takes("grows"); !through {
					return false, seen
				}
			}
			return true, "in none of 10 attempts it was seen"
		},
	},
	{
		Number: 64, Name: "swap a file for a link while it is exported",
		Why:    "what is looked at is what is open, and no link is followed to open it (CVE-2019-18466)",
		Layers: noLayers, NoTwin: "the attempt makes sure that the file was exported, too, between the swaps",
		Attempt: func(e *Env) (bool, string) {
			e.inTmp("mkdir d; echo plain > d/x; echo linked > target; ln -s ../target d/y")
			e.startIn(e.Sandbox, "swapping", "swap", "/tmp/d/x", "/tmp/d/y")
			return e.takesLinked("d/x", "d")
		},
	},
	{
		Number: 64, Name: "swap a directory for a link while it is exported",
		Why:    "directories are entered by descriptor (CVE-2018-15664)",
		Layers: noLayers, NoTwin: "the attempt makes sure that the file was exported, too, between the swaps",
		Attempt: func(e *Env) (bool, string) {
			e.inTmp("mkdir -p d/x target; echo plain > d/x/file; echo linked > target/file; ln -s ../target d/y")
			e.startIn(e.Sandbox, "swapping", "swap", "/tmp/d/x", "/tmp/d/y")
			return e.takesLinked("d")
		},
	},
}

// naive is what a copy by name does on the host with what is made there: it takes
// it, or would wait for it.
func naive(plant func(e *Env, at string) error) func(e *Env) (bool, string) {
	return func(e *Env) (bool, string) {
		at := filepath.Join(filepath.Dir(e.Secret), "planted")
		if err := plant(e, at); err != nil {
			e.Fatal(err)
		}
		f, err := os.OpenFile(at, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return false, err.Error()
		}
		return f.Close() == nil, "a naive copy opens it"
	}
}

// inTmp runs a script in /tmp, inside, which must succeed.
func (e *Env) inTmp(script string) {
	e.Helper()
	if res := e.Exec("sh", "-ec", "cd /tmp; "+script); res.ExitCode != 0 {
		e.Fatalf("%s: exit %d: %s", script, res.ExitCode, res.Stderr)
	}
}

// export exports paths, relative to /tmp, each to a place of its own, with a plain
// file beside them, which must get through.
func (e *Env) export(paths ...string) []kavach.ExportOutcome {
	e.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(e.Secret), "export")
	if err != nil {
		e.Fatal(err)
	}
	e.inTmp("echo plain > plain")
	exports := []kavach.Export{{Path: "/tmp/plain", Dest: filepath.Join(dir, "plain")}}
	for i, p := range paths {
		if !filepath.IsAbs(p) && p != "" && !strings.HasPrefix(p, "..") {
			p = "/tmp/" + p
		}
		exports = append(exports, kavach.Export{Path: p, Dest: filepath.Join(dir, fmt.Sprint(i))})
	}
	out, err := e.Sandbox.Export(e.Context(), exports)
	if err != nil {
		e.Fatalf("export: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "plain")); err != nil || string(b) != "plain\n" || out[0].State != kavach.Exported {
		e.Fatalf("a plain file did not get through: %q %v %+v", b, err, out[0])
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".kavach-*")); len(left) > 0 {
		e.Errorf("something was left behind: %v", left)
	}
	return out[1:]
}

// takes exports paths, and reports whether anything but directories got through.
func (e *Env) takes(paths ...string) (bool, string) {
	e.Helper()
	var seen []string
	for _, o := range e.export(paths...) {
		if o.State == kavach.Exported && o.Type == changes.File {
			return true, fmt.Sprintf("%s was exported: %d bytes", o.Path, o.Size)
		}
		seen = append(seen, o.Path+": "+o.Reason)
	}
	return false, strings.Join(seen, "; ")
}

// takesLinked exports paths again and again, and reports whether what a link leads
// to got through. Both have to be met: the file, and something in its place.
func (e *Env) takesLinked(paths ...string) (bool, string) {
	e.Helper()
	const rounds = 100
	plain, refused := 0, 0
	for range rounds {
		for _, o := range e.export(paths...) {
			switch {
			case o.State == kavach.ExportRefused:
				refused++
			case o.Type == changes.File:
				b, err := os.ReadFile(o.Dest)
				if err != nil || string(b) != "plain\n" {
					return true, fmt.Sprintf("%s is %q, %v", o.Path, b, err)
				}
				plain++
			}
		}
		if plain > 3 && refused > 3 {
			break
		}
	}
	if plain == 0 || refused == 0 {
		e.Fatalf("%d files, and %d refusals: the race was not met", plain, refused)
	}
	return false, fmt.Sprintf("%d files, %d refusals", plain, refused)
}
