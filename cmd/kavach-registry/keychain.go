package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// helperPatience is how long a credential helper may take: it may ask a person.
const helperPatience = 2 * time.Minute

// maxFile bounds the files that we read.
const maxFile = 4 << 20

// keychain finds the credentials for one registry. It looks, in this order, into
//
//	$REGISTRY_AUTH_FILE
//	$DOCKER_CONFIG/config.json, or else ~/.docker/config.json
//	$XDG_RUNTIME_DIR/containers/auth.json
//	$XDG_CONFIG_HOME/containers/auth.json, or else ~/.config/containers/auth.json
//
// and takes the first that has some for the registry, or names a helper that has.
// A file that is there and cannot be read is an error: without it, we would be
// somebody else.
type keychain struct {
	mu    sync.Mutex
	paths []string // where we looked
	found string   // where there were some; empty: nowhere
	known []string // passwords and tokens
}

// Resolve implements authn.Keychain.
func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k *keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, path := range authFiles() {
		k.paths = append(k.paths, path)
		data, err := readBounded(path, maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, noCredentials("make it readable, or move it away", "cannot read credentials: %v", err)
		}
		file, err := config.LoadFromReader(bytes.NewReader(data))
		if err != nil {
			return nil, noCredentials("put it right, or move it away", "%s is no file of credentials: %v", path, err)
		}
		creds, err := k.look(ctx, file, target)
		if err != nil {
			return nil, err
		}
		if creds != nil {
			k.found = path
			k.known = append(k.known, secretsOf(*creds)...)
			return authn.FromConfig(*creds), nil
		}
	}
	return authn.Anonymous, nil
}

func noCredentials(fix, format string, a ...any) error {
	return &trouble{Kind: kindAuth, Message: fmt.Sprintf(format, a...), Fix: fix}
}

// authFiles are the files that may have credentials, the first to look into
// first.
func authFiles() []string {
	var files []string
	home, _ := os.UserHomeDir() // none: what would be below it is left out
	add := func(dir, below, file string) {
		if dir == "" && home != "" && below != "" {
			dir = filepath.Join(home, below)
		}
		if dir != "" {
			files = append(files, filepath.Join(dir, file))
		}
	}
	if path := os.Getenv("REGISTRY_AUTH_FILE"); path != "" {
		files = append(files, path)
	}
	add(os.Getenv("DOCKER_CONFIG"), ".docker", "config.json")
	add(os.Getenv("XDG_RUNTIME_DIR"), "", "containers/auth.json")
	add(os.Getenv("XDG_CONFIG_HOME"), ".config", "containers/auth.json")
	return files
}

// look is what a file, or the helper that it names, has for a registry; nil:
// nothing. As with docker, where there is a helper, the file itself has none.
func (k *keychain) look(ctx context.Context, file *configfile.ConfigFile, target authn.Resource) (*authn.AuthConfig, error) {
	server := target.RegistryStr()
	if server == name.DefaultRegistry {
		server = authn.DefaultAuthKey // the name that Docker's own files have for it
	}
	if helper := cmp.Or(file.CredentialHelpers[target.RegistryStr()], file.CredentialHelpers[server], file.CredentialsStore); helper != "" {
		k.paths[len(k.paths)-1] += " (by docker-credential-" + helper + ")"
		return ask(ctx, helper, server)
	}
	// Podman has credentials for parts of a registry, too: HOST/a before HOST.
	for key := target.String(); strings.Contains(key, "/"); key = key[:strings.LastIndexByte(key, '/')] {
		if entry, ok := file.AuthConfigs[key]; ok {
			return fromFile(entry), nil
		}
	}
	entry, err := file.GetCredentialsStore("").Get(server)
	if err != nil {
		return nil, noCredentials("", "cannot look credentials up: %v", err)
	}
	return fromFile(entry), nil
}

// fromFile is an entry of a file; nil where it holds nothing.
func fromFile(e types.AuthConfig) *authn.AuthConfig {
	creds := authn.AuthConfig{Username: e.Username, Password: e.Password, Auth: e.Auth, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken}
	if creds == (authn.AuthConfig{}) {
		return nil
	}
	return &creds
}

// ask asks a helper (docker-credential-helpers, README.md); nil: it has none.
func ask(ctx context.Context, helper, server string) (*authn.AuthConfig, error) {
	program := "docker-credential-" + helper
	if strings.ContainsAny(helper, `/\`) {
		return nil, noCredentials("name one in PATH", "%q is no name of a credential helper", helper)
	}
	if _, err := exec.LookPath(program); err != nil {
		return nil, noCredentials("install it, or log in without it", "%s, which has the credentials, is not in PATH", program)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, helperPatience, fmt.Errorf("it did not answer within %s", helperPatience))
	defer cancel()
	got, err := client.Get(func(args ...string) client.Program { return newHelper(ctx, program, args) }, server)
	switch {
	case credentials.IsErrCredentialsNotFound(err):
		return nil, nil
	case context.Cause(ctx) != nil:
		return nil, noCredentials("see why it hangs: echo "+server+" | "+program+" get", "%s: %v", program, context.Cause(ctx))
	case err != nil:
		// What the library says of it holds all of the helper's output.
		return nil, noCredentials("see what it says: echo "+server+" | "+program+" get", "%s failed", program)
	}
	if got.Username == "<token>" {
		return &authn.AuthConfig{Username: got.Username, IdentityToken: got.Secret}, nil
	}
	return &authn.AuthConfig{Username: got.Username, Password: got.Secret}, nil
}

// helper is a program that is asked for credentials, and killed when ctx ends.
type helper struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func newHelper(ctx context.Context, program string, args []string) *helper {
	h := &helper{cmd: exec.CommandContext(ctx, program, args...)}
	h.cmd.Stderr = io.Discard // it may say there what it must not
	h.cmd.WaitDelay = time.Second
	return h
}

// Input implements client.Program.
func (h *helper) Input(in io.Reader) { h.cmd.Stdin = in }

// Output implements client.Program.
func (h *helper) Output() ([]byte, error) {
	h.cmd.Stdout = &limited{&h.out, maxFile}
	err := h.cmd.Run()
	return h.out.Bytes(), err
}

// limited fails where more is written than left.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("too much output")
	}
	return l.w.Write(p)
}

// looked says where credentials were looked for, and whether there were some.
func (k *keychain) looked() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.found != "":
		return "with the credentials of " + k.paths[len(k.paths)-1]
	case len(k.paths) == 0:
		return "without credentials"
	}
	return "without credentials, which were looked for in " + strings.Join(k.paths, ", ")
}

// secrets are what must not be printed.
func (k *keychain) secrets() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known
}

func secretsOf(c authn.AuthConfig) []string {
	var all []string
	for _, s := range []string{c.Username + ":" + c.Password, c.Password, c.Auth, c.IdentityToken, c.RegistryToken} {
		if s != "" && s != ":" {
			all = append(all, s)
		}
	}
	return all
}
