package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/image"
	"github.com/kavach-dev/kavach/policy"
)

// Values of --pull: when a registry is asked for an image.
const (
	pullMissing = "missing" // where the store does not have it
	pullAlways  = "always"
	pullNever   = "never"
)

func pulls() []string { return []string{pullMissing, pullAlways, pullNever} }

// imageFlags are those that say which image a sandbox is made of.
type imageFlags struct {
	images []string // one at most, which is not empty
	pull   string   // empty: pullMissing
}

// image is what --image names, or "".
func (f *imageFlags) image() string { return strings.Join(f.images, " ") }

func (f *imageFlags) registerImage(fs *flags) {
	fs.Texts(&f.images, "image", "", "REF", "use this image as the root directory: NAME[:TAG][@DIGEST] of a registry, oci-layout:DIR, docker-archive:FILE or rootfs:DIR", imageNames)
	fs.Text(&f.pull, "pull", "", "WHEN", "ask the registry: missing (where the image is not in the store), always or never (default missing)", pulls)
}

// applyImage puts the image in the place of whatever root the policy has.
func (f *imageFlags) applyImage(p *policy.Policy) error {
	if len(f.images) > 1 {
		return usagef("leave one of them out", "--image is there %d times, and a sandbox has one root directory", len(f.images))
	}
	if len(f.images) > 0 { // "" is an error: a variable that is not set must not mean the host's files
		ref, err := image.ParseReference(f.image())
		var wrong *image.ReferenceError
		switch {
		case errors.As(err, &wrong):
			return usagef("write it as "+wrong.Form, "--image %q: %s", wrong.Ref, wrong.Reason)
		case err != nil:
			return usagef("", "--image %q: %v", f.image(), err)
		}
		p.Filesystem.Root, p.Filesystem.Image = "", ref.String()
	}
	switch {
	case f.pull == "":
	case !slices.Contains(pulls(), f.pull):
		return usagef(nearest(f.pull, pulls(), "the values"), "--pull: there is no %q", f.pull)
	case p.Filesystem.Image == "":
		return needsImage("--pull")
	}
	return nil
}

func needsImage(flag string) error {
	return usagef("name one with --image, or leave "+flag+" out", "%s is about an image, and there is none", flag)
}

// imagesFor opens the images of sandboxes as a value of --pull has it.
func imagesFor(pull string) kavach.Images { return storedImages{pull} }

type storedImages struct{ pull string }

// Open shows on stderr, where that is a terminal, what takes time. What is on this
// machine, a layout, an archive or a directory, is taken as it is now in any case.
func (s storedImages) Open(ctx context.Context, ref string) (*backend.Image, error) {
	store, err := (&pullFlags{}).store()
	if err != nil {
		return nil, err
	}
	line := newUnpackLine(os.Stderr)
	defer line.clear()
	store.Progress = line.show
	parsed, err := image.ParseReference(ref)
	switch {
	case err != nil || parsed.Kind != image.KindRegistry:
	case s.pull == pullNever:
		store.Fetcher = nil
		if opened, err := store.Open(ctx, ref); !errors.Is(err, image.ErrNotFound) {
			return opened, err
		}
		return nil, usagef("kavach image pull "+ref+", or leave out --pull never", "image %s is not in the store", ref)
	case s.pull == pullAlways:
		if _, err := store.Pull(ctx, ref); err != nil {
			return nil, err
		}
	}
	return store.Open(ctx, ref)
}

// command is what is run in a sandbox for the arguments of the command line.
func (f *runFlags) command(sb *kavach.Sandbox, args []string) ([]string, error) {
	i := sb.Image()
	all := commandOf(i.Config, f.entrypoint, args)
	if len(all) == 0 {
		return nil, usagef(fmt.Sprintf("kavach run --image %s -- COMMAND", shellWord(i.Ref)), "image %s does not say what to run", i.Ref)
	}
	return all, nil
}

// commandOf is, as docker run has it, args behind the entrypoint of the image, or
// behind the last that --entrypoint names, if any: with that, the image's own
// arguments are none.
func commandOf(config backend.ImageConfig, entrypoint, args []string) []string {
	if n := len(entrypoint); n > 0 {
		config.Entrypoint, config.Cmd = nil, nil
		if last := entrypoint[n-1]; last != "" {
			config.Entrypoint = []string{last}
		}
	}
	return config.Command(args)
}

// shellWord is s as a shell takes it for one word.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.:@_-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// fromImage is what a report says of the image.
type fromImage struct {
	Ref    string `json:"ref"`
	Digest string `json:"digest"` // empty: nothing was checked
}

// imageOf is nil where a sandbox is of no image.
func imageOf(sb *kavach.Sandbox) *fromImage {
	if i := sb.Image(); i.Ref != "" {
		return &fromImage{i.Ref, i.Digest}
	}
	return nil
}

func (i *fromImage) String() string {
	switch {
	case i.Digest == "":
		return i.Ref + ", of which nothing was checked"
	case strings.Contains(i.Ref, i.Digest):
		return i.Ref
	}
	return i.Ref + ", " + i.Digest
}
