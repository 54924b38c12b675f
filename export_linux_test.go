package kavach_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/internal/takeout"
)

// exporting is a world whose places let files out, as a function says.
type exporting struct {
	*world
	export func(ctx context.Context, e backend.Export, w *os.File) error
}

func (x *exporting) Create(ctx context.Context, spec backend.Spec) (backend.Instance, error) {
	inner, err := x.world.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &exportingPlace{inner.(*place), x}, nil
}

type exportingPlace struct {
	*place
	x *exporting
}

func (p *exportingPlace) Export(ctx context.Context, e backend.Export, w *os.File) error {
	p.note("read %s", filepath.Base(e.Path))
	return p.x.export(ctx, e, w)
}

// honest reads the host's own files.
func honest(_ context.Context, e backend.Export, w *os.File) error {
	return takeout.Send(w, takeout.Request{Path: e.Path, Limits: takeout.Limits{
		FileBytes: e.FileBytes, TotalBytes: e.TotalBytes, Entries: e.Entries, Depth: e.Depth,
	}})
}

// exporter makes a sandbox whose files come from a function, and an empty directory
// for them.
func exporter(t *testing.T, w *world, from func(context.Context, backend.Export, *os.File) error) (*kavach.Sandbox, string) {
	t.Helper()
	rt := w.runtime()
	rt.Backends = []backend.Backend{&exporting{w, from}}
	sb, err := rt.Create(t.Context(), kavach.Config{Backend: "noop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sb.Destroy(context.Background()) })
	return sb, t.TempDir()
}

// planted is a directory with files in it, as somebody inside has made it.
func planted(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "d")
	for name, mode := range map[string]os.FileMode{"good": 0o640, "sub/secret": 0o600, "sub/tool": 0o711} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte("in "+filepath.Base(name)), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func below(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(at string, d os.DirEntry, err error) error {
		if err == nil && at != dir {
			info, _ := d.Info()
			names = append(names, strings.TrimPrefix(at, dir+"/")+" "+info.Mode().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, ", ")
}

func exportStates(out []kavach.ExportOutcome) string {
	var all []string
	for _, o := range out {
		all = append(all, filepath.Base(o.Dest)+" "+string(o.State))
	}
	return strings.Join(all, ", ")
}

func TestExport(t *testing.T) {
	w := newWorld()
	sb, to := exporter(t, w, honest)
	from := planted(t)
	if err := os.Symlink("/etc/passwd", from+"/link"); err != nil {
		t.Fatal(err)
	}
	out, err := sb.Export(t.Context(), []kavach.Export{{Path: from, Dest: to + "/"}, {Path: from + "/good", Dest: to + "/one"}, {Path: "/nothing", Dest: to}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "d exported, good exported, link refused, secret exported, tool exported, one exported, nothing refused"
	if got := exportStates(out); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	const files = "d drwxr-xr-x, d/good -rw-r--r--, d/sub drwxr-xr-x, d/sub/secret -rw-r--r--, d/sub/tool -rwxr-xr-x, one -rw-r--r--"
	if got := below(t, to); got != files {
		t.Errorf("on the host is %s\nwant %s", got, files)
	}
	i := slices.IndexFunc(w.journal(), func(s string) bool { return s == "record export" })
	if i < 0 || !slices.Equal(w.journal()[i-3:i], []string{"read d", "read good", "read nothing"}) {
		t.Errorf("%v", w.journal())
	}
}

// TestExportHeld: what is withheld stays out, and the rest is exported without it;
// where the record fails, nothing is.
func TestExportHeld(t *testing.T) {
	from := planted(t)
	finds := func(word string) *gate.Gate {
		return (&words{find: map[string]gate.Severity{word: gate.High}}).gate()
	}
	full := finds("in tool")
	full.Quarantine = noRoom{}
	for _, test := range []struct {
		name   string
		gate   *gate.Gate
		record kavach.Act
		states string // "" is an error
		files  string
	}{
		{"nothing held", nil, "", "d exported, good exported, secret exported, tool exported, good exported",
			"d drwxr-xr-x, d/good -rw-r--r--, d/sub drwxr-xr-x, d/sub/secret -rw-r--r--, d/sub/tool -rwxr-xr-x, good -rw-r--r--"},
		{"one of a directory", finds("in secret"), "", "d exported, good exported, secret withheld, tool exported, good exported",
			"d drwxr-xr-x, d/good -rw-r--r--, d/sub drwxr-xr-x, d/sub/tool -rwxr-xr-x, good -rw-r--r--"},
		{"a file that was named", finds("in good"), "", "d exported, good withheld, secret exported, tool exported, good withheld",
			"d drwxr-xr-x, d/sub drwxr-xr-x, d/sub/secret -rw-r--r--, d/sub/tool -rwxr-xr-x"},
		{"a scanner that crashes on one", (&words{crash: from + "/sub/tool"}).gate(), "", "d exported, good exported, secret exported, tool withheld, good exported",
			"d drwxr-xr-x, d/good -rw-r--r--, d/sub drwxr-xr-x, d/sub/secret -rw-r--r--, good -rw-r--r--"},
		{"the quarantine is full", full, "", "d exported, good exported, secret exported, tool withheld, good exported",
			"d drwxr-xr-x, d/good -rw-r--r--, d/sub drwxr-xr-x, d/sub/secret -rw-r--r--, good -rw-r--r--"},
		{"the record fails", nil, "export", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.refuse = test.record
			rt := w.runtime()
			rt.Backends, rt.Gate = []backend.Backend{&exporting{w, honest}}, test.gate
			sb, err := rt.Create(t.Context(), kavach.Config{Backend: "noop"})
			if err != nil {
				t.Fatal(err)
			}
			defer sb.Destroy(context.Background())
			to := t.TempDir()
			out, err := sb.Export(t.Context(), []kavach.Export{{Path: from, Dest: to + "/"}, {Path: from + "/good", Dest: to}})
			if (err != nil) != (test.states == "") || exportStates(out) != test.states {
				t.Errorf("%v, %s\nwant %s", err, exportStates(out), test.states)
			}
			if got := below(t, to); got != test.files {
				t.Errorf("on the host is %s\nwant %s", got, test.files)
			}
		})
	}
}

// noRoom is a quarantine that is full.
type noRoom struct{}

func (noRoom) Keep(context.Context, gate.Held, ...gate.Part) (string, error) { return "", errTest }

var mode = []byte{0xa4, 1, 0, 0} // 0644

// TestExportLies: whoever is inside and says what no sender of ours would, gets
// nothing out, and nothing is left of it.
func TestExportLies(t *testing.T) {
	entry := func(kind byte, name string, rest ...byte) []byte {
		b := binary.LittleEndian.AppendUint32([]byte{kind}, uint32(len(name)))
		return append(append(b, name...), rest...)
	}
	dir := func(name string) []byte { return entry('d', name, mode...) }
	file := func(name string) []byte {
		return append(entry('f', name, mode...), 1, 0, 0, 0, 'x', 0, 0, 0, 0, 0, 0, 0, 0)
	}
	end := entry('e', "")
	for name, stream := range map[string][]byte{
		"nothing":                nil,
		"no end":                 file(""),
		"no end of a directory":  slices.Concat(dir(""), file("a")),
		"parent":                 slices.Concat(dir(""), file("../x"), end),
		"absolute":               slices.Concat(dir(""), file("/tmp/x"), end),
		"without its parent":     slices.Concat(dir(""), file("a/b"), end),
		"below a file":           slices.Concat(dir(""), file("a"), file("a/b"), end),
		"twice":                  slices.Concat(dir(""), file("a"), file("a"), end),
		"a file and a directory": slices.Concat(dir(""), file("a"), dir("a"), end),
		"garbage":                []byte(strings.Repeat("f\x00", 1000)),
		"a page of HTML":         []byte("<html></html>"),
	} {
		t.Run(name, func(t *testing.T) {
			sb, to := exporter(t, newWorld(), func(_ context.Context, _ backend.Export, w *os.File) error {
				_, _ = w.Write(stream) // the reader may have seen enough
				return nil
			})
			out, err := sb.Export(t.Context(), []kavach.Export{{Path: "/x", Dest: to + "/"}})
			if err == nil && (len(out) != 1 || out[0].State != kavach.ExportRefused) {
				t.Errorf("%+v", out)
			}
			if got := below(t, to); got != "" {
				t.Errorf("on the host is %s", got)
			}
		})
	}
}

// TestExportSlow: somebody inside who sends a byte now and then does not keep the
// host, nor does the caller's context wait.
func TestExportSlow(t *testing.T) {
	drip := func(_ context.Context, _ backend.Export, w *os.File) error {
		for next := append([]byte{'f', 0, 0, 0, 0}, mode...); ; next = []byte{1, 0, 0, 0, 'x'} {
			if _, err := w.Write(next); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	stuck := func(ctx context.Context, _ backend.Export, _ *os.File) error { <-ctx.Done(); return ctx.Err() }
	for name, from := range map[string]func(context.Context, backend.Export, *os.File) error{"drip": drip, "stuck": stuck} {
		sb, to := exporter(t, newWorld(), from)
		out, err := sb.Export(t.Context(), []kavach.Export{{Path: "/x", Dest: to + "/", Limits: kavach.ExportLimits{Time: 50 * time.Millisecond}}})
		if err != nil || len(out) != 1 || !strings.Contains(out[0].Reason, "more than") {
			t.Errorf("%s: %+v %v", name, out, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := sb.Export(ctx, []kavach.Export{{Path: "/x", Dest: to + "/"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		if got := below(t, to); got != "" {
			t.Errorf("%s: on the host is %s", name, got)
		}
	}
}

func TestExportNotNow(t *testing.T) {
	w := newWorld()
	sb, to := exporter(t, w, honest)
	exports := []kavach.Export{{Path: "/x", Dest: to}}
	var state *kavach.StateError
	if err := sb.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := sb.Export(t.Context(), exports); !errors.As(err, &state) {
		t.Errorf("paused: %v", err)
	}
	if err := sb.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := sb.Export(t.Context(), exports); !errors.As(err, &state) {
		t.Errorf("destroyed: %v", err)
	}
	if _, err := newWorld().create(t).Export(t.Context(), exports); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a backend that lets nothing out: %v", err)
	}
}
