package main

import (
	"encoding/hex"
	"fmt"
	"hash"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// digestError is bytes that are not those that a digest names.
func digestError(what string, want v1.Hash, got string) error {
	return &trouble{
		Kind:    kindDigest,
		Message: fmt.Sprintf("%s is not what its digest names: want %s, got %s", what, want, got),
		Fix:     "try again; if it stays so, do not use this registry, or what is between it and you",
	}
}

// newHash computes digests of the algorithm of want.
func newHash(want v1.Hash) (hash.Hash, error) {
	h, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return nil, &trouble{Kind: kindServer, Message: fmt.Sprintf("cannot check %s: %v", want, err)}
	}
	return h, nil
}

// check holds bytes against a digest.
func check(what string, data []byte, want v1.Hash) error {
	h, err := newHash(want)
	if err != nil {
		return err
	}
	h.Write(data)
	return compare(what, h, want)
}

func compare(what string, h hash.Hash, want v1.Hash) error {
	if got := hex.EncodeToString(h.Sum(nil)); got != want.Hex {
		return digestError(what, want, want.Algorithm+":"+got)
	}
	return nil
}

// blobPath is where a layout has a blob, and where it is until it is whole.
func blobPath(h v1.Hash) (path, draft string) {
	dir := "blobs/" + h.Algorithm + "/"
	return dir + h.Hex, dir + h.Hex + ".part"
}

// save writes a blob that was checked.
func save(root *os.Root, h v1.Hash, data []byte) error {
	path, draft := blobPath(h)
	if err := root.WriteFile(draft, data, 0o644); err != nil {
		return err
	}
	return root.Rename(draft, path)
}
