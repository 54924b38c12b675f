package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kavach-dev/kavach/image"
	"github.com/kavach-dev/kavach/policy"
)

// pullFlags are those that say how images are got from registries.
type pullFlags struct {
	platform string
	ca       string
	insecure []string
	maxBytes string
	maxFiles string
	json     bool
}

func (f *pullFlags) register(fs *flags) {
	fs.Text(&f.platform, "platform", "", "OS/ARCH", "take the image for this platform, OS/ARCH or OS/ARCH/VARIANT (default linux, and this machine's)", nil)
	fs.Text(&f.ca, "ca", "", "FILE", "trust the certificates in FILE, in PEM, beside those of the machine", nil)
	fs.Texts(&f.insecure, "insecure-registry", "", "HOST", "let this registry, HOST or HOST:PORT, speak plain HTTP: what comes can be read and changed on its way, and so can a password", nil)
	fs.Text(&f.maxBytes, "max-bytes", "", "SIZE", "what all layers may hold, uncompressed (default 64g)", nil)
	fs.Text(&f.maxFiles, "max-files", "", "N", "how many files all layers may have (default 4194304)", nil)
	fs.Bool(&f.json, "json", "", "print one JSON object")
}

// limits are what the flags say that an image may take.
func (f *pullFlags) limits() (l image.Limits, err error) {
	var bytes policy.Bytes
	var files int
	err = errors.Join(limit("--max-bytes", f.maxBytes, &bytes, policy.ParseBytes), limit("--max-files", f.maxFiles, &files, parseFiles))
	if bytes < 0 || files < 0 {
		err = usagef("write the number that you want", "an image is never unlimited")
	}
	return image.Limits{Bytes: int64(bytes), Files: int64(files)}, err
}

func parseFiles(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, &policy.FieldError{Problem: fmt.Sprintf("%q is not a number of files", s), Fix: "write a whole number, such as 100000"}
	}
	return n, nil
}

// store is the user's store, with what gets images from registries. Bars are
// drawn where stderr is a terminal.
func (f *pullFlags) store() (*image.Store, error) {
	reg := &image.Registry{CA: f.ca, Insecure: f.insecure}
	if isTerminal(os.Stderr) {
		reg.Terminal = os.Stderr
	}
	limits, err := f.limits()
	if err != nil {
		return nil, err
	}
	s := &image.Store{Fetcher: reg, Limits: limits}
	if f.platform == "" {
		return s, nil
	}
	parts := strings.Split(f.platform, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return nil, usagef("write OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", "--platform %q is no platform", f.platform)
	}
	s.Platform = image.Platform{OS: parts[0], Architecture: parts[1], Variant: strings.Join(parts[2:], "")}
	return s, nil
}

// drawEvery is how often the line is drawn at most.
const drawEvery = 100 * time.Millisecond

// unpackLine shows how far unpacking is, on a terminal. What is fetched is shown
// by the program that fetches.
type unpackLine struct {
	to *os.File // nil: nobody would see it

	mu   sync.Mutex
	last time.Time // when it was drawn; zero: never
}

func newUnpackLine(f *os.File) *unpackLine {
	if !isTerminal(f) {
		f = nil
	}
	return &unpackLine{to: f}
}

func (l *unpackLine) show(p image.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to == nil || p.Stage != image.StageUnpack || time.Since(l.last) < drawEvery {
		return
	}
	l.last = time.Now()
	text := "unpacking, " + bytesText(p.Done)
	if p.Total > 0 {
		text += " of " + bytesText(p.Total)
	}
	// To the beginning of the line, and the rest of it away (ECMA-48, 8.3.41, EL).
	fmt.Fprint(l.to, "\r"+text+"\x1b[K")
}

// clear takes the line away.
func (l *unpackLine) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() {
		fmt.Fprint(l.to, "\r\x1b[K")
	}
}
