// Command vmtest runs tests of this module on another kernel, in QEMU.
//
// It packs test binaries, busybox and an init of its own into an initrd, boots
// it, and reads from the console what came of each run. Nothing is needed of the
// machine but QEMU: the guest's processor is emulated.
//
// What this package does not protect: it is for tests.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	kernel := flag.String("kernel", "", "the unpacked package of a kernel: `DIR`/boot/vmlinuz-*, DIR/lib/modules")
	log := flag.String("log", "console.log", "`file` for all that the console shows")
	only := flag.String("only", "", "only the runs whose name holds this `text`")
	verbose := flag.Bool("v", false, "show all that the console shows")
	limit := flag.Duration("timeout", 15*time.Minute, "how long the guest may take")
	flag.Parse()
	runtime.LockOSThread() // what it starts ends with it
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	if err := test(ctx, *kernel, *log, *only, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "test-vm:", err)
		os.Exit(1)
	}
}

func test(ctx context.Context, kernel, log, only string, verbose bool) (err error) {
	work, err := os.MkdirTemp("", "kavach-vmtest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	p := plan{Modules: modules}
	for _, r := range table {
		if strings.Contains(r.Name, only) {
			p.Runs = append(p.Runs, r)
		}
	}
	image, err := glob(filepath.Join(kernel, "boot", "vmlinuz-*"))
	if err != nil {
		return err
	}
	if err := pack(ctx, work, kernel, p); err != nil {
		return err
	}
	disk := filepath.Join(work, "disk")
	if err := makeDisk(ctx, disk); err != nil {
		return err
	}
	console, err := os.Create(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, console.Close()) }()
	return boot(ctx, guest{kernel: image, initrd: filepath.Join(work, "initrd"), disk: disk, log: console, verbose: verbose})
}

// pack builds what the guest runs, and writes the initrd.
func pack(ctx context.Context, work, kernel string, p plan) (err error) {
	f, err := os.Create(filepath.Join(work, "initrd"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffered := bufio.NewWriter(f)
	a := newArchive(buffered)
	for name, pkg := range map[string]string{
		"init": "./internal/vmtest/init", "usr/bin/kavach": "./cmd/kavach", "usr/bin/attack": "./backend/backendtest/attack",
	} {
		a.program(ctx, name, work, "build", pkg)
	}
	var packages []string
	for _, r := range p.Runs {
		if !slices.Contains(packages, r.Package) {
			packages = append(packages, r.Package)
			at := "tests/" + r.Package
			a.program(ctx, at+"/pkg.test", work, "test", "-c", "./"+r.Package)
			a.tree(at+"/testdata", filepath.Join(r.Package, "testdata"))
		}
	}
	for i, module := range p.Modules {
		from, err := glob(filepath.Join(kernel, "lib", "modules", "*", "kernel", module))
		if err != nil {
			return err
		}
		p.Modules[i] = "/modules/" + filepath.Base(module)
		a.copy(strings.TrimPrefix(p.Modules[i], "/"), from)
	}
	content, err := json.Marshal(p)
	if err != nil {
		return err
	}
	a.file("plan.json", 0o644, content)
	a.system()
	return errors.Join(a.close(), buffered.Flush())
}

// program adds what the go command builds.
func (a *archive) program(ctx context.Context, name, work string, args ...string) {
	out := filepath.Join(work, "program")
	args = slices.Insert(slices.Clone(args), len(args)-1, "-o", out, "-ldflags=-s -w")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		a.fail(fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, said))
		return
	}
	a.copy(name, out)
}

// system adds the little that programs expect of a system.
func (a *archive) system() {
	a.copy("bin/busybox", "/bin/busybox")
	a.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"))
	a.file("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	a.file("etc/hosts", 0o644, []byte("127.0.0.1 localhost\n"))
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "mnt", "root", "usr/sbin", "usr/lib", "sbin", "lib", "home"} {
		a.dir(dir)
	}
}

// makeDisk makes the disk that is the guest's /tmp: ext4, as a host's would be.
func makeDisk(ctx context.Context, name string) error {
	const size = 512 << 20
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(name, size); err != nil {
		return err
	}
	said, err := exec.CommandContext(ctx, "mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mke2fs: %w: %s", err, said)
	}
	return nil
}

// told are the lines of a console that people want to see.
var told = regexp.MustCompile(`^(ok|FAIL|PASS|panic:|vmtest:|Kernel panic)|^ *--- (FAIL|SKIP)`)

// errBoot says that the guest's init did not come up.
var errBoot = errors.New("the guest did not boot")

// boot runs the guest, and tries again where it does not come up: an emulated
// processor of a machine with much to do can miss an interrupt that a booting
// kernel waits for.
func boot(ctx context.Context, g guest) error {
	const tries = 3
	var err error
	for range tries {
		if err = g.boot(ctx); !errors.Is(err, errBoot) {
			break
		}
		fmt.Println("vmtest:", err)
	}
	return err
}

// guest is a virtual machine, and where its console goes.
type guest struct {
	kernel, initrd, disk string
	log                  io.Writer
	verbose              bool
}

// clock is the rate of this machine's time stamp counter in kHz, which is the
// guest's, too. A guest that has to measure it, on a machine with much to do,
// gives up on it, and stands still.
func clock() string {
	const usual = "2500000"
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return usual
	}
	found := regexp.MustCompile(`(?m)^cpu MHz\s*: (\d+)\.(\d{3})`).FindSubmatch(text)
	if found == nil {
		return usual
	}
	return string(found[1]) + string(found[2])
}

// bootPatience is how long it may take until init is up: seconds, on a machine
// that does nothing else.
const bootPatience = 90 * time.Second

// boot runs the guest once, and looks for the lines by which init begins and
// ends.
func (g guest) boot(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(bootPatience, func() { cancel(errBoot) })
	defer late.Stop()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-M", "microvm", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "2G", "-smp", "2",
		"-kernel", g.kernel, "-initrd", g.initrd, "-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio",
		"-drive", "id=disk,if=none,format=raw,cache=unsafe,file="+g.disk, "-device", "virtio-blk-device,drive=disk",
		"-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on tsc_early_khz="+clock())
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // of the thread that starts it
	var all bytes.Buffer
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = io.MultiWriter(g.log, &all)
	if err := cmd.Start(); err != nil {
		return err
	}
	result := ""
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		fmt.Fprintln(io.MultiWriter(g.log, &all), line)
		if g.verbose || told.MatchString(line) {
			fmt.Println(line)
		}
		if line == "vmtest: up" {
			late.Stop()
		}
		if end, ok := strings.CutPrefix(line, "vmtest: end: "); ok {
			result = end
		}
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil && result == "passed" {
		return nil
	}
	if !g.verbose {
		os.Stdout.Write(all.Bytes())
	}
	if err == nil {
		err = fmt.Errorf("the guest's tests ended with %q", result)
	}
	return err
}

func glob(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s: %d files, want one", pattern, len(found))
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}
