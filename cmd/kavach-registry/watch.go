package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// enough is how many bytes must come within the patience: a registry that hands
// out a byte at a time is as good as silent.
const enough = 4 << 10

// silenceError is a registry that stopped sending.
type silenceError struct {
	host     string
	patience time.Duration
}

func (e *silenceError) Error() string {
	return fmt.Sprintf("%s sent next to nothing for %s, and was given up on", e.host, e.patience)
}

// watch cancels a request when the other side is silent for too long, however
// long the whole takes.
type watch struct {
	ctx      context.Context //nolint:containedctx // it is the request's
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	patience time.Duration
	left     time.Duration // of the patience
	got      int           // bytes since it began
}

func newWatch(ctx context.Context, host string, patience time.Duration) *watch {
	w := &watch{patience: patience, left: patience}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(patience, func() { w.cancel(&silenceError{host, patience}) })
	return w
}

// end is why a request failed, and the end of it.
func (w *watch) end(err error) error {
	w.timer.Stop()
	if cause := context.Cause(w.ctx); cause != nil {
		err = cause
	}
	w.cancel(nil)
	return err
}

// watched is a body whose silence is watched while somebody waits for it, and
// not while we are busy with what came.
type watched struct {
	inner io.ReadCloser
	watch *watch
}

func (b *watched) Read(p []byte) (int, error) {
	w := b.watch
	w.timer.Reset(w.left)
	begun := time.Now()
	n, err := b.inner.Read(p)
	w.timer.Stop()
	w.left -= time.Since(begun)
	if w.got += n; w.got >= enough {
		w.got, w.left = 0, w.patience
	}
	if err != nil && err != io.EOF {
		if cause := context.Cause(w.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

func (b *watched) Close() error {
	err := b.inner.Close()
	_ = b.watch.end(nil) // the request is over, however it ended
	return err
}
