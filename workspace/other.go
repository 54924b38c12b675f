//go:build !linux

package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var errNoOverlay = fmt.Errorf("workspaces need Linux: %w", errors.ErrUnsupported)

// Diff needs Linux.
func (w *Workspace) Diff(context.Context) ([]Change, error) { return nil, errNoOverlay }

// Open needs Linux.
func (w *Workspace) Open(*Change) (io.ReadCloser, error) { return nil, errNoOverlay }

// OpenBase is for Linux.
func (w *Workspace) OpenBase(*Change) (io.ReadCloser, error) { return nil, errNoOverlay }

// Apply needs Linux.
func (w *Workspace) Apply(_ context.Context, changes []Change, _ []string) []Outcome {
	var out []Outcome
	for _, c := range changes {
		out = append(out, Outcome{Change: c, State: Failed, Reason: errNoOverlay.Error()})
	}
	return out
}
