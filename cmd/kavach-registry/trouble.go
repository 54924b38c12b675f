package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// kind says what kind of thing went wrong, for programs.
type kind string

const (
	kindAuth        kind = "auth"        // 401, 403, or credentials that cannot be had
	kindNotFound    kind = "notfound"    // 404
	kindRateLimited kind = "ratelimited" // 429, also after waiting
	kindServer      kind = "server"      // any other answer that is no image
	kindDigest      kind = "digest"      // bytes are not those that a digest names
	kindPlatform    kind = "platform"    // there is no image for the platform
	kindNetwork     kind = "network"     // no connection, or silence
	kindTLS         kind = "tls"         // no connection that can be trusted
	kindOther       kind = "other"       // a wrong call, a disk, a signal
)

// trouble is an error as stdout has it.
type trouble struct {
	Kind    kind   `json:"kind"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
	Status  int    `json:"status,omitempty"` // of HTTP; 0: none
}

func (t *trouble) Error() string { return t.Message }

// maxMessage bounds what is told in the words of others, in bytes.
const maxMessage = 400

// explain makes a trouble of any error. j is nil where there is none.
func explain(err error, j *job) *trouble {
	host, looked := "", ""
	var secrets []string
	if j != nil {
		host, looked, secrets = j.host, j.keys.looked(), j.keys.secrets()
		if j.door != nil {
			secrets = append(secrets, j.door.secrets()...)
		}
	}
	t := *classify(err, host, looked)
	t.Message, t.Fix = hide(t.Message, secrets), hide(t.Fix, secrets)
	return &t
}

func classify(err error, host, looked string) *trouble {
	var (
		t      *trouble
		status *statusError
		answer *transport.Error
		silent *silenceError
		long   *url.Error
	)
	switch {
	case errors.As(err, &t):
		return t
	case errors.Is(err, context.Canceled) && !errors.As(err, &silent):
		return &trouble{Kind: kindOther, Message: "fetching was stopped"}
	case errors.As(err, &status):
		return status.trouble(looked)
	case errors.As(err, &answer):
		s := &statusError{host: host, code: answer.StatusCode, says: said(answer)}
		if answer.Request != nil {
			s.host = answer.Request.URL.Host // a token server's, at times
		}
		return s.trouble(looked)
	case errors.As(err, &silent):
		return &trouble{Kind: kindNetwork, Message: silent.Error(), Fix: "try again; --patience waits longer"}
	}
	at := host
	if errors.As(err, &long) {
		if u, parseErr := url.Parse(long.URL); parseErr == nil {
			at = u.Host
		}
		err = long.Err // the URL may hold a signature that lets one in
	}
	return connection(err, at)
}

// connection tells what is wrong with a connection, as far as that is known.
func connection(err error, host string) *trouble {
	var (
		unknown  x509.UnknownAuthorityError
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		name     *net.DNSError
		op       *net.OpError
		timedOut net.Error
		plain    *plainError
		path     *os.PathError
	)
	tell := func(k kind, fix, format string, a ...any) *trouble {
		return &trouble{Kind: k, Message: fmt.Sprintf(format, a...), Fix: fix}
	}
	switch {
	case errors.As(err, &plain):
		return tell(kindTLS, "ask whoever runs it for TLS; --insecure-registry "+plain.host+" does without", "%v", plain)
	case answeredHTTP(err):
		return tell(kindTLS, "ask whoever runs it for TLS; --insecure-registry "+host+" does without", "%s speaks plain HTTP, and no TLS", host)
	case errors.As(err, &unknown):
		return tell(kindTLS, "name the certificate of its authority with --ca FILE", "the certificate of %s is signed by nobody that this machine trusts", host)
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert):
		return tell(kindTLS, "see that the name and the clock are right; --ca FILE trusts another authority", "no trusted connection to %s: %s", host, words(err))
	case errors.As(err, &name):
		return tell(kindNetwork, "see that the name is right, and what resolves it", "cannot find %s: %s", host, words(err))
	case errors.As(err, &path):
		return tell(kindOther, "", "%s", words(err))
	case errors.As(err, &op), errors.As(err, &timedOut):
		return tell(kindNetwork, "see that the registry runs, and that it can be reached from here", "cannot reach %s: %s", host, words(err))
	case broken(err):
		return tell(kindNetwork, "try again", "%s broke the connection off, each time: %s", host, words(err))
	}
	return tell(kindOther, "", "%s", words(err))
}

// said is what a registry says itself of an error.
func said(e *transport.Error) string {
	var parts []string
	for _, d := range e.Errors {
		parts = append(parts, strings.TrimSpace(strings.ToLower(string(d.Code))+" "+d.Message))
	}
	return strings.Join(parts, "; ")
}

// words is the first line of an error: what follows it may be the body of an
// answer, and so a token.
func words(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// hide makes a text fit for a terminal and a log: one bounded line, without
// control characters, and without any of our secrets, which a registry may have
// sent back.
func hide(text string, secrets []string) string {
	for _, s := range secrets {
		for _, form := range []string{s, base64.StdEncoding.EncodeToString([]byte(s)), url.QueryEscape(s)} {
			text = strings.ReplaceAll(text, form, "[hidden]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= maxMessage {
		return text
	}
	cut := maxMessage
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
