//go:build linux

package process

import (
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/backendtest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

func TestMain(m *testing.M) { testbin.Main(m) }

func TestConformance(t *testing.T) {
	program := testbin.Kavach(t)
	backendtest.Run(t, backendtest.Target{
		New: func(without ...policy.Control) backend.Backend {
			return &Backend{Guest: program, without: without}
		},
		Layers: policy.Controls(),
	})
}

func TestCredentials(t *testing.T) {
	backendtest.Credentials(t, &Backend{Guest: testbin.Kavach(t)}, nil)
}
