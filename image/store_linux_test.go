package image

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/imagetest"
	"github.com/kavach-dev/kavach/internal/layer"
)

const envPull = "KAVACH_TEST_PULL"

// TestMain pulls, where a test has started this program to be killed.
func TestMain(m *testing.M) {
	if job := os.Getenv(envPull); job != "" {
		dir, ref, _ := strings.Cut(job, "\n")
		if _, err := (&Store{Dir: dir}).Pull(context.Background(), ref); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return &Store{Dir: filepath.Join(t.TempDir(), "store")}
}

// left lists what is in a store, without its directories.
func left(t testing.TB, s *Store) []string {
	t.Helper()
	var all []string
	for _, sub := range []string{imagesDir, layersDir, stagingDir} {
		entries, err := os.ReadDir(filepath.Join(s.Dir, sub))
		must(t, err)
		for _, e := range entries {
			all = append(all, sub+"/"+e.Name())
		}
	}
	return all
}

func openImage(t testing.TB, s *Store, ref string) *backend.Image {
	t.Helper()
	im, err := s.Open(t.Context(), ref)
	must(t, err)
	return im
}

// readFile reads a file of an open image.
func readFile(t testing.TB, im *backend.Image, path string) string {
	t.Helper()
	tree, err := layer.OpenTree(im.Layers)
	must(t, err)
	defer tree.Close()
	b, err := tree.ReadFile(path, 1<<20)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// small is an image of two layers that is quick to make.
func small(t testing.TB) imagetest.Image {
	return imagetest.Image{Layers: [][]byte{
		imagetest.Tar(t, imagetest.Dir("etc/"), imagetest.File("etc/passwd", "root:x:0:0::/:\napp:x:7:8::/:\n"), imagetest.File("a", "below")),
		imagetest.Tar(t, imagetest.File("a", "above")),
	}, Config: imagetest.Config{User: "app", Cmd: []string{"sh"}}}
}

// TestForms opens the same image in each form that it can come in.
func TestForms(t *testing.T) {
	m := imagetest.BusyboxImage(t)
	docker, plain := m, m
	docker.Docker, plain.Plain = true, true
	layout := strings.TrimSuffix(strings.TrimPrefix(imagetest.OCI(t, m), "oci-layout:"), ":latest")
	pack := exec.CommandContext(t.Context(), "tar", "-C", layout, "-c", ".")
	packed, err := pack.Output()
	must(t, err)
	archive := imagetest.DockerArchive(t, m, "busybox:1")
	archived, err := os.ReadFile(archive)
	must(t, err)
	for name, ref := range map[string]string{
		"layout": imagetest.OCI(t, m), "layout without a tag": "oci-layout:" + layout, "docker's media types": imagetest.OCI(t, docker), "plain layers": imagetest.OCI(t, plain),
		"layout in an archive":   "oci-layout:" + imagetest.WriteFile(t, "l.tar", packed),
		"layout in one, gzipped": "oci-layout:" + imagetest.WriteFile(t, "l.tgz", imagetest.Gzip(t, packed)) + ":latest",
		"docker archive":         "docker-archive:" + archive, "docker archive by name": "docker-archive:" + archive + ":docker.io/library/busybox:1",
		"docker archive, gzipped": "docker-archive:" + imagetest.WriteFile(t, "a.tgz", imagetest.Gzip(t, archived)),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			for range 2 { // from where it is, and from the store
				im := openImage(t, s, ref)
				want := backend.ImageConfig{UID: 1000, GID: 1001, Env: []string{"PATH=/bin", "NAME=busybox"}, Dir: "/home/app", Cmd: []string{"sh"}}
				if have, want := string(imagetest.JSON(t, im.Config)), string(imagetest.JSON(t, want)); have != want {
					t.Errorf("config %s, want %s", have, want)
				}
				if im.Ref != ref || len(im.Layers) != 3 || !strings.HasPrefix(im.Digest, "sha256:") {
					t.Errorf("%+v", im)
				}
				if motd, gone := readFile(t, im, "/etc/motd"), readFile(t, im, "/etc/deleted"); motd != "second\n" || !strings.Contains(gone, "not exist") {
					t.Errorf("motd %q, deleted %q", motd, gone)
				}
				must(t, im.Release())
			}
			if list, err := s.List(t.Context()); err != nil || len(list) != 1 || list[0].Layers != 3 || list[0].Bytes < 1<<20 {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
}

func TestRootfs(t *testing.T) {
	dir := t.TempDir()
	im := openImage(t, newStore(t), "rootfs:"+dir)
	if len(im.Layers) != 1 || im.Layers[0] != dir || im.Digest != "" || im.Release != nil {
		t.Errorf("%+v", im)
	}
	for _, bad := range []string{"rootfs:" + dir + "/missing", "rootfs:/etc/passwd"} {
		if _, err := newStore(t).Open(t.Context(), bad); err == nil {
			t.Errorf("%s was opened", bad)
		}
	}
}

// TestIndexChooses: of an index, the manifest for this machine is taken.
func TestIndexChooses(t *testing.T) {
	for _, row := range []struct {
		why  string
		want Platform
		have []Platform
		take int
	}{
		{"the architecture", Platform{"linux", "amd64", ""}, []Platform{{"linux", "arm64", "v8"}, {"linux", "amd64", ""}}, 1},
		{"not what a part of the machines cannot run", Platform{"linux", "amd64", ""}, []Platform{{"linux", "amd64", "v3"}, {"linux", "amd64", ""}}, 1},
		{"the best that all can run", Platform{"linux", "arm", ""}, []Platform{{"linux", "arm", "v5"}, {"linux", "arm", "v7"}, {"linux", "arm", "v6"}}, 1},
		{"the variant that was asked for", Platform{"linux", "arm", "v6"}, []Platform{{"linux", "arm", "v5"}, {"linux", "arm", "v7"}, {"linux", "arm", "v6"}}, 2},
		{"never an attestation", Platform{"linux", "amd64", ""}, []Platform{{"unknown", "unknown", ""}, {"linux", "amd64", ""}}, 1},
		{"nothing but a newer machine's", Platform{"linux", "amd64", ""}, []Platform{{"linux", "amd64", "v3"}}, -1},
	} {
		var manifests []descriptor
		for _, p := range row.have {
			manifests = append(manifests, descriptor{Platform: (*platformJSON)(&p)})
		}
		got, err := row.want.choose(manifests)
		if row.take < 0 {
			var pe *PlatformError
			if !errors.As(err, &pe) {
				t.Errorf("%s: %v, %v", row.why, got, err)
			}
			continue
		}
		if err != nil || got != &manifests[row.take] {
			t.Errorf("%s: %+v, %v", row.why, got, err)
		}
	}
}

// TestUsers resolves USER[:GROUP].
func TestUsers(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\nbad:x:many:1::/:\nshort:x\nhigh:x:70000:1::/:\n7:x:70:71::/:\n", "group": "root:x:0:\nstaff:x:50:a,b\n",
	} {
		must(t, os.MkdirAll(filepath.Join(dir, "etc"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "etc", name), []byte(body), 0o644))
	}
	tree, err := layer.OpenTree([]string{dir})
	must(t, err)
	defer tree.Close()
	empty, err := layer.OpenTree([]string{t.TempDir()})
	must(t, err)
	defer empty.Close()
	for _, row := range []struct {
		user     string
		tree     *layer.Tree
		uid, gid int
		wrong    string
	}{
		{"app", tree, 1000, 1001, ""}, {"app:staff", tree, 1000, 50, ""}, {"app:7", tree, 1000, 7, ""}, {"5", tree, 5, 0, ""},
		{"1000", tree, 1000, 1001, ""}, {"1000:0", tree, 1000, 0, ""}, {"7", tree, 70, 71, ""}, {"5", empty, 5, 0, ""}, {"5:6", empty, 5, 6, ""},
		{"nobody", tree, 0, 0, `no user "nobody"`}, {"app:nogroup", tree, 0, 0, `no group "nogroup"`}, {"app", empty, 0, 0, `no user "app"`},
		{"bad", tree, 0, 0, "the ids"}, {"high", tree, 0, 0, "not mapped"}, {"65536", tree, 0, 0, "not mapped"}, {":5", tree, 0, 0, "no user"}, {"-1", tree, 0, 0, "no user"}, {"short", tree, 0, 0, "no user"},
	} {
		uid, gid, err := resolveUser(row.tree, row.user)
		if row.wrong != "" {
			var ue *UserError
			if !errors.As(err, &ue) || !strings.Contains(err.Error(), row.wrong) {
				t.Errorf("%s: %d:%d, %v, want an error with %q", row.user, uid, gid, err, row.wrong)
			}
		} else if err != nil || uid != row.uid || gid != row.gid {
			t.Errorf("%s: %d:%d, %v, want %d:%d", row.user, uid, gid, err, row.uid, row.gid)
		}
	}
}

// TestUnknownUser: an image whose user it does not have can be run as another.
func TestUnknownUser(t *testing.T) {
	m := small(t)
	m.Config.User = "nobody-here"
	im := openImage(t, newStore(t), imagetest.OCI(t, m))
	var nobody *UserError
	if !errors.As(im.Config.UserErr, &nobody) || !strings.Contains(nobody.Error(), `no user "nobody-here"`) {
		t.Errorf("%v", im.Config.UserErr)
	}
}

// TestRemoveAndPrune: what is in use stays, what another image names, too.
func TestRemoveAndPrune(t *testing.T) {
	s := newStore(t)
	m := small(t)
	one := imagetest.OCI(t, m)
	m.Layers = m.Layers[:1]
	other := imagetest.OCI(t, m) // shares the first layer
	im := openImage(t, s, one)
	must(t, openImage(t, s, other).Release())

	freed, err := s.Remove(t.Context(), one)
	if err != nil || freed.Layers != 0 || freed.InUse != 1 {
		t.Errorf("while it is open: %+v, %v", freed, err)
	}
	if readFile(t, im, "/a") != "above" {
		t.Error("a layer of an open image is gone")
	}
	if _, err := s.Remove(t.Context(), one); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	must(t, im.Release())
	freed, err = s.Prune(t.Context())
	if err != nil || freed.Layers != 1 || freed.InUse != 0 || freed.Bytes == 0 {
		t.Errorf("released: %+v, %v", freed, err)
	}
	if freed, err = s.Remove(t.Context(), other); err != nil || freed.Layers != 1 {
		t.Errorf("the last: %+v, %v", freed, err)
	}
	if all := left(t, s); len(all) != 0 {
		t.Errorf("%q were left behind", all)
	}
}

// TestStoreOfOthers: a store that others could have put something into is refused.
func TestStoreOfOthers(t *testing.T) {
	ref := imagetest.OCI(t, small(t))
	for _, row := range []struct {
		why, wrong string
		prepare    func(dir string)
	}{
		{"one's own", "", func(dir string) { must(t, os.Mkdir(dir, 0o700)) }},
		{"one that is not there", "", func(string) {}},
		{"one that others may read", "chmod 700", func(dir string) { must(t, os.Mkdir(dir, 0o755)) }},
		{"one that others may write to", "chmod 700", func(dir string) { must(t, os.Mkdir(dir, 0o700)); must(t, os.Chmod(dir, 0o722)) }},
		{"one that others may exchange", "everybody may write to", func(dir string) { must(t, os.Mkdir(dir, 0o700)); must(t, os.Chmod(filepath.Dir(dir), 0o777)) }},
		{"a link to somewhere", "open the image store", func(dir string) { must(t, os.Symlink(t.TempDir(), dir)) }},
		{"one of another user", "belongs to uid", func(dir string) {
			if os.Geteuid() == 0 {
				must(t, os.Mkdir(dir, 0o700))
				must(t, os.Chown(dir, 12345, 12345))
			} else {
				must(t, os.Symlink("/", dir))
			}
		}},
	} {
		s := newStore(t)
		row.prepare(s.Dir)
		wrong := row.wrong
		if wrong == "belongs to uid" && os.Geteuid() != 0 {
			s.Dir, wrong = "/", "belongs to uid"
		}
		_, err := s.Pull(t.Context(), ref)
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v, want %q", row.why, err, wrong)
		}
	}
}

// TestManyAtOnce: of many who open an image that is not there, in this process
// and in others, one unpacks it, and all have it.
func TestManyAtOnce(t *testing.T) {
	s := newStore(t)
	ref := imagetest.Busybox(t)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			if i%2 == 0 {
				if err := pullElsewhere(t, s, ref).Run(); err != nil {
					t.Error(err)
				}
				return
			}
			im, err := s.Open(t.Context(), ref)
			if err != nil {
				t.Error(err)
				return
			}
			if readFile(t, im, "/etc/motd") != "second\n" {
				t.Error("it is not whole")
			}
			if err := im.Release(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Go(func() {
		for range 5 {
			if _, err := s.Prune(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	wait.Wait()
	if all := left(t, s); len(all) != 4 {
		t.Errorf("%q, want an image and three layers", all)
	}
}

func pullElsewhere(t testing.TB, s *Store, ref string) *exec.Cmd {
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envPull+"="+s.Dir+"\n"+ref)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestKilled kills a pull at many instants. Whatever is there then is whole, and
// the next pull removes what is not.
func TestKilled(t *testing.T) {
	ref := imagetest.Busybox(t)
	begun := time.Now()
	must(t, pullElsewhere(t, newStore(t), ref).Run())
	whole := time.Since(begun)
	const tries = 24
	unfinished := 0
	s := newStore(t)
	for i := range tries {
		cmd := pullElsewhere(t, s, ref)
		must(t, cmd.Start())
		time.Sleep(whole * time.Duration(i+1) / tries)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if _, err := os.Stat(s.Dir); err != nil {
			continue // not even begun
		}
		if staged, _ := os.ReadDir(filepath.Join(s.Dir, stagingDir)); len(staged) > 0 {
			unfinished++
		}
		layers, _ := os.ReadDir(filepath.Join(s.Dir, layersDir))
		for _, l := range layers {
			if _, err := os.Stat(filepath.Join(s.Dir, layersDir, l.Name(), layerInfo)); err != nil {
				t.Errorf("killed after %d of %d: %v", i+1, tries, err)
			}
		}
		im := openImage(t, s, ref)
		if readFile(t, im, "/etc/motd") != "second\n" {
			t.Errorf("killed after %d of %d: it is not whole", i+1, tries)
		}
		must(t, im.Release())
		_, err := s.Remove(t.Context(), ref)
		must(t, err)
		_, err = s.Prune(t.Context())
		must(t, err)
		if all := left(t, s); len(all) != 0 {
			t.Errorf("killed after %d of %d: %q were left behind", i+1, tries, all)
		}
	}
	if unfinished == 0 {
		t.Error("no pull was killed in its middle")
	}
}

// TestCancelled: a pull that is cancelled ends, and leaves nothing behind.
func TestCancelled(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.Progress = func(Progress) { cancel() }
	if _, err := s.Pull(ctx, imagetest.Busybox(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if all := left(t, s); len(all) != 0 {
		t.Errorf("%q were left behind", all)
	}
}

// fetcher copies what it has.
type fetcher struct {
	layout string
	asked  []FetchRequest
	err    error
}

func (f *fetcher) Fetch(_ context.Context, req FetchRequest) error {
	f.asked = append(f.asked, req)
	if f.err != nil {
		return f.err
	}
	return os.CopyFS(req.Dir, os.DirFS(f.layout))
}

// TestFetcher: what a Fetcher wrote is checked, and it is told what need not be
// written.
func TestFetcher(t *testing.T) {
	l := imagetest.NewLayout(t)
	d := l.Image(t, small(t))
	l.Tag(t, d, "anything")
	f := &fetcher{layout: l.Dir}
	s := newStore(t)
	s.Fetcher = f
	im := openImage(t, s, "localhost:5000/a:b")
	if readFile(t, im, "/a") != "above" || im.Digest != d.Digest || im.Config.UID != 7 {
		t.Errorf("%+v", im)
	}
	must(t, im.Release())
	must(t, openImage(t, s, "localhost:5000/a:b").Release())
	if len(f.asked) != 1 {
		t.Errorf("an image that is there was fetched %d times", len(f.asked))
	}
	// Again, without the layers that are there already.
	for _, b := range small(t).Layers {
		must(t, os.Remove(filepath.Join(l.Dir, l.BlobPath(imagetest.Digest(imagetest.Gzip(t, b))))))
	}
	_, err := s.Pull(t.Context(), "localhost:5000/a:b@"+d.Digest)
	must(t, err)
	for _, b := range small(t).Layers {
		if have := f.asked[1].Have; !have[imagetest.Digest(b)] || !have[imagetest.Digest(imagetest.Gzip(t, b))] {
			t.Errorf("it was not told of %s: %v", imagetest.Digest(b), have)
		}
	}
	// One that gives another image than was asked for.
	if _, err := s.Open(t.Context(), "localhost:5000/a@"+someSum); !errors.Is(err, ErrNotFound) {
		t.Errorf("another image than the digest's: %v", err)
	}
	f.err = errors.New("the registry is on fire")
	if _, err := s.Pull(t.Context(), "localhost:5000/c"); !errors.Is(err, f.err) {
		t.Errorf("%v", err)
	}
	if all := left(t, s); len(all) != 4 {
		t.Errorf("%q, want two images and two layers", all)
	}
}

// TestArchiveIsTakenAsItIs: one that has changed is read again.
func TestArchiveIsTakenAsItIs(t *testing.T) {
	s := newStore(t)
	m := small(t)
	file := imagetest.DockerArchive(t, m, "")
	before := openImage(t, s, "docker-archive:"+file)
	must(t, before.Release())
	m.Config.User = "root"
	must(t, os.Rename(imagetest.DockerArchive(t, m, ""), file))
	after := openImage(t, s, "docker-archive:"+file)
	must(t, after.Release())
	if before.Config.UID != 7 || after.Config.UID != 0 || before.Digest == after.Digest {
		t.Errorf("%+v, %+v", before, after)
	}
}

// BenchmarkUnpack unpacks a Debian beside what tar takes for it.
func BenchmarkUnpack(b *testing.B) {
	ref := imagetest.Debian(b)
	l := strings.TrimSuffix(strings.TrimPrefix(ref, "oci-layout:"), ":latest")
	var blob string
	var most int64
	entries, err := os.ReadDir(filepath.Join(l, "blobs/sha256"))
	must(b, err)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Size() > most {
			blob, most = filepath.Join(l, "blobs/sha256", e.Name()), info.Size()
		}
	}
	b.Run("kavach", func(b *testing.B) {
		for b.Loop() {
			s := &Store{Dir: filepath.Join(b.TempDir(), "store")}
			_, err := s.Pull(b.Context(), ref)
			must(b, err)
		}
	})
	b.Run("tar", func(b *testing.B) {
		for b.Loop() {
			must(b, exec.CommandContext(b.Context(), "tar", "-C", b.TempDir(), "-xzf", blob).Run())
			unix.Sync()
		}
	})
}
