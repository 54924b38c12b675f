package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// maxRedirects is how often an answer may send us elsewhere.
const maxRedirects = 5

// registry is where one repository is, once we are logged in.
type registry struct {
	client *http.Client
	base   string // "https://HOST/v2/REPOSITORY"
	host   string
	plain  bool // there is no TLS
}

// dial logs in to the registry of a repository.
func (j *job) dial(ctx context.Context, ref name.Reference) (*registry, error) {
	host := ref.Context().RegistryStr()
	j.host = host
	files := certsOf(j.certsDirs, host)
	if j.caFile != "" {
		files = append(files, j.caFile)
	}
	d, err := newDoor(files, j.insecure, j.patience)
	if err != nil {
		return nil, err
	}
	j.door = d
	plain, err := d.decide(ctx, host)
	if err != nil {
		return nil, err
	}
	repo := ref.Context()
	scheme := "https"
	if plain {
		scheme = "http"
		if repo, err = name.NewRepository(repo.String(), name.Insecure); err != nil {
			return nil, err
		}
	}
	auth, err := authn.Resolve(ctx, &j.keys, repo)
	if err != nil {
		return nil, err
	}
	door := transport.NewUserAgent(&patient{inner: d, pause: j.pause}, "kavach-registry")
	tr, err := transport.NewWithContext(ctx, repo.Registry, auth, door, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	d.welcome()
	return &registry{
		client: &http.Client{Transport: tr, CheckRedirect: checkRedirect},
		base:   scheme + "://" + host + "/v2/" + repo.RepositoryStr(),
		host:   host,
		plain:  plain,
	}, nil
}

// checkRedirect lets a registry send us to where its blobs are, and not into our
// own network: an address that only we can reach is not for it to name.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return &trouble{Kind: kindServer, Message: fmt.Sprintf("%s redirected %d times", via[0].URL.Host, len(via)), Fix: "this is the registry's fault"}
	}
	from, to := via[0].URL.Hostname(), req.URL.Hostname()
	if from != to && isInner(to) && !isInner(from) {
		return &trouble{Kind: kindServer, Message: fmt.Sprintf("%s redirected to %s, which is an address of our own network", from, to), Fix: "this is the registry's fault"}
	}
	return nil
}

// isInner reports whether a host is written as an address that is not public.
func isInner(host string) bool {
	host = strings.TrimSuffix(host, ".")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost" || strings.HasSuffix(host, ".localhost")
	}
	addr = addr.Unmap()
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()
}

// get asks for a thing of the repository, from a byte on.
func (r *registry) get(ctx context.Context, path, accept string, from int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK || from > 0 && resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	return nil, refusal(resp)
}

// small reads a manifest or a configuration: at most that many bytes, as often
// as it breaks off.
func (r *registry) small(ctx context.Context, path, accept string, most int64, pause time.Duration) (body []byte, header http.Header, err error) {
	for try := 1; ; try++ {
		var resp *http.Response
		if resp, err = r.get(ctx, path, accept, 0); err != nil {
			return nil, nil, err
		}
		body, err = io.ReadAll(io.LimitReader(resp.Body, most+1))
		resp.Body.Close()
		if err == nil && int64(len(body)) > most {
			return nil, nil, &trouble{Kind: kindServer, Message: fmt.Sprintf("%s sent more than %d bytes for %s", r.host, most, path[strings.LastIndexByte(path, '/')+1:]), Fix: "this is no image that anybody else would take either"}
		}
		if err == nil || !broken(err) || try == tries {
			return body, resp.Header, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, nil, err
		}
	}
}

// parseReference reads NAME[:TAG][@DIGEST].
func parseReference(s string) (name.Reference, error) {
	ref, err := name.ParseReference(s)
	if err == nil {
		return ref, nil
	}
	var bad *name.ErrBadName
	if errors.As(err, &bad) {
		return nil, &trouble{Kind: kindOther, Message: bad.Error(), Fix: "write [HOST[:PORT]/]NAME[:TAG][@sha256:HEX]"}
	}
	return nil, err
}
