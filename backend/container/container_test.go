//go:build linux

package container

import (
	"os"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/backendtest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

func TestMain(m *testing.M) { testbin.Main(m) }

func TestCredentials(t *testing.T) {
	program := testbin.Kavach(t)
	for name, path := range runtimes(t) {
		t.Run(name, func(t *testing.T) {
			backendtest.Credentials(t, &Backend{Guest: program, Runtime: path}, func(p *policy.Policy) {
				if os.Geteuid() != 0 {
					p.Process.User = "0:0" // the only id that the keeper has; see TestWrongIDs
				}
			})
		})
	}
}

func TestConformance(t *testing.T) {
	program := testbin.Kavach(t)
	for name, path := range runtimes(t) {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, backendtest.Target{
				New: func(without ...policy.Control) backend.Backend {
					return &Backend{Guest: program, Runtime: path, without: without}
				},
				Layers: policy.Controls(),
				Policy: func(p *policy.Policy) {
					if os.Geteuid() != 0 {
						p.Process.User = "0:0" // the only id that the keeper has; see TestWrongIDs
					}
				},
				Fixed: map[policy.Control]string{
					policy.NoNewPrivs: "a guest that has no capability from the start could not confine anything (seccomp(2), landlock(7))",
					policy.NSUser:     "the runtime would be the host's root",
					policy.FDsClean:   "a runtime hands on the descriptors that it is told to, and closes all others",
				},
			})
		})
	}
}
