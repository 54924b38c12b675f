//go:build !linux

package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/kavach-dev/kavach/backend"
)

var errNotLinux = fmt.Errorf("images are unpacked on Linux only: %w", errors.ErrUnsupported)

// DefaultDir is where a Store without a Dir is, on Linux.
func DefaultDir() (string, error) { return "", errNotLinux }

// Open finds images on Linux only.
func (s *Store) Open(context.Context, string) (*backend.Image, error) { return nil, errNotLinux }

// Pull gets images on Linux only.
func (s *Store) Pull(context.Context, string) (Entry, error) { return Entry{}, errNotLinux }

// List lists images on Linux only.
func (s *Store) List(context.Context) ([]Entry, error) { return nil, errNotLinux }

// Remove removes images on Linux only.
func (s *Store) Remove(context.Context, string) (Freed, error) { return Freed{}, errNotLinux }

// Prune removes layers on Linux only.
func (s *Store) Prune(context.Context) (Freed, error) { return Freed{}, errNotLinux }
