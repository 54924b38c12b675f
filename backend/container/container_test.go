//go:build linux

package container

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
	for name, path := range runtimes(t) {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, backendtest.Target{
				New: func(without ...policy.Control) backend.Backend {
					return &Backend{Guest: program, Runtime: path, without: without}
				},
				Layers: policy.Controls(),
			})
		})
	}
}
