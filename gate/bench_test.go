//go:build unix

package gate

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// material is ordinary text of this machine, of one kind.
func material(tb testing.TB, pattern string, most int) []byte {
	tb.Helper()
	files, _ := filepath.Glob(filepath.Join(runtime.GOROOT(), pattern)) //nolint:staticcheck // the source that is there
	var b []byte
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		if b = append(b, text...); len(b) >= most {
			return b[:most]
		}
	}
	if len(b) == 0 {
		tb.Skip("there is no such file: " + pattern)
	}
	return bytes.Repeat(b, most/len(b)+1)[:most]
}

func BenchmarkScan(b *testing.B) {
	const size = 8 << 20
	noise := make([]byte, size)
	_, _ = rand.Read(noise)
	texts := []struct {
		name string
		text []byte
	}{
		{"prose", material(b, "doc/*.html", size)},
		{"source", material(b, "src/net/http/*.go", size)},
		{"noise", noise},
	}
	known, _, _ := Known([]Secret{NewSecret("NAME", []byte("correct horse battery staple"))})
	for _, scanners := range []struct {
		name string
		list []Scanner
	}{
		{"index", nil},
		{"secrets", []Scanner{Secrets()}},
		{"default", []Scanner{known, Secrets(), Terminal(), Content()}},
		{"all", []Scanner{known, Secrets(), Terminal(), Content(), Personal()}},
	} {
		for _, tt := range texts {
			b.Run(scanners.name+"/"+tt.name, func(b *testing.B) {
				b.SetBytes(int64(len(tt.text)))
				before := cpuTime(b)
				for range b.N {
					if scanners.list == nil {
						secretSet().index().find(tt.text, 0, func(int, int) {})
						continue
					}
					s := newScan(Subject{Name: "stdout"}, scanners.list)
					feed(s, tt.text, 64<<10, func(Match) {})
				}
				// Of the processor's time: other programs run beside this one.
				b.ReportMetric(float64(b.N)*float64(len(tt.text))/1e6/(cpuTime(b)-before).Seconds(), "MB/cpu-s")
			})
		}
	}
}

// cpuTime is what this program has used so far.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
