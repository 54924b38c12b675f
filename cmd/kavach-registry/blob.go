package main

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// earned is how many bytes make a connection that broke then worth as many new
// tries as at the beginning: a large layer may take many connections.
const earned = 1 << 20

// blob is a layer on its way.
type blob struct {
	reg   *registry
	root  *os.Root
	desc  v1.Descriptor
	pause time.Duration

	file *os.File
	hash hash.Hash
	got  int64 // bytes of it that are in file, and in hash
}

// fetch writes the blob under its name when all of it is there and is what its
// digest names, and leaves nothing where it is not.
func (b *blob) fetch(ctx context.Context, show *meter) (err error) {
	path, draft := blobPath(b.desc.Digest)
	if b.hash, err = newHash(b.desc.Digest); err != nil {
		return err
	}
	if b.file, err = b.root.OpenFile(draft, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, b.file.Close())
		if err != nil {
			_ = b.root.Remove(draft) // it counts for nothing anyway
		}
	}()
	bar := show.begin(b.desc)
	defer func() { bar.end(err == nil) }()
	if err := b.all(ctx, bar); err != nil {
		return err
	}
	if err := compare("layer "+b.desc.Digest.String(), b.hash, b.desc.Digest); err != nil {
		return err
	}
	return b.root.Rename(draft, path)
}

// all reads until everything is there, and goes on where a connection broke.
func (b *blob) all(ctx context.Context, bar *bar) error {
	pause, left, mark := b.pause, tries, b.got
	for {
		err := b.part(ctx, bar)
		if err == nil || !broken(err) {
			return err
		}
		if b.got-mark >= earned {
			pause, left, mark = b.pause, tries, b.got
		}
		if left--; left == 0 {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause *= growth
	}
}

// part reads what one connection brings.
func (b *blob) part(ctx context.Context, bar *bar) error {
	if b.got == b.desc.Size && b.got > 0 {
		return nil // it broke after the last byte
	}
	resp, err := b.reg.get(ctx, "/blobs/"+b.desc.Digest.String(), "", b.got)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if b.got > 0 && !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", b.got)) {
		if err := b.restart(bar); err != nil {
			return err
		}
		if resp.StatusCode == http.StatusPartialContent {
			return io.ErrUnexpectedEOF // a part that we did not ask for: from the beginning
		}
	}
	if n := resp.ContentLength; n >= 0 && n != b.desc.Size-b.got {
		return b.wrongSize(b.got + n)
	}
	// One more than there should be, to see that there is no more.
	_, err = io.Copy(b, io.TeeReader(io.LimitReader(resp.Body, b.desc.Size-b.got+1), bar))
	switch {
	case err != nil:
		return err
	case b.got > b.desc.Size:
		return b.wrongSize(b.got)
	case b.got < b.desc.Size:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// Write implements io.Writer: into the file, and into the digest.
func (b *blob) Write(p []byte) (int, error) {
	n, err := b.file.Write(p)
	b.hash.Write(p[:n])
	b.got += int64(n)
	return n, err
}

// restart forgets what was read.
func (b *blob) restart(bar *bar) error {
	bar.back(b.got)
	b.got = 0
	b.hash.Reset()
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return b.file.Truncate(0)
}

func (b *blob) wrongSize(got int64) error {
	return digestError("layer "+b.desc.Digest.String(), b.desc.Digest, fmt.Sprintf("%d bytes or more instead of %d", got, b.desc.Size))
}
