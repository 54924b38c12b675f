package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// door is the only way out to the network: no plain HTTP but where that was
// decided, no waiting without end, no answer without a bound while we log in.
type door struct {
	inner    *http.Transport
	patience time.Duration
	insecure []string // HOST or HOST:PORT that may speak plain HTTP, beside this machine

	mu      sync.Mutex
	decided map[string]string // HOST[:PORT] → the scheme that it is spoken to with
	greeted bool              // we are logged in, and answers may be long
	known   map[string]bool   // what was sent as credentials
}

// plainError is a request that would have gone out without TLS.
type plainError struct{ host string }

func (e *plainError) Error() string { return "refused to speak plain HTTP with " + e.host }

// newDoor trusts whom the machine trusts (and so SSL_CERT_FILE), and those whose
// certificates are in files.
func newDoor(files, insecure []string, patience time.Duration) (*door, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, &trouble{Kind: kindTLS, Message: fmt.Sprintf("cannot read the certificates of this machine: %v", err), Fix: "install ca-certificates"}
	}
	for _, file := range files {
		pem, err := readBounded(file, maxFile)
		if err != nil {
			return nil, &trouble{Kind: kindTLS, Message: fmt.Sprintf("cannot read certificates: %v", err), Fix: "name a readable file of certificates in PEM"}
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, &trouble{Kind: kindTLS, Message: fmt.Sprintf("%s holds no certificate", file), Fix: "name a file of certificates in PEM"}
		}
	}
	return &door{
		patience: patience,
		insecure: insecure,
		decided:  make(map[string]string),
		known:    make(map[string]bool),
		inner: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: patience, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    patience,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    atOnce,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 256 << 10,
			DisableCompression:     true, // digests are of the bytes as they come
		},
	}, nil
}

// certsOf are the authorities that Docker trusts for a registry: DIR/HOST/*.crt.
func certsOf(dirs []string, host string) []string {
	var files []string
	for _, dir := range dirs {
		found, _ := filepath.Glob(filepath.Join(dir, host, "*.crt")) // the pattern is ours
		files = append(files, found...)
	}
	return files
}

// isLoopback reports whether HOST[:PORT] is this machine.
func isLoopback(host string) bool {
	h := hostname(host)
	if h == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(h)
	return err == nil && addr.Unmap().IsLoopback()
}

// hostname is HOST[:PORT] without the port, and without the brackets of IPv6.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}

// mayBePlain reports whether a host may be spoken to without TLS.
func (d *door) mayBePlain(host string) bool {
	return isLoopback(host) || slices.Contains(d.insecure, host) || slices.Contains(d.insecure, hostname(host))
}

// decide finds out whether a registry is spoken to in plain HTTP: where that is
// allowed, and TLS was answered with HTTP. Anything else is TLS.
func (d *door) decide(ctx context.Context, host string) (plain bool, err error) {
	if d.mayBePlain(host) {
		plain, err = d.tryTLS(ctx, host)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.decided[host] = "https"
	if plain {
		d.decided[host] = "http"
	}
	return plain, err
}

// tryTLS reports whether TLS is answered with HTTP.
func (d *door) tryTLS(ctx context.Context, host string) (plain bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return false, err
	}
	var silent *silenceError
	resp, err := d.RoundTrip(req)
	switch {
	case err == nil:
		return false, resp.Body.Close()
	case answeredHTTP(err):
		return true, nil
	case errors.As(err, &silent):
		return false, err
	}
	return false, nil // the real request says what is wrong
}

// answeredHTTP reports whether TLS was answered with HTTP, as http.Client does.
func answeredHTTP(err error) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/"
}

// welcome ends the bound on answers, which whoever reads them bounds from now on.
func (d *door) welcome() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.greeted = true
}

// admit says why a request may not go out; nil: it may.
func (d *door) admit(req *http.Request) error {
	host, scheme := req.URL.Host, req.URL.Scheme
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, secret, _ := strings.Cut(req.Header.Get("Authorization"), " "); secret != "" {
		d.known[secret] = true
	}
	switch decided := d.decided[host]; {
	case scheme == "https" && decided == "http":
		return http.ErrSchemeMismatch // it was found out before
	case scheme == "http" && (decided == "https" || !d.mayBePlain(host)):
		return &plainError{host}
	}
	return nil
}

// secrets are what was sent as credentials.
func (d *door) secrets() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.known))
}

// RoundTrip implements http.RoundTripper.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := d.admit(req); err != nil {
		return nil, err
	}
	d.mu.Lock()
	greeted := d.greeted
	d.mu.Unlock()
	w := newWatch(req.Context(), req.URL.Host, d.patience)
	resp, err := d.inner.RoundTrip(req.WithContext(w.ctx))
	if err == nil && w.ctx.Err() != nil { // an answer to our going away
		resp.Body.Close()
		err = w.ctx.Err()
	}
	if err != nil {
		return nil, w.end(err)
	}
	body := &watched{inner: resp.Body, watch: w}
	resp.Body = body
	if !greeted {
		resp.Body = &bounded{body, maxManifest}
	}
	return resp, nil
}

// bounded is a body of which no more than left bytes are read.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// readBounded reads a file of at most that many bytes.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, err
}
