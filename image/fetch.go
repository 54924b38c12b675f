package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RegistryProgram is the name of the program that speaks to registries.
const RegistryProgram = "kavach-registry"

// Registry is the Fetcher that runs the program kavach-registry, which has the
// network code that whoever links this package is spared.
type Registry struct {
	// Program is its path. Empty: RegistryProgram beside the program that runs,
	// else in PATH.
	Program string

	// CA is a file of certificates, in PEM, that are trusted beside those of the
	// machine. Empty: none.
	CA string

	// Insecure are registries, HOST or HOST:PORT, that may speak plain HTTP. Those
	// of this machine (localhost, 127.0.0.0/8, ::1) may always. Nil: no others.
	Insecure []string

	// Terminal is where the program draws bars, where it is a terminal; the
	// Progress of a request is not told then. Nil: it is, and nothing is drawn.
	Terminal *os.File
}

// FetchKind says what kind of thing went wrong in fetching.
type FetchKind string

// The kinds, as kavach-registry tells them.
const (
	FetchAuth        FetchKind = "auth"        // the registry refuses us, or credentials cannot be had
	FetchNotFound    FetchKind = "notfound"    // it has no such image
	FetchRateLimited FetchKind = "ratelimited" // we asked too often
	FetchServer      FetchKind = "server"      // it fails, or answers what is no image
	FetchDigest      FetchKind = "digest"      // bytes are not those that a digest names
	FetchPlatform    FetchKind = "platform"    // there is no image for the platform
	FetchNetwork     FetchKind = "network"     // it cannot be reached, or fell silent
	FetchTLS         FetchKind = "tls"         // no connection to it can be trusted
	FetchOther       FetchKind = "other"       // a disk, a signal, the program itself
)

// FetchError says why an image could not be fetched, and what to do.
type FetchError struct {
	Ref     string
	Kind    FetchKind
	Problem string
	Fix     string // empty: nothing is known
	Status  int    // of HTTP; 0: none
}

// Error does not say which image: the store does.
func (e *FetchError) Error() string {
	if e.Fix == "" {
		return e.Problem
	}
	return e.Problem + "; " + e.Fix
}

// Is reports that an image which the registry does not have is ErrNotFound.
func (e *FetchError) Is(target error) bool {
	return target == ErrNotFound && e.Kind == FetchNotFound
}

// What is read of the program, which reads what strangers wrote, in bytes.
const (
	maxFetchAnswer = 64 << 10
	maxFetchLine   = 4 << 10
)

// fetchPatience is how long the program's pipes may stay open after its end.
const fetchPatience = 2 * time.Second

// Fetch implements Fetcher.
func (r *Registry) Fetch(ctx context.Context, req FetchRequest) error {
	program, err := r.find()
	if err != nil {
		return &FetchError{Ref: req.Ref.String(), Kind: FetchOther, Problem: err.Error(), Fix: "make install installs it beside kavach; or put it into PATH"}
	}
	answer := &keeper{most: maxFetchAnswer}
	cmd := exec.CommandContext(ctx, program, r.args(req)...)
	cmd.Env = fetchEnv(os.Environ())
	cmd.Stdin = strings.NewReader(haveLines(req.Have))
	cmd.Stdout = answer
	cmd.WaitDelay = fetchPatience
	var told *teller
	if r.Terminal != nil {
		cmd.Stderr = r.Terminal
	} else {
		told = &teller{tell: req.Progress}
		cmd.Stderr = told
	}
	err = runGroup(cmd)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("fetch %s: %w", req.Ref, context.Cause(ctx))
	case err == nil:
		return nil // what it did is there to be checked
	}
	return r.failure(req, err, answer.text, told)
}

// args are the arguments of the program.
func (r *Registry) args(req FetchRequest) []string {
	args := []string{"fetch", "--platform", req.Platform.orDefault().String(), "--have", "/dev/stdin"}
	if req.MaxBytes > 0 {
		args = append(args, "--max-size", strconv.FormatInt(req.MaxBytes, 10))
	}
	if r.CA != "" {
		args = append(args, "--ca", r.CA)
	}
	for _, host := range r.Insecure {
		args = append(args, "--insecure-registry", host)
	}
	if r.Terminal == nil {
		args = append(args, "--progress", "json")
	}
	return append(args, "--", req.Ref.String(), req.Dir)
}

func haveLines(have map[string]bool) string {
	var lines []string
	for digest, is := range have {
		if is {
			lines = append(lines, digest+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// find is the path of the program.
func (r *Registry) find() (string, error) {
	if r.Program != "" {
		return r.Program, nil
	}
	beside := ""
	if self, err := os.Executable(); err == nil {
		beside = filepath.Join(filepath.Dir(self), RegistryProgram)
		if _, err := exec.LookPath(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath(RegistryProgram)
	if err != nil {
		return "", fmt.Errorf("the program %s, which speaks to registries, is neither %s nor in PATH", RegistryProgram, beside)
	}
	return path, nil
}

// failure makes an error of the program's answer, or of its end where there is
// none.
func (r *Registry) failure(req FetchRequest, err error, answer []byte, told *teller) error {
	var t struct {
		Kind    FetchKind `json:"kind"`
		Message string    `json:"message"`
		Fix     string    `json:"fix"`
		Status  int       `json:"status"`
	}
	e := &FetchError{Ref: req.Ref.String(), Kind: FetchOther}
	if jsonErr := json.Unmarshal(answer, &t); jsonErr == nil && t.Message != "" {
		e.Kind, e.Problem, e.Fix, e.Status = t.Kind, t.Message, t.Fix, t.Status
		return e
	}
	e.Problem = fmt.Sprintf("%s ended without an answer: %v", RegistryProgram, err)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		e.Problem, e.Fix = fmt.Sprintf("cannot run %s: %v", RegistryProgram, err), "make install installs it beside kavach"
	}
	if told != nil && told.last != "" {
		e.Problem += ": " + short(told.last)
	}
	return e
}

// passedOn are the variables that the program is given: what it finds credentials,
// proxies and certificates by, and what the helpers of credentials find theirs by.
var passedOn = []string{
	"HOME", "PATH", "USER", "LANG", "TERM", "TMPDIR",
	"DOCKER_CONFIG", "REGISTRY_AUTH_FILE",
	"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
	"GNUPGHOME", "PASSWORD_STORE_DIR",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}

// fetchEnv is what of an environment is passed on.
func fetchEnv(environ []string) []string {
	env := []string{} // and not nil, which would be all
	for _, kv := range environ {
		if key, _, _ := strings.Cut(kv, "="); slices.Contains(passedOn, key) {
			env = append(env, kv)
		}
	}
	return env
}

// keeper keeps the beginning of what is written.
type keeper struct {
	text []byte
	most int
}

func (k *keeper) Write(p []byte) (int, error) {
	k.text = append(k.text, p[:min(len(p), k.most-len(k.text))]...)
	return len(p), nil
}

// teller tells the progress that the program reports, a line of JSON each, and
// keeps the last line that is something else.
type teller struct {
	tell func(done, total int64)
	line []byte
	last string
}

func (t *teller) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		t.line = append(t.line, part[:min(len(part), maxFetchLine-len(t.line))]...)
		if rest = after; ended {
			t.hear()
		}
	}
	return len(p), nil
}

// hear is the end of a line.
func (t *teller) hear() {
	var step struct{ Done, Total int64 }
	if err := json.Unmarshal(t.line, &step); err != nil {
		t.last = string(t.line)
	} else if step.Done >= 0 && step.Total >= step.Done && t.tell != nil {
		t.tell(step.Done, step.Total)
	}
	t.line = t.line[:0]
}
