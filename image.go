package kavach

import (
	"context"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// ImageError says that the image of a policy could not be opened, or that what
// it says of its commands makes no sense. No other backend was tried: it would
// have got the same image.
type ImageError struct {
	Ref string // as the policy has it
	Err error  // which names it, too
}

func (e *ImageError) Error() string { return e.Err.Error() }

func (e *ImageError) Unwrap() error { return e.Err }

// rootImage is the image of one Create: it is opened once, however many backends
// are tried, and released when nobody holds it. First that Create uses it, then
// the sandbox that it made: never two goroutines at once.
type rootImage struct {
	images Images
	ref    string // empty: there is none

	opened  *backend.Image // nil: not yet, or there is none
	holders int            // the Create, and each sandbox that may have files of it mounted
}

// hold returns the image for a sandbox, which lets go of it when it is gone. Nil
// without an error: there is none.
func (i *rootImage) hold(ctx context.Context) (*backend.Image, error) {
	if i.ref == "" {
		return nil, nil
	}
	if i.opened == nil {
		image, err := i.images.Open(ctx, i.ref)
		if err == nil && image == nil {
			err = fmt.Errorf("image %s: Runtime.Images opened nothing, and said nothing", i.ref)
		}
		if err != nil {
			return nil, &ImageError{Ref: i.ref, Err: err}
		}
		i.opened = image
	}
	i.holders++
	return i.opened, nil
}

// letGo releases the image when the last of its holders calls it.
func (i *rootImage) letGo() error {
	i.holders--
	if i.holders > 0 || i.opened == nil || i.opened.Release == nil {
		return nil
	}
	if err := i.opened.Release(); err != nil {
		return &ImageError{Ref: i.ref, Err: fmt.Errorf("let go of image %s: %w", i.ref, err)}
	}
	return nil
}

// withImage is p with what image says of its commands where p says nothing.
func withImage(p policy.Policy, image *backend.Image) (policy.Policy, error) {
	c := &image.Config
	if p.Process.User == "" {
		if c.UserErr != nil {
			return p, &ImageError{Ref: image.Ref, Err: c.UserErr}
		}
		p.Process.User = fmt.Sprintf("%d:%d", c.UID, c.GID)
	}
	if p.Process.Workdir == "" && c.Dir != "" {
		p.Process.Workdir = path.Join("/", c.Dir)
	}
	env := make(map[string]string)
	for _, kv := range c.Env {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return p, &ImageError{Ref: image.Ref, Err: fmt.Errorf("image %s: its environment has %q, which is not KEY=value", image.Ref, kv)}
		}
		env[key] = value
	}
	maps.Copy(env, p.Process.Env)
	p.Process.Env = env
	if err := p.Validate(); err != nil {
		return p, &ImageError{Ref: image.Ref, Err: fmt.Errorf("what image %s says of its commands is not valid: %w", image.Ref, err)}
	}
	return p, nil
}

// Image is what the sandbox's root directory came from. Where its policy names
// no image, Ref is empty, so that
//
//	sb.Run(ctx, kavach.Cmd{Args: sb.Image().Config.Command(args)})
//
// runs args then, and else what the image makes of them. It must not be changed.
// The files are the sandbox's until Destroy, so Release is nil.
func (s *Sandbox) Image() *backend.Image {
	if s.image == nil {
		return &backend.Image{}
	}
	image := *s.image
	image.Release = nil
	return &image
}
