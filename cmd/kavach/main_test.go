package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kavach-dev/kavach/internal/imagetest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
)

func TestMain(m *testing.M) { testbin.Main(m) }

// kavachPath is where the program is, under its own name.
func kavachPath(t testing.TB) string {
	t.Helper()
	built := testbin.Kavach(t)
	if filepath.Base(built) == "kavach" {
		return built
	}
	link := filepath.Join(t.TempDir(), "kavach")
	if err := os.Symlink(built, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// source is a file of the repository; tests may run far from it.
func source(t testing.TB, path string) string {
	t.Helper()
	root := os.Getenv("KAVACH_SOURCE")
	if root == "" {
		root = filepath.Join("..", "..")
	}
	abs, err := filepath.Abs(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// TestScripts runs testdata/*.txtar against the real program.
func TestScripts(t *testing.T) {
	bin, home := kavachPath(t), t.TempDir()
	busybox := imagetest.Busybox(t)
	modules := testbin.Modules(t)
	testbin.Wasm(t) // beside kavach
	testscript.RunT(scripts{t, t}, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("KAVACH", bin)
			env.Setenv("HOME", home) // elsewhere: what holds home is not shown
			env.Setenv("IMAGE", busybox)
			env.Setenv("MODULES", modules)
			env.Setenv("KAVACH_WASM_CACHE", filepath.Join(home, "wasm"))
			env.Setenv("KAVACH_QUARANTINE_DIR", filepath.Join(home, "quarantine"))
			env.Setenv("KAVACH_QUARANTINE_KEYS", filepath.Join(home, "quarantine-keys"))
			env.Setenv("KAVACH_IMAGES", filepath.Join(env.WorkDir, ".images"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "linux":
				return runtime.GOOS == "linux", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":   cmdStatus,
			"json":     cmdJSON,
			"jsonkeys": cmdJSONKeys,
			"silent":   cmdSilent,
		},
	})
}

// scripts runs each script by testclock.Try.
type scripts struct {
	testing.TB
	parent *testing.T
}

func (s scripts) Run(name string, script func(testscript.T)) {
	s.parent.Run(name, func(t *testing.T) {
		t.Parallel()
		testclock.Try(t, func(again testing.TB) { script(scripts{again, t}) })
	})
}

func (s scripts) Parallel()     {} // by Run
func (s scripts) Verbose() bool { return testing.Verbose() }

// cmdStatus is "status CODE COMMAND…": exec, but with one exit code.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// cmdSilent is "silent stdout" or "silent stderr": it holds nothing.
func cmdSilent(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		if text := ts.ReadFile(name); text != "" {
			ts.Fatalf("%s is not empty: %q", name, text)
		}
	}
}

// cmdJSON is "json PATH REGEXP": the value at PATH of stdout, which must be one
// JSON value, matches as a whole. "! json PATH REGEXP" is the opposite.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH REGEXP")
	}
	text, err := json.Marshal(jsonAt(ts, args[0]))
	ts.Check(err)
	if s := ""; json.Unmarshal(text, &s) == nil {
		text = []byte(s)
	}
	matched := regexp.MustCompile(`(?s)\A(?:` + args[1] + `)\z`).Match(text)
	if matched == neg {
		ts.Fatalf("%s is %s", args[0], text)
	}
}

// cmdJSONKeys is "jsonkeys PATH KEY…": the object at PATH has these keys and no
// others.
func cmdJSONKeys(ts *testscript.TestScript, neg bool, args []string) {
	object, ok := jsonAt(ts, args[0]).(map[string]any)
	if !ok || neg {
		ts.Fatalf("%s is not an object", args[0])
	}
	var keys []string
	for key := range object {
		keys = append(keys, key)
	}
	want := slices.Clone(args[1:])
	sort.Strings(keys)
	sort.Strings(want)
	if !reflect.DeepEqual(keys, want) {
		ts.Fatalf("%s has the keys %v, want %v", args[0], keys, want)
	}
}

// jsonAt is what stdout, one JSON value, has at a path such as
// .score.controls[0].name or [1].backend; "." is all of it.
func jsonAt(ts *testscript.TestScript, path string) any {
	dec := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile("stdout"))))
	var v any
	ts.Check(dec.Decode(&v))
	if dec.More() {
		ts.Fatalf("stdout is more than one JSON value")
	}
	for _, step := range strings.FieldsFunc(strings.ReplaceAll(path, "[", ".["), func(r rune) bool { return r == '.' }) {
		switch at := v.(type) {
		case map[string]any:
			value, ok := at[step]
			if !ok {
				ts.Fatalf("%s: there is no %s", path, step)
			}
			v = value
		case []any:
			i, err := strconv.Atoi(strings.Trim(step, "[]"))
			if err != nil || i >= len(at) {
				ts.Fatalf("%s: there is no %s", path, step)
			}
			v = at[i]
		default:
			ts.Fatalf("%s: %s is in nothing", path, step)
		}
	}
	return v
}
