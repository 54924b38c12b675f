package kavach_test

import (
	"go/build"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kavach-dev/kavach"

type importRule struct {
	pkg   string
	allow []string // of this module, and of others; the standard library is free
	why   string
}

// importRules say what each package may import. They keep the core lean and the
// layers apart (docs/DESIGN.md, "Imports").
var importRules = []importRule{
	{"policy", nil, "a policy is pure data: anybody can import it"},
	{"policy/policyfile", []string{"policy", "go.yaml.in/yaml/v3"}, "decoding is apart from the data"},
	{"backend", []string{"policy"}, "the contract imports nothing above it"},
	{"docs", nil, "documents, for kavach to print"},
	{"score", []string{"backend", "policy"}, "a pure function of proofs"},
	{"internal/vfork", nil, "plumbing, and a part of the guest"},
	{"internal/wire", []string{"golang.org/x/sys/unix"}, "plumbing, and a part of the guest"},
	{"internal/locked", []string{"golang.org/x/sys/unix"}, "memory, and a part of the guest"},
	{"guest", []string{"internal/locked", "internal/takeout", "internal/vfork", "internal/wire", "golang.org/x/sys/unix"}, "each import is paid at the start of every sandbox"},
	{"guest/self", []string{"guest"}, "it runs before main of every kavach"},
	{"internal/seccomp", []string{"policy", "golang.org/x/sys/unix"}, "compiles filters, and nothing else"},
	{"internal/rawfile", []string{"golang.org/x/sys/unix"}, "plumbing"},
	{"internal/cgroup", []string{"internal/rawfile", "golang.org/x/sys/unix"}, "plumbing"},
	{"internal/agent", []string{"backend", "guest", "golang.org/x/sys/unix"}, "the host's side of any guest, whoever started it"},
	{"internal/evidence", []string{"backend", "policy", "guest", "internal/cgroup", "internal/rawfile", "internal/seccomp", "golang.org/x/sys/unix"}, "what was seen of a probe, whoever started it"},
	{"internal/jail", []string{"backend", "policy", "guest", "internal/agent", "internal/evidence", "internal/seccomp", "internal/cgroup", "internal/layer", "internal/locked", "internal/owndir", "internal/rawfile", "internal/vfork", "golang.org/x/sys/unix"}, "shared by backends, so above none"},
	{"backend/noop", []string{"backend", "policy", "internal/takeout"}, "no backend imports another, or the root package"},
	{"backend/process", []string{"backend", "policy", "guest", "internal/evidence", "internal/jail", "internal/cgroup", "internal/seccomp", "golang.org/x/sys/unix"}, "no backend imports another, or the root package"},
	{"backend/container", []string{"backend", "policy", "guest", "internal/agent", "internal/evidence", "internal/jail", "internal/rawfile", "internal/seccomp", "github.com/opencontainers/runtime-spec/specs-go", "golang.org/x/sys/unix"}, "no backend imports another, or the root package"},
	{"internal/wasmwire", []string{"internal/wire"}, "what is said between a backend and its workers"},
	{"internal/owndir", []string{"golang.org/x/sys/unix"}, "plumbing"},
	{"backend/wasm", []string{"backend", "policy", "guest", "internal/agent", "internal/evidence", "internal/jail", "internal/owndir", "internal/rawfile", "internal/seccomp", "internal/wasmwire", "internal/wire", "golang.org/x/sys/unix"}, "no backend imports another, or the root package; and the compiler is the worker's alone"},
	{"backend/all", []string{"backend", "backend/container", "backend/noop", "backend/process", "backend/wasm"}, "the only list of backends"},
	{"image", []string{"backend", "internal/layer", "internal/owndir", "internal/tarfile", "github.com/klauspost/compress/zstd", "golang.org/x/sys/unix"}, "it is linked into every kavach, and fetches nothing itself"},
	{"internal/layer", []string{"internal/tarfile", "golang.org/x/sys/unix"}, "unpacks archives, and knows of no image"},
	{"internal/tarfile", nil, "reads archives, and nothing else"},
	{"gate/quarantine", []string{"gate", "internal/owndir", "filippo.io/age", "golang.org/x/sys/unix"}, "it keeps what a gate withholds, and knows of no scanner"},
	{"workspace", []string{"golang.org/x/sys/unix"}, "it compares two directories, whoever made them"},
	{"gate", []string{"policy", "gate/rules", "internal/lazydfa", "internal/locked"}, "what looks at output knows nothing of sandboxes"},
	{"gate/rules", nil, "data"},
	{"internal/lazydfa", nil, "expressions, and nothing else"},
	{"internal/takeout", []string{"golang.org/x/sys/unix"}, "a part of the guest, and of what reads from it"},
	{"internal/deliver", []string{"golang.org/x/sys/unix"}, "puts files in their place, wherever they come from"},
	{"credential", []string{"backend", "policy", "internal/locked", "golang.org/x/sys/unix"}, "what gives secrets knows of no sandbox"},
	{".", []string{"backend", "credential", "gate", "internal/deliver", "internal/takeout", "policy", "score", "workspace"}, "the API knows contracts, and no backend"},
}

func TestImports(t *testing.T) {
	for _, rule := range importRules {
		pkg := imports(t, rule.pkg)
		for _, imp := range pkg.Imports {
			if !strings.Contains(strings.Split(imp, "/")[0], ".") {
				continue // the standard library
			}
			if rel, ok := strings.CutPrefix(imp, module+"/"); ok {
				imp = rel
			}
			if !slices.Contains(rule.allow, imp) {
				t.Errorf("package %s imports %s: %s", rule.pkg, imp, rule.why)
			}
		}
	}
}

// TestImportRulesAreComplete fails where a package of the product has no rule.
func TestImportRulesAreComplete(t *testing.T) {
	free := []string{"cmd/", "gate/gatetest", "bench", "examples", "backend/backendtest", "internal/testbin", "internal/testclock", "internal/canary", "internal/vmtest", "internal/imagetest", "internal/wasmtest", "internal/seccomp/gen", "tools"}
	err := filepath.WalkDir(source(t), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(source(t), name)
		if strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata" {
			return filepath.SkipDir
		}
		files, _ := filepath.Glob(filepath.Join(name, "*.go"))
		has := slices.ContainsFunc(importRules, func(r importRule) bool { return r.pkg == rel })
		isFree := slices.ContainsFunc(free, func(p string) bool { return strings.HasPrefix(rel+"/", path.Clean(p)+"/") })
		if len(files) > 0 && !has && !isFree {
			t.Errorf("package %s has no rule in importRules", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func imports(t *testing.T, pkg string) *build.Package {
	t.Helper()
	p, err := build.Default.ImportDir(filepath.Join(source(t), pkg), 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// source is where the source is: here, or where the environment says, for a
// test binary that is run elsewhere.
func source(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("KAVACH_SOURCE"); dir != "" {
		return dir
	}
	return "."
}
