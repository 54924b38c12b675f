package container

import (
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/backendtest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// TestGVisorConformance has no twins: what keeps code in is the sentry, and there
// is no layer of it to leave out. That the attempts get through where nothing
// holds is shown on the backends whose layers can be.
func TestGVisorConformance(t *testing.T) {
	program, runtime := testbin.Kavach(t), testbin.Runsc(t)
	fixed := make(map[policy.Control]string)
	for _, c := range policy.Controls() {
		fixed[c] = "gVisor's sentry serves the calls, with or without it"
	}
	backendtest.Run(t, backendtest.Target{
		New: func(without ...policy.Control) backend.Backend {
			return &Backend{Kind: GVisor, Guest: program, Runtime: runtime, without: without}
		},
		Layers: policy.Controls(), Fixed: fixed,
	})
}
