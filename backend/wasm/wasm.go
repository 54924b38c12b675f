// Package wasm runs WebAssembly modules of WASI preview 1, and calls functions of
// modules.
//
// A module is run by wazero, in a worker process (cmd/kavach-wasm) that is itself
// jailed as a command of the process backend is, in a root directory that holds
// nothing but the worker and what the policy mounts, and behind one more filter
// which leaves it some fifty system calls. So what escapes from the runtime meets a
// second wall. The score is of that wall, and of the first.
//
// Each command has a worker of its own. Modules are compiled in a jail of their
// own, where no module runs, so that no module can have a say in what another's
// code is; what is compiled is kept, by digest.
//
// What this package does not protect: the kernel below the worker is the host's.
// Timing side channels between a module and what else runs on the machine are
// those of any process.
package wasm

import (
	"sync"

	"github.com/kavach-dev/kavach/internal/owndir"
	"github.com/kavach-dev/kavach/policy"
)

// Name is the name of this backend.
const Name = "wasm"

// Backend makes sandboxes for modules. The zero value is ready for use where kavach
// and kavach-wasm are in PATH, or kavach-wasm is beside this program. It must not be
// copied after its first use.
type Backend struct {
	// Guest is as in process.Backend: the program that is PID 1 of the jails.
	Guest string

	// Worker is the path of kavach-wasm. Empty: beside this program, else in PATH.
	Worker string

	// Cache is the directory in which compiled modules are kept. It must be this
	// user's, and open to nobody else. Empty: what the variable EnvCache names, else
	// /var/cache/kavach/wasm for root, kavach/wasm in $XDG_CACHE_HOME or ~/.cache for
	// others.
	Cache string

	// without leaves layers out, and links makes the worker show directories as
	// wazero does, which follows links out of them; tests set them.
	without []policy.Control
	links   bool

	mu    sync.Mutex // guards what follows
	codes map[digest]*code
}

// EnvCache is the environment variable that names a Backend's Cache.
const EnvCache = owndir.EnvModules

// digest is the SHA-256 of a module.
type digest [32]byte

// Name returns "wasm".
func (*Backend) Name() string { return Name }
