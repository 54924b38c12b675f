// Package testbin builds the programs that tests run, once for a test binary,
// or takes those that the environment names, so that tests can run as a user
// who has no Go.
//
// What this package does not protect: it is for tests.
package testbin

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/internal/wasmtest"
)

// Environment variables that name what was built before.
const (
	EnvKavach   = "KAVACH_TEST_BIN"
	EnvAttack   = "KAVACH_TEST_ATTACK"
	EnvRegistry = "KAVACH_TEST_REGISTRY"
	EnvRunsc    = "KAVACH_TEST_RUNSC"
	EnvWasm     = "KAVACH_TEST_WASM"
	EnvLiar     = "KAVACH_TEST_LIAR"
	EnvModules  = "KAVACH_TEST_MODULES" // a directory, of what wasmtest.Build makes
)

const module = "github.com/kavach-dev/kavach"

var (
	mu    sync.Mutex
	dir   string
	built = make(map[string]string)
)

// Kavach returns the path of the kavach program, built without cgo and without
// the race detector, as a guest must be.
func Kavach(t testing.TB) string {
	return program(t, EnvKavach, module+"/cmd/kavach")
}

// Attack returns the path of the program that the conformance rows run inside.
func Attack(t testing.TB) string {
	return program(t, EnvAttack, module+"/backend/backendtest/attack")
}

// Registry returns the path of kavach-registry, which is beside what Kavach
// returns, where both are built here.
func Registry(t testing.TB) string {
	return program(t, EnvRegistry, module+"/cmd/kavach-registry")
}

// Wasm returns the path of kavach-wasm, which is beside what Kavach returns, where
// both are built here.
func Wasm(t testing.TB) string {
	return program(t, EnvWasm, module+"/cmd/kavach-wasm")
}

// Liar returns the path of a worker of backend wasm that lies.
func Liar(t testing.TB) string {
	return program(t, EnvLiar, module+"/internal/wasmtest/liar")
}

// Runsc returns the path of kavach-runsc.
func Runsc(t testing.TB) string {
	return program(t, EnvRunsc, module+"/cmd/kavach-runsc")
}

func program(t testing.TB, env, pkg string) string {
	t.Helper()
	if path := os.Getenv(env); path != "" {
		return path
	}
	mu.Lock()
	defer mu.Unlock()
	if built[pkg] != "" {
		return built[pkg]
	}
	path, err := build(pkg)
	if err != nil {
		t.Fatal(err)
	}
	built[pkg] = path
	return path
}

// Modules returns a directory with the WebAssembly modules that tests run.
func Modules(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(EnvModules); path != "" {
		return path
	}
	mu.Lock()
	defer mu.Unlock()
	const key = "modules"
	if built[key] == "" {
		if err := own(); err != nil {
			t.Fatal(err)
		}
		if err := wasmtest.Build(filepath.Join(dir, key)); err != nil {
			t.Fatal(err)
		}
		built[key] = filepath.Join(dir, key)
	}
	return built[key]
}

// Module returns the bytes of one of them.
func Module(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Modules(t), name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// own makes the directory for what is built.
func own() (err error) {
	if dir != "" {
		return nil
	}
	if dir, err = os.MkdirTemp("", "kavach-testbin-"); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755) // sandboxes run as others
}

func build(pkg string) (_ string, err error) {
	if err := own(); err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if cmd.Dir, err = moduleOf(pkg); err != nil {
		return "", err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// moduleOf is the directory of the package where that is a module of its own, else
// the current directory, "".
func moduleOf(pkg string) (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(root)), strings.TrimPrefix(pkg, module+"/"))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", nil
	}
	return dir, nil
}

// TempDir is t.TempDir, which is in a directory of the test's own, for a sandbox
// that root makes: it is another user.
func TempDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} { // and none above: /tmp is everybody's
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Main runs the tests and removes what was built for them.
func Main(m interface{ Run() int }) {
	refuse()
	heed()
	watch := testclock.Start()
	code := m.Run()
	if dir != "" {
		os.RemoveAll(dir)
	}
	if stood := watch.Stood(); code != 0 && stood > time.Second {
		fmt.Println("the machine stood still for", stood)
	}
	os.Exit(code)
}

// heed sees to it that what tests start does not inherit that a signal is
// ignored, as it is under nohup: a shell cannot trap it then (POSIX, trap). What
// is caught, and dropped here, is the default again after an exec.
func heed() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}
