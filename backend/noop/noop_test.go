//go:build linux

package noop

import (
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/backendtest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

func TestMain(m *testing.M) { testbin.Main(m) }

func TestConformance(t *testing.T) {
	backendtest.Run(t, backendtest.Target{New: func(...policy.Control) backend.Backend { return Backend{} }})
}

func TestCredentials(t *testing.T) { backendtest.Credentials(t, Backend{}, nil, policy.CredentialFile) }
