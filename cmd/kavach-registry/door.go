package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
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

	mu      sync.Mutex
	plain   map[string]bool // HOST[:PORT] that speaks plain HTTP, and may
	greeted bool            // we are logged in, and answers may be long
}

// plainError is a request that would have gone out without TLS.
type plainError struct{ host string }

func (e *plainError) Error() string { return "refused to speak plain HTTP with " + e.host }

// newDoor trusts whom the machine trusts (and so SSL_CERT_FILE), and those whose
// certificates are in files.
func newDoor(files []string, patience time.Duration) (*door, error) {
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
		plain:    make(map[string]bool),
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

// decide finds out whether a registry is spoken to in plain HTTP: where that is
// allowed, and TLS was answered with HTTP. Anything else is TLS.
func (d *door) decide(ctx context.Context, host string, insecure []string) (plain bool, err error) {
	if !isLoopback(host) && !slices.Contains(insecure, host) && !slices.Contains(insecure, hostname(host)) {
		return false, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return false, err
	}
	resp, err := d.RoundTrip(req)
	if err == nil {
		return false, resp.Body.Close()
	}
	if !errors.Is(err, http.ErrSchemeMismatch) {
		return false, nil // the real request says what is wrong
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plain[host] = true
	return true, nil
}

// welcome ends the bound on answers, which whoever reads them bounds from now on.
func (d *door) welcome() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.greeted = true
}

// RoundTrip implements http.RoundTripper.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	d.mu.Lock()
	plain, greeted := d.plain[req.URL.Host], d.greeted
	d.mu.Unlock()
	switch {
	case req.URL.Scheme == "http" && !plain:
		return nil, &plainError{req.URL.Host}
	case req.URL.Scheme == "https" && plain:
		return nil, http.ErrSchemeMismatch // it was found out before
	}
	w := newWatch(req.Context(), req.URL.Host, d.patience)
	resp, err := d.inner.RoundTrip(req.WithContext(w.ctx))
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
