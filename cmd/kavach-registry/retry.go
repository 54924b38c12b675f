package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// tries is how often a request is made, in all, before its failure counts.
	tries = 3

	// growth is by how much each pause between two tries is longer than the last.
	growth = 3

	// maxWait is the longest Retry-After that is waited for; whoever is told to
	// wait longer is asked to come back.
	maxWait = time.Minute
)

// patient makes requests again that failed for a reason that may pass.
type patient struct {
	inner http.RoundTripper
	pause time.Duration // before the second try
}

// RoundTrip implements http.RoundTripper. What it returns an error for is final.
func (p *patient) RoundTrip(req *http.Request) (*http.Response, error) {
	pause := p.pause
	for try := 1; ; try++ {
		resp, err := p.inner.RoundTrip(req)
		wait := pause
		switch {
		case err != nil && !broken(err), err == nil && !passing(resp.StatusCode):
			return resp, err
		case err == nil:
			answer := refusal(resp)
			answer.tried, err = try, answer
			if answer.wait > maxWait {
				return nil, err
			}
			wait = max(wait, answer.wait)
		}
		if try == tries || req.Body != nil {
			return nil, err
		}
		if stopped := sleep(req.Context(), wait); stopped != nil {
			return nil, stopped
		}
		pause *= growth
	}
}

// passing reports whether an answer may be another one soon.
func passing(code int) bool {
	return code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= http.StatusInternalServerError
}

// broken reports whether a connection broke, or fell silent: reason to try again.
func broken(err error) bool {
	var silent *silenceError
	return errors.As(err, &silent) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

// refusal reads an answer that is not what was asked for, and closes it.
func refusal(resp *http.Response) *statusError {
	defer resp.Body.Close()
	e := &statusError{host: resp.Request.URL.Host, code: resp.StatusCode, wait: retryAfter(resp.Header.Get("Retry-After"))}
	var answer *transport.Error
	if err := transport.CheckError(resp); errors.As(err, &answer) {
		e.says = said(answer)
	}
	return e
}

// retryAfter reads the header (RFC 9110, 10.2.3): seconds, or a date.
func retryAfter(value string) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
