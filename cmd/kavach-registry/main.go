// Command kavach-registry fetches one image, for one platform, from a container
// registry into an empty directory, as an OCI image layout (image-spec,
// image-layout.md). It is a program of its own so that kavach links no network
// code; kavach trusts nothing that it writes, and checks all of it again.
//
//	kavach-registry fetch [flags] REF DIR
//
//	--platform OS/ARCH[/VARIANT]  which image of an index; linux and this machine's
//	--have FILE                   digests, one a line, of layers not to fetch
//	--ca FILE                     PEM certificates that are trusted, too
//	--insecure-registry HOST[:PORT]  may speak plain HTTP; more than once
//	--progress auto|json|none     on stderr; auto: bars where it is a terminal
//	--max-size BYTES              of everything fetched; 32 GiB
//	--patience DURATION           for 4 KiB to come from the registry; 30s
//
// REF is NAME[:TAG][@DIGEST] as docker has it. What REF names, an index or a
// manifest, is what index.json refers to; of an index, the manifest for the
// platform alone is fetched, with its configuration and layers. index.json is
// written when all else is there: a directory without it is no image.
//
// Stdout is one line of JSON. Exit code 0, and what was fetched (type summary):
//
//	{"digest": "sha256:…", "manifest": "sha256:…", "platform": "linux/amd64", "fetched": 3, "skipped": 0, "bytes": 4711}
//
// or exit code 1, and why not (type trouble), where kind is auth, notfound,
// ratelimited, server, digest, platform, network, tls or other, and status, where
// there was one, that of HTTP:
//
//	{"kind": "auth", "message": "…", "fix": "…", "status": 401}
//
// SIGINT and SIGTERM end it early. Credentials come from Docker's and Podman's
// files and their helpers (keychain.go); none is ever printed.
//
// What this program does not protect: who serves an image for a tag is for the
// registry to say; only a reference with a digest says what must come.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// defaultMaxSize is far above any image in use, and below what fills a disk.
const defaultMaxSize = 32 << 30

// defaultPatience is how long a registry may take for the next 4 KiB.
const defaultPatience = 30 * time.Second

const usage = "write: kavach-registry fetch [--platform OS/ARCH[/VARIANT]] [--have FILE] [--ca FILE] [--insecure-registry HOST] [--progress auto|json|none] [--max-size BYTES] [--patience DURATION] REF DIR"

func main() {
	// In a process group of its own, it still may draw on the terminal.
	signal.Ignore(syscall.SIGTTOU)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program, from its arguments to its exit code.
func run(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) int {
	var answer any
	code := 0
	job, err := parse(args)
	if err == nil {
		job.stderr = stderr
		answer, err = job.run(ctx)
	}
	if err != nil {
		code, answer = 1, explain(err, job)
	}
	enc := json.NewEncoder(stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		return 1 // nobody reads: nobody knows that the image is whole
	}
	return code
}

// parse makes a job of the arguments.
func parse(args []string) (*job, error) {
	j := &job{
		platform:  "linux/" + runtime.GOARCH,
		progress:  "auto",
		maxSize:   defaultMaxSize,
		patience:  defaultPatience,
		pause:     time.Second,
		certsDirs: []string{"/etc/docker/certs.d"},
	}
	set := flag.NewFlagSet("fetch", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&j.platform, "platform", j.platform, "")
	set.StringVar(&j.haveFile, "have", "", "")
	set.StringVar(&j.caFile, "ca", "", "")
	set.StringVar(&j.progress, "progress", j.progress, "")
	set.Int64Var(&j.maxSize, "max-size", j.maxSize, "")
	set.DurationVar(&j.patience, "patience", j.patience, "")
	set.Func("insecure-registry", "", func(host string) error {
		if host == "" || strings.Contains(host, "/") {
			return errors.New("it takes HOST or HOST:PORT")
		}
		j.insecure = append(j.insecure, host)
		return nil
	})
	wrong := func(format string, a ...any) (*job, error) {
		return nil, &trouble{Kind: kindOther, Message: fmt.Sprintf(format, a...), Fix: usage}
	}
	if len(args) == 0 || args[0] != "fetch" {
		return wrong("the one command is fetch")
	}
	if err := set.Parse(args[1:]); err != nil {
		return wrong("%v", err)
	}
	if set.NArg() != 2 {
		return wrong("fetch takes a reference and a directory, and has %d arguments", set.NArg())
	}
	j.ref, j.dir = set.Arg(0), set.Arg(1)
	switch {
	case j.progress != "auto" && j.progress != "json" && j.progress != "none":
		return wrong("--progress %q is none of auto, json and none", j.progress)
	case j.maxSize <= 0:
		return wrong("--max-size %d is not a size", j.maxSize)
	case j.patience <= 0:
		return wrong("--patience %s is not a time", j.patience)
	}
	return j, nil
}
