// Package all is the only list of backends:
//
//	rt := &kavach.Runtime{Backends: all.All()}
//
// What this package does not protect: it holds noop, which isolates nothing and
// runs only where it is named.
package all

import (
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/container"
	"github.com/kavach-dev/kavach/backend/noop"
	"github.com/kavach-dev/kavach/backend/process"
	"github.com/kavach-dev/kavach/backend/wasm"
)

// All returns one of each backend that is built so far.
func All() []backend.Backend { return Using("") }

// Using is All, with this runtime, a path or a name, for the backends whose
// sandboxes a runtime makes. Empty: the first that each of them finds.
func Using(runtime string) []backend.Backend {
	return []backend.Backend{
		noop.Backend{}, &process.Backend{}, &container.Backend{Runtime: runtime},
		&container.Backend{Kind: container.GVisor, Runtime: runtime}, &wasm.Backend{},
	}
}
