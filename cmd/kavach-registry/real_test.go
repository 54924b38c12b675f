package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// realRegistry is Debian's docker-registry, which lets in only a user, over TLS,
// with a certificate of an authority that was made for this test.
type realRegistry struct {
	host, ca, password string
}

// user may log in; the registry has the password as bcrypt.
const (
	user      = "me"
	wonder    = "wonder-7-land"
	wonderful = "$2y$05$abcdefghijklmnopqrstuu8J/JsEcNuES7asY02iNoXCSv4TOuqUe"
)

func startRegistry(t *testing.T, withTLS bool) *realRegistry {
	t.Helper()
	path, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed; make test-programs installs it")
	}
	dir := t.TempDir()
	r := &realRegistry{password: wonder}
	config := fmt.Sprintf("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s/data}}\n", dir)
	config += fmt.Sprintf("auth: {htpasswd: {realm: here, path: %s/htpasswd}}\nhttp:\n  addr: 127.0.0.1:0\n", dir)
	if withTLS {
		r.ca = authority(t, dir)
		config += fmt.Sprintf("  tls: {certificate: %s/cert.pem, key: %s/key.pem}\n", dir, dir)
	}
	for file, text := range map[string]string{"config.yml": config, "htpasswd": user + ":" + wonderful + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, "serve", filepath.Join(dir, "config.yml"))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()         // killed
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if m := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`).FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			r.host = m[1]
			return r
		}
	}
	t.Fatal("docker-registry does not say where it listens")
	return nil
}

// authority makes an authority, and a certificate for this machine that it has
// signed: ca.pem, whose path it returns, cert.pem and key.pem.
func authority(t *testing.T, dir string) string {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(file, kind string, der []byte) {
		t.Helper()
		check(os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test registry"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames: []string{"localhost"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	check(err)
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	check(err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	check(err)
	write("ca.pem", "CERTIFICATE", caDER)
	write("cert.pem", "CERTIFICATE", der)
	write("key.pem", "EC PRIVATE KEY", keyDER)
	return filepath.Join(dir, "ca.pem")
}

// push makes an image for each platform, pushes an index of them, and returns its
// digest.
func (r *realRegistry) push(t *testing.T, repo string, platforms ...string) v1.Hash {
	t.Helper()
	ref, err := name.ParseReference(r.host + "/" + repo)
	if err != nil {
		t.Fatal(err)
	}
	var index v1.ImageIndex = empty.Index
	for _, s := range platforms {
		p, err := v1.ParsePlatform(s)
		if err != nil {
			t.Fatal(err)
		}
		img, err := random.Image(1<<20, 6)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config.OS, config.Architecture = p.OS, p.Architecture
		if img, err = mutate.ConfigFile(img, config); err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // it is ours, and only pushed to
	err = remote.WriteIndex(ref, index, remote.WithTransport(transport), remote.WithAuth(&authn.Basic{Username: user, Password: r.password}))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestRealRegistry(t *testing.T) {
	for _, withTLS := range []bool{true, false} {
		t.Run(fmt.Sprintf("with TLS %v", withTLS), func(t *testing.T) {
			r := startRegistry(t, withTLS)
			digest := r.push(t, "team/app:1", "linux/amd64", "linux/arm64")
			login := writeFile(t, "config.json", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, r.host, basic(user, r.password)), 0o600)
			fetch := func(env []string, args ...string) (int, summary, trouble, string) {
				t.Helper()
				dir := t.TempDir()
				if withTLS {
					args = append([]string{"--ca", r.ca}, args...)
				}
				code, s, w := answer(t, program(t, env, append(append([]string{"fetch"}, args...), dir)...))
				checkHidden(t, []any{s, w}, r.password, basic(user, r.password))
				return code, s, w, dir
			}
			for _, ref := range []string{"/team/app:1", "/team/app@" + digest.String(), "/team/app:1@" + digest.String()} {
				code, s, w, dir := fetch([]string{"DOCKER_CONFIG=" + login}, "--platform", "linux/arm64", r.host+ref)
				if code != 0 || s.Digest != digest.String() || s.Fetched != 7 || s.Insecure == withTLS {
					t.Fatalf("%s: %+v %+v", ref, s, w)
				}
				checkLayout(t, dir)
			}
			code, _, w, _ := fetch(nil, r.host+"/team/app:1")
			if code != 1 || w.Kind != kindAuth || w.Status != 401 || !strings.Contains(w.Message, "looked for in") {
				t.Errorf("without credentials: %d %+v", code, w)
			}
			if code, _, w, _ = fetch([]string{"DOCKER_CONFIG=" + login}, "--platform", "linux/s390x", r.host+"/team/app:1"); code != 1 || w.Kind != kindPlatform {
				t.Errorf("for another machine: %d %+v", code, w)
			}
			if code, _, w, _ = fetch([]string{"DOCKER_CONFIG=" + login}, r.host+"/team/app:2"); code != 1 || w.Kind != kindNotFound {
				t.Errorf("another tag: %d %+v", code, w)
			}
		})
	}
}

// Between the registry and us somebody cuts connections off after some bytes: two,
// since a layer is given up on after three.
func TestRealRegistryOverABadLine(t *testing.T) {
	r := startRegistry(t, false)
	r.push(t, "app:1", "linux/amd64")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var cut atomic.Int32
	go func() {
		for n := 0; ; n++ {
			here, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer here.Close()
				there, err := net.Dial("tcp", r.host)
				if err != nil {
					return
				}
				defer there.Close()
				go func() { _, _ = io.Copy(there, here) }()
				if n < 2 {
					_, _ = io.CopyN(here, there, 700<<10)
					cut.Add(1)
					return
				}
				_, _ = io.Copy(here, there)
			}()
		}
	}()
	j := newJob(t, listener.Addr().String()+"/app:1")
	t.Setenv("DOCKER_CONFIG", writeFile(t, "config.json", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, listener.Addr(), basic(user, r.password)), 0o600))
	if s := fetched(t, j); s.Bytes < 6<<20 || cut.Load() != 2 {
		t.Errorf("%d connections were cut: %+v", cut.Load(), s)
	}
}
