//go:build !linux

package main

import (
	"errors"
	"fmt"

	"github.com/kavach-dev/kavach/policy"
)

// secretGuard refuses secrets, where nothing keeps them from what is started.
type secretGuard struct{}

func (*secretGuard) guard(list []policy.Credential) error {
	if len(list) == 0 {
		return nil
	}
	return fmt.Errorf("secrets on this system: %w", errors.ErrUnsupported)
}
