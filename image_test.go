package kavach_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/noop"
	"github.com/kavach-dev/kavach/policy"
)

// shelf is an Images that is not real: it writes what happens into the journal
// of a world.
type shelf struct {
	*world
	config backend.ImageConfig
	failed error // of Open
	stuck  error // of Release
	none   bool  // Open finds nothing, and says nothing
}

func (s *shelf) Open(_ context.Context, ref string) (*backend.Image, error) {
	s.note("open %s", ref)
	if s.failed != nil || s.none {
		return nil, s.failed
	}
	return &backend.Image{
		Ref: ref, Digest: "sha256:1", Layers: []string{"/layer"}, Config: s.config,
		Release: func() error { s.note("release"); return s.stuck },
	}, nil
}

// fromImage is a policy that names an image.
func fromImage(change ...func(*policy.Process)) policy.Policy {
	p := policy.Policy{Filesystem: policy.Filesystem{Image: "a:1"}}
	for _, c := range change {
		c(&p.Process)
	}
	return p
}

func (s *shelf) create(ctx context.Context, p policy.Policy) (*kavach.Sandbox, error) {
	rt := s.runtime()
	rt.Images = s
	return rt.Create(ctx, kavach.Config{Backend: "noop", Policy: p})
}

// An image is opened when its record is written, and let go of when nothing can
// have it mounted any more.
func TestImageOrder(t *testing.T) {
	s := &shelf{world: newWorld()}
	sb, err := s.create(t.Context(), fromImage())
	if err != nil {
		t.Fatal(err)
	}
	if s.made.Image == nil || s.made.Image.Ref != "a:1" || s.made.Image.Layers[0] != "/layer" {
		t.Errorf("the backend got %+v", s.made.Image)
	}
	if i := sb.Image(); i.Ref != "a:1" || i.Digest != "sha256:1" || i.Release != nil {
		t.Errorf("%+v", i)
	}
	for range 2 {
		if err := sb.Destroy(t.Context()); err != nil {
			t.Error(err)
		}
	}
	want := []string{"record create", "open a:1", "make", "prove", "record prove", "unmake", "release", "record destroy"}
	if got := s.journal(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	created, proved := s.events[0], s.events[1]
	if created.Policy.Filesystem.Image != "a:1" || created.Image != "" || proved.Image != "a:1" || proved.Digest != "sha256:1" {
		t.Errorf("%+v\n%+v", created, proved)
	}
}

// Where a policy names no image, nothing is opened, and nothing stands before a
// command.
func TestNoImage(t *testing.T) {
	s := &shelf{world: newWorld()}
	sb, err := s.create(t.Context(), policy.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if got := sb.Image().Config.Command([]string{"true"}); sb.Image().Ref != "" || !slices.Equal(got, []string{"true"}) || s.made.Image != nil {
		t.Errorf("%+v, %q, %+v", sb.Image(), got, s.made.Image)
	}
	if err := sb.Destroy(t.Context()); err != nil || slices.Contains(s.journal(), "release") {
		t.Errorf("%v, %q", err, s.journal())
	}
}

// Whatever fails, the image is released exactly as often as it was opened, and
// never while something may have it mounted.
func TestImageFails(t *testing.T) {
	tests := []struct {
		set  func(*shelf)
		want string // the journal, from "record create" on
		why  string
	}{
		{func(s *shelf) { s.failed = errTest }, "open a:1, record destroy", "it is not to be had"},
		{func(s *shelf) { s.none = true }, "open a:1, record destroy", "nothing, without an error"},
		{func(s *shelf) { s.nope = errTest }, "open a:1, make, record destroy, release", "the backend fails"},
		{func(s *shelf) { s.config.Env = []string{"A=\x00"} }, "open a:1, record destroy, release", "an environment that no command can have"},
		{func(s *shelf) { s.config.Env = []string{"A"} }, "open a:1, record destroy, release", "one that is none"},
		{func(s *shelf) { s.config.Env = []string{"=A"} }, "open a:1, record destroy, release", "a variable without a name"},
		{func(s *shelf) { s.config.UID = -1 }, "open a:1, record destroy, release", "(uid_t)-1"},
		{func(s *shelf) { s.config.Dir = "a\x00" }, "open a:1, record destroy, release", "no directory"},
		{func(s *shelf) { s.refuse = kavach.ActProve }, "open a:1, make, prove, record prove, unmake, record destroy, release", "the audit log fails"},
		{func(s *shelf) { s.refuse, s.undo = kavach.ActProve, errTest }, "open a:1, make, prove, record prove, unmake, record destroy",
			"what cannot be removed may still have it mounted"},
	}
	for _, test := range tests {
		s := &shelf{world: newWorld()}
		test.set(s)
		sb, err := s.create(t.Context(), fromImage())
		if err == nil || sb != nil {
			t.Errorf("%s: a sandbox is made", test.why)
		}
		var image *kavach.ImageError
		if opening := !strings.Contains(test.want, "make"); errors.As(err, &image) != opening || opening && image.Ref != "a:1" {
			t.Errorf("%s: %T %v", test.why, err, err)
		}
		got := strings.Join(s.journal(), ", ")
		if got = strings.TrimPrefix(got, "record create, "); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.why, got, test.want)
		}
	}
}

// What cannot be let go of is said, and the sandbox is gone all the same.
func TestImageStuck(t *testing.T) {
	s := &shelf{world: newWorld(), stuck: errTest}
	sb, err := s.create(t.Context(), fromImage())
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Destroy(t.Context()); !errors.Is(err, errTest) || sb.State() != kavach.Destroyed {
		t.Errorf("%v, the state is %s", err, sb.State())
	}
	if last := s.events[len(s.events)-1]; last.Act != kavach.ActDestroy || last.Err == "" {
		t.Errorf("%+v", last)
	}
}

// named is a world under the name of another backend.
type named struct {
	*world
	name   string
	refuse error
}

func (n *named) Name() string { return n.name }

func (n *named) Create(ctx context.Context, spec backend.Spec) (backend.Instance, error) {
	n.note("try %s", n.name)
	if n.refuse != nil {
		return nil, n.refuse
	}
	return n.world.Create(ctx, spec)
}

// However many backends are tried, the image is opened once.
func TestImageOnSeveralBackends(t *testing.T) {
	p := fromImage()
	p.BestEffort = policy.Controls()
	s := &shelf{world: newWorld()}
	no := &backend.UnsupportedError{Backend: "process", Control: policy.NSPid, Reason: "the test says no"}
	rt := s.runtime()
	rt.Images = s
	rt.Backends = []backend.Backend{&named{s.world, "process", no}, &named{s.world, "oci", no}, &named{s.world, "gvisor", nil}}
	sb, err := rt.Create(t.Context(), kavach.Config{Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Destroy(t.Context()); err != nil || sb.Backend() != "gvisor" {
		t.Errorf("%v, on %s", err, sb.Backend())
	}
	want := []string{
		"record create", "open a:1", "try process", "record destroy", "record create", "try oci", "record destroy",
		"record create", "try gvisor", "make", "prove", "record prove", "unmake", "release", "record destroy",
	}
	if got := s.journal(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	// Where all refuse, it is released; where it cannot be opened, none is asked,
	// whatever the error is like.
	s.world, rt.Backends = newWorld(), nil
	for _, name := range []string{"process", "oci"} {
		rt.Backends = append(rt.Backends, &named{s.world, name, no})
	}
	if _, err := rt.Create(t.Context(), kavach.Config{Policy: p}); !errors.Is(err, errors.ErrUnsupported) || s.journal()[len(s.journal())-1] != "release" {
		t.Errorf("%v, %q", err, s.journal())
	}
	s.failed = fmt.Errorf("for another processor: %w", errors.ErrUnsupported)
	if _, err := rt.Create(t.Context(), kavach.Config{Policy: p}); err == nil || strings.Count(strings.Join(s.journal(), " "), "open") != 2 {
		t.Errorf("%v, %q", err, s.journal())
	}
}

func TestNoImages(t *testing.T) {
	w := newWorld()
	_, err := w.runtime().Create(t.Context(), kavach.Config{Backend: "noop", Policy: fromImage()})
	if !errors.Is(err, kavach.ErrNoImages) || len(w.journal()) > 0 {
		t.Errorf("%v, %q", err, w.journal())
	}
}

// Noop shows the host's files to whatever it runs, and so runs nothing of an
// image.
func TestNoopTakesNoImage(t *testing.T) {
	s := &shelf{world: newWorld()}
	rt := &kavach.Runtime{Backends: []backend.Backend{noop.Backend{}}, Images: s}
	_, err := rt.Create(t.Context(), kavach.Config{Backend: "noop", Policy: fromImage()})
	if !errors.Is(err, errors.ErrUnsupported) || !slices.Equal(s.journal(), []string{"open a:1", "release"}) {
		t.Errorf("%v, %q", err, s.journal())
	}
}

// What the image says holds where the policy says nothing, and the caller has
// the last word.
func TestImageConfig(t *testing.T) {
	config := backend.ImageConfig{UID: 33, GID: 7, Env: []string{"PATH=/image", "A=image", "A=last", "B=image"}, Dir: "srv//www/"}
	user := func(p *policy.Process) { p.User = "1000" }
	dir := func(p *policy.Process) { p.Workdir = "/policy" }
	env := func(p *policy.Process) { p.Env = map[string]string{"B": "policy"} }
	tests := []struct {
		config      backend.ImageConfig
		p           policy.Policy
		user, start string
		env         string
		why         string
	}{
		{config, fromImage(), "33:7", "/srv/www", "A=last B=image HOME=/tmp LANG=C.UTF-8 PATH=/image", "as the image says"},
		{config, fromImage(user, dir, env), "1000", "/policy", "A=last B=policy HOME=/tmp LANG=C.UTF-8 PATH=/image", "as the policy says"},
		{backend.ImageConfig{Env: []string{"HOME=/root"}}, fromImage(), "0:0", "", "HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "root, where it says nothing"},
		{backend.ImageConfig{Dir: "../../etc"}, fromImage(), "0:0", "/etc", "", "it cannot lead out of its root"},
	}
	for _, test := range tests {
		s := &shelf{world: newWorld(), config: test.config}
		sb, err := s.create(t.Context(), test.p)
		if err != nil {
			t.Errorf("%s: %v", test.why, err)
			continue
		}
		for _, got := range []policy.Process{s.made.Policy.Process, sb.Policy().Process} {
			if got.User != test.user || got.Workdir != test.start {
				t.Errorf("%s: %+v", test.why, got)
			}
		}
		res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"env"}})
		if got := strings.ReplaceAll(string(res.Stdout), "\n", " "); err != nil || test.env != "" && got != test.env {
			t.Errorf("%s: %v\n got %s\nwant %s", test.why, err, got, test.env)
		}
		res, err = sb.Run(t.Context(), kavach.Cmd{Args: []string{"env"}, Env: []string{"B=call", "PATH=/call"}})
		if got := string(res.Stdout); err != nil || !strings.Contains(got, "\nB=call\n") && !strings.HasPrefix(got, "B=call\n") || !strings.HasSuffix(got, "PATH=/call") {
			t.Errorf("%s: %v, %s: the caller has the last word", test.why, err, got)
		}
	}
	// What was given is not changed.
	given := fromImage(env)
	if _, err := (&shelf{world: newWorld(), config: config}).create(t.Context(), given); err != nil || len(given.Process.Env) != 1 {
		t.Errorf("%v, %+v", err, given.Process.Env)
	}
}
