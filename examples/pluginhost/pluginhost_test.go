package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
)

// here is a file of this directory; tests may run far from it.
func here(t testing.TB, name string) string {
	t.Helper()
	dir := "."
	if root := os.Getenv("KAVACH_SOURCE"); root != "" {
		dir = filepath.Join(root, "examples", "pluginhost")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// patience is the deadline of calls that are to be answered. It only ends a test
// that hangs.
const patience = time.Minute

// running starts a plugin of dir.
func running(t testing.TB, deadline time.Duration, dir string, args ...string) *plugin {
	t.Helper()
	policy, err := confine(dir, 60)
	if err != nil {
		t.Fatal(err)
	}
	return started(t, deadline, inSandbox(&kavach.Runtime{Backends: all.All()}, policy, args))
}

func started(t testing.TB, deadline time.Duration, l launch) *plugin {
	t.Helper()
	p := &plugin{
		name: "test", launch: l, deadline: deadline, log: func(string) {},
		pauses: pauses{first: time.Millisecond, longest: time.Millisecond, steady: time.Hour},
	}
	p.start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p.close(ctx)
	})
	return p
}

func bad(t *testing.T, deadline time.Duration) *plugin {
	t.Helper()
	return running(t, deadline, here(t, "testdata"), "python3", "-u", "/plugin/bad.py")
}

func TestHost(t *testing.T) {
	calls := `{"plugin":"words","method":"count","params":"six times seven"}
{"plugin":"shout","method":"","params":"hello"}
{"plugin":"words","method":"sum"}
{"plugin":"nobody","method":"count"}`
	var out, log bytes.Buffer
	o := options{minScore: 60, deadline: patience, grace: patience}
	if err := host(context.Background(), o, here(t, "plugins/plugins.json"), strings.NewReader(calls), &out, &log); err != nil {
		t.Fatal(err)
	}
	want := `{"plugin":"words","result":3}
{"plugin":"shout","result":"HELLO"}
{"plugin":"words","error":"the plugin says: there is no method sum"}
{"plugin":"nobody","error":"there is no such plugin"}
`
	if out.String() != want {
		t.Errorf("the host replied:\n%swant:\n%s", &out, want)
	}
	if log.Len() > 0 {
		t.Errorf("plugins ended before they were told to: %s", &log)
	}
	if left := guests(t); left != 0 {
		t.Errorf("%d sandboxes are left", left)
	}
}

func TestHostRefuses(t *testing.T) {
	var out, log bytes.Buffer
	o := options{minScore: 100, deadline: patience, grace: patience}
	call := strings.NewReader(`{"plugin":"words","method":"count","params":"x"}`)
	if err := host(context.Background(), o, here(t, "plugins/plugins.json"), call, &out, &log); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "the policy requires 100") {
		t.Errorf("a plugin ran with less proven than was required: %s", &out)
	}
}

// Each kind of plugin that fails is ended, its call fails with the reason, and
// the next call finds a new life that knows nothing of the last.
func TestPluginsThatFail(t *testing.T) {
	for _, tt := range []struct {
		method string
		want   string
		is     error
	}{
		{"die", `exited with code 7: "out of luck"`, nil},
		{"flood", "a line of more than", errFlood},
		{"noise", "on stderr without an answer", errFlood},
		{"babble", "nobody asked for answer 123456789", errTalk},
		{"gibberish", "invalid character", errTalk},
	} {
		t.Run(tt.method, func(t *testing.T) {
			p := bad(t, patience)
			ctx := context.Background()
			if _, err := p.call(ctx, "leave", nil); err != nil {
				t.Fatal(err)
			}
			_, err := p.call(ctx, tt.method, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("the call ended with: %v, want: %s", err, tt.want)
			}
			if found, err := p.call(ctx, "look", nil); err != nil || string(found) != "false" {
				t.Errorf("the next life says of what the last left: %s, %v, want false", found, err)
			}
		})
	}
}

func TestPluginThatHangs(t *testing.T) {
	p := bad(t, patience)
	if _, err := p.call(context.Background(), "echo", 1); err != nil { // it is up
		t.Fatal(err)
	}
	p.deadline = time.Second
	if _, err := p.call(context.Background(), "hang", nil); !errors.Is(err, errHung) {
		t.Errorf("the call ended with %v, want %v", err, errHung)
	}
	p.deadline = patience
	if got, err := p.call(context.Background(), "echo", 2); err != nil || string(got) != "2" {
		t.Errorf("the next life says %s, %v, want 2", got, err)
	}
}

// A plugin that reads no more must not block its host: neither one call, nor as
// many as fill every pipe.
func TestPluginThatIsDeaf(t *testing.T) {
	p := bad(t, patience)
	if _, err := p.call(context.Background(), "deaf", nil); err != nil {
		t.Fatal(err)
	}
	p.deadline = time.Second
	var all sync.WaitGroup
	for range 2 * maxCalls {
		all.Go(func() {
			if _, err := p.call(context.Background(), "echo", strings.Repeat("x", 64<<10)); err == nil {
				t.Error("a plugin that does not read has answered")
			}
		})
	}
	all.Wait()
}

// Whoever loses interest in a call does not end the plugin, and the late answer
// is nobody else's.
func TestCallerLosesInterest(t *testing.T) {
	p := bad(t, patience)
	if _, err := p.call(context.Background(), "leave", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.call(ctx, "echo", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v, want %v", err, context.Canceled)
	}
	for i := range 10 {
		if got, err := p.call(context.Background(), "echo", i); err != nil || string(got) != strconv.Itoa(i) {
			t.Fatalf("call %d: %s, %v", i, got, err)
		}
	}
	if found, err := p.call(context.Background(), "look", nil); err != nil || string(found) != "true" {
		t.Errorf("the plugin was started anew: %s, %v", found, err)
	}
}

func TestPluginIsConfined(t *testing.T) {
	p := bad(t, patience)
	if got, err := p.call(context.Background(), "escape", nil); err != nil || !strings.Contains(string(got), "No such file") {
		t.Errorf("/etc/shadow, from a plugin: %s, %v", got, err)
	}
}

// TestManyCalls makes as many calls as an hour of work has, and looks at what
// the host has grown by.
func TestManyCalls(t *testing.T) {
	const (
		warmUp  = 2_000
		calls   = 20_000
		callers = 4

		// What the heap may have more afterwards: a thousandth of what would be
		// there if each call left 1 kB behind.
		mostHeap = 256 << 10
		mostRSS  = 8 << 20 // what the Go runtime keeps of a heap comes and goes
	)
	p := running(t, patience, here(t, "plugins"), "python3", "-u", "/plugin/words.py")
	many := func(n int) {
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range n / callers {
					got, err := p.call(context.Background(), "count", "a few words to count")
					if err != nil || string(got) != "5" {
						t.Errorf("a call: %s, %v", got, err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	many(warmUp)
	before, began := held(t), time.Now()
	many(calls)
	took, after := time.Since(began), held(t)
	t.Logf("%d calls of %d callers, %.0f a second; before: %v; after: %v", calls, callers, calls/took.Seconds(), before, after)
	if after.heap > before.heap+mostHeap || after.rss > before.rss+mostRSS {
		t.Errorf("memory has grown: before: %v; after: %v", before, after)
	}
	if after.goroutines > before.goroutines || after.files > before.files || after.guests != before.guests {
		t.Errorf("something was left: before: %v; after: %v", before, after)
	}
}

// holding is what this program holds.
type holding struct {
	heap, rss                 int64 // bytes
	goroutines, files, guests int
}

func (h holding) String() string {
	return fmt.Sprintf("heap %d kB, resident %d kB, %d goroutines, %d descriptors, %d sandboxes",
		h.heap>>10, h.rss>>10, h.goroutines, h.files, h.guests)
}

func held(t testing.TB) holding {
	t.Helper()
	runtime.GC()
	runtime.GC() // what the first has freed of pools is only dropped by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return holding{int64(m.HeapAlloc), pages * int64(os.Getpagesize()), runtime.NumGoroutine(), len(files), guests(t)}
}

// guests counts the children of this program.
func guests(t testing.TB) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		n += len(strings.Fields(string(text)))
	}
	return n
}

// BenchmarkCall makes one call to a plugin in a sandbox, and then one to the same
// without, or the other way round, so that what disturbs the machine disturbs both.
func BenchmarkCall(b *testing.B) {
	dir := here(b, "plugins")
	plugins := []*plugin{
		running(b, patience, dir, "python3", "-u", "/plugin/words.py"),
		started(b, patience, inTheOpen("python3", "-u", filepath.Join(dir, "words.py"))),
	}
	var took [2][]time.Duration
	rounds := 0
	round := func() {
		rounds++
		for turn := range plugins {
			i := (turn + rounds) % len(plugins)
			began := time.Now()
			if got, err := plugins[i].call(context.Background(), "count", "a few words to count"); err != nil || string(got) != "5" {
				b.Fatal(string(got), err)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	round() // both are up
	took = [2][]time.Duration{}
	for b.Loop() {
		round()
	}
	var medians [2]float64
	for i := range took {
		slices.Sort(took[i])
		medians[i] = float64(took[i][len(took[i])/2])
	}
	b.ReportMetric(medians[0]/1e3, "µs/sandbox")
	b.ReportMetric(medians[1]/1e3, "µs/open")
	b.ReportMetric(medians[0]/medians[1], "ratio")
}

// inTheOpen launches a command of the host with no sandbox at all.
func inTheOpen(args ...string) launch {
	return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
		cmd.WaitDelay = time.Second // os/exec would wait for stdin, which ends after this
		return cmd.Run()
	}
}
