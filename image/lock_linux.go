package image

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The locks of a store. The kernel lets go of each when its holder dies.
//
//   - the directory of the store, flock: shared by who pulls or opens, exclusive
//     for who takes layers away or sweeps what was left behind
//   - pulls, one byte for a reference: one pulls it, others wait, and find it
//   - the directory of a layer, flock: shared by each image that is open, as long
//     as it is

// lockPoll is how often a lock that somebody else has is tried again: a wait in
// the kernel could not be cancelled.
const lockPoll = 20 * time.Millisecond

// waitLock calls try until it succeeds.
func waitLock(ctx context.Context, what string, try func() error) error {
	for {
		err := try()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EACCES):
			return fmt.Errorf("lock %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another kavach that holds %s: %w", what, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

func (d *storeDir) lock(ctx context.Context, how int) error {
	return waitLock(ctx, "the image store "+d.path, func() error { return unix.Flock(d.fd, how|unix.LOCK_NB) })
}

// lockPull waits until nobody else pulls the same reference.
func (d *storeDir) lockPull(ctx context.Context, key string) (unlock func(), err error) {
	fd, err := unix.Openat(d.fd, pullsFile, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", d.join(pullsFile), err)
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	// Two that share a byte wait for each other, and nothing worse.
	area := unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET, Start: int64(h.Sum64() >> 2), Len: 1}
	err = waitLock(ctx, "the pull of the same image", func() error {
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &area)
	})
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return func() { unix.Close(fd) }, nil
}

// newStaging makes a directory for what is not whole yet. The store is locked.
func (d *storeDir) newStaging() (string, error) {
	dir, err := os.MkdirTemp(d.join(stagingDir), "")
	if err != nil {
		return "", fmt.Errorf("make a directory in the image store: %w", err)
	}
	return dir, nil
}

// lockToPull locks the store as pulls do. Before, where nobody else has the store
// in use, it removes what dead processes left behind.
func (d *storeDir) lockToPull(ctx context.Context) error {
	err := unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_ = d.sweepLocked() // what cannot be removed is in nobody's way; Prune says why
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("lock the image store %s: %w", d.path, err)
	}
	return d.lock(ctx, unix.LOCK_SH)
}

func (d *storeDir) sweepLocked() error {
	left, err := os.ReadDir(d.join(stagingDir))
	for _, e := range left {
		err = errors.Join(err, os.RemoveAll(d.join(stagingDir, e.Name())))
	}
	return err
}
