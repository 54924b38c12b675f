package image

import (
	"context"
	"errors"

	"github.com/kavach-dev/kavach/backend"
)

// Open makes sure that the image that ref names is in the store, and keeps its
// layers there until Release of the result is called. An image that is in the
// store is not looked for anywhere else.
func (s *Store) Open(ctx context.Context, ref string) (*backend.Image, error) {
	return nil, errors.ErrUnsupported
}

// Pull gets the image that ref names, also where the store has one of that name.
func (s *Store) Pull(ctx context.Context, ref string) (Entry, error) {
	return Entry{}, errors.ErrUnsupported
}

// List is what the store has, by reference.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	return nil, errors.ErrUnsupported
}

// Remove forgets an image, and removes the layers that only it names. An image
// that is not there is an error that matches ErrNotFound.
func (s *Store) Remove(ctx context.Context, ref string) (Freed, error) {
	return Freed{}, errors.ErrUnsupported
}

// Prune removes the layers that no image names and no sandbox runs on.
func (s *Store) Prune(ctx context.Context) (Freed, error) {
	return Freed{}, errors.ErrUnsupported
}
