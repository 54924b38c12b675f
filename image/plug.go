package image

import "context"

// Fetcher gets images from registries. What it wrote is not trusted: the store
// checks size and digest of everything before it is looked at.
type Fetcher interface {
	// Fetch writes the image that req names into req.Dir as an OCI image layout
	// (OCI image-spec, image-layout.md). It returns after everything that it
	// started has ended. An error says what was asked of whom, what came back,
	// and what the user can do.
	Fetch(ctx context.Context, req FetchRequest) error
}

// FetchRequest says what to fetch, and where to.
type FetchRequest struct {
	// Ref names a registry (KindRegistry). Where it has a digest, index.json names
	// exactly that one.
	Ref Reference

	// Platform is which image to take of an index. Manifests, configurations and
	// layers for others need not be written; the index itself must be.
	Platform Platform

	// Dir is an empty directory: oci-layout, index.json with exactly one
	// descriptor, and blobs/ALGORITHM/HEX of everything that it leads to.
	Dir string

	// Have are digests of layers that are in the store, as blobs (the digest of
	// the descriptor) and unpacked (the diff-id). Those need not be written.
	Have map[string]bool

	// MaxBytes bounds what may be written below Dir; the store refuses more, but
	// only when it is there.
	MaxBytes int64

	// Progress is told how many bytes are there of how many (0: not known yet).
	// It is never nil.
	Progress func(done, total int64)
}
