package canary_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/canary"
)

// look looks for a secret on this machine.
type look struct {
	testing.TB
	finder *canary.Finder
	since  uint64    // the start of the first process whose memory is looked through
	from   time.Time // of files
}

func newLook(t testing.TB, s *canary.Secret) *look {
	t.Helper()
	finder, err := s.Finder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(finder.Close)
	self, ok := canary.ProcessOf(os.Getpid())
	if !ok {
		t.Fatal("this process is none")
	}
	return &look{t, finder, self.Start, time.Now()}
}

// arguments looks at what all processes show to everybody, and their environment as far
// as this user may.
func (l *look) arguments(list []canary.Process) (leaks []canary.Leak) {
	for _, p := range list {
		for _, name := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.PID, name))
			if err != nil {
				continue // it is gone, or another user's
			}
			for _, hit := range l.finder.In(data) {
				leaks = append(leaks, canary.Leak{Process: p, Mapping: canary.Mapping{Name: name}, Hit: hit})
			}
		}
	}
	return leaks
}

// memory looks through the memory of these processes. Looked says of which it could.
func (l *look) memory(list []canary.Process) (leaks []canary.Leak, looked map[int]bool) {
	looked = make(map[int]bool)
	for _, p := range list {
		found, err := l.finder.Memory(p)
		switch {
		case err == nil:
			looked[p.PID] = true
		case !errors.Is(err, fs.ErrPermission) || os.Geteuid() == 0:
			l.Error(err)
		}
		leaks = append(leaks, found...)
	}
	return leaks, looked
}

// younger are those that are not older than this test: nobody else can have the secret.
func (l *look) younger(list []canary.Process) []canary.Process {
	return slices.DeleteFunc(slices.Clone(list), func(p canary.Process) bool { return p.Start < l.since || p.PID == os.Getpid() })
}

// places are where programs leave files: some are Kavach's own, others everybody's.
func places(dir string) (own, shared []string) {
	return []string{dir, "/dev/shm", "/var/lib/kavach", "/var/cache/kavach", "/etc/kavach", "/run/kavach"},
		[]string{os.TempDir(), "/tmp", "/var/tmp", "/run", "/var/crash", "/var/lib/systemd/coredump"}
}

// files looks through what was written since, here and where everybody writes, and is
// not among the sources.
func (l *look) files(dir string, sources ...string) (leaks []string) {
	own, shared := places(dir)
	seen := make(map[string]bool)
	for i, place := range slices.Concat(own, shared) {
		_ = filepath.WalkDir(place, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || slices.Contains(sources, name):
				return nil // another user's, or gone
			case d.IsDir() && (seen[name] || i >= len(own) && name != place && l.before(d)):
				return filepath.SkipDir // nothing was made in it: it is somebody else's
			case !seen[name]:
				seen[name] = true
				if found := l.file(name, d); found != nil {
					leaks = append(leaks, fmt.Sprintf("%s: %v", name, found))
				}
			}
			return nil
		})
	}
	return leaks
}

// before says that something was not changed since.
func (l *look) before(d fs.DirEntry) bool {
	info, err := d.Info()
	return err != nil || info.ModTime().Before(l.from)
}

func (l *look) file(name string, d fs.DirEntry) []canary.Hit {
	if !d.Type().IsRegular() || l.before(d) {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	hits, err := l.finder.Find(f)
	if err != nil {
		l.Error(err)
	}
	return hits
}

// text looks through what somebody was told.
func (l *look) text(what, text string) {
	l.Helper()
	if hits := l.finder.In([]byte(text)); hits != nil {
		l.Errorf("%s: the secret is in it: %v", what, hits)
		for _, line := range bytes.Split([]byte(text), []byte("\n")) {
			for _, hit := range l.finder.In(line) {
				l.Logf("%v: %.40q … %.150q", hit, line, line[max(0, int(hit.At)-100):])
			}
		}
	}
}

// outside are those leaks that are in memory which a core dump holds.
func outside(leaks []canary.Leak) []canary.Leak {
	return slices.DeleteFunc(slices.Clone(leaks), func(k canary.Leak) bool { return k.Mapping.NoDump })
}

func of(leaks []canary.Leak, pid int) []canary.Leak {
	return slices.DeleteFunc(slices.Clone(leaks), func(k canary.Leak) bool { return k.Process.PID != pid })
}
