package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// tick is how often progress is told to a program at most.
const tick = 100 * time.Millisecond

// barWidth is that of a bar, in columns; a narrower terminal has narrower ones.
const barWidth = 40

// meter shows how far all layers together are. Its zero value shows nothing.
type meter struct {
	bars  *mpb.Progress // nil: none are drawn
	whole *mpb.Bar
	lines *json.Encoder // nil: none are written

	mu          sync.Mutex
	done, total int64
	last        time.Time
}

// step is a line of --progress json.
type step struct {
	Done  int64 `json:"done"`  // bytes of layers
	Total int64 `json:"total"` // of them all
}

// newMeter shows progress as the job asks for.
func (j *job) newMeter(total int64) *meter {
	m := &meter{total: total}
	switch {
	case j.stderr == nil || total == 0:
	case j.progress == "json":
		m.lines = json.NewEncoder(j.stderr)
		m.tell(0, true)
	case j.progress == "auto" && term.IsTerminal(int(j.stderr.Fd())):
		m.draw(j.stderr)
	}
	return m
}

func (m *meter) draw(w io.Writer) {
	m.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(barWidth), mpb.WithAutoRefresh())
	m.whole = m.bars.New(m.total, mpb.BarStyle(),
		mpb.BarPriority(maxLayers+1), // below the others
		mpb.PrependDecorators(decor.Name("all", decor.WC{W: 13, C: decor.DindentRight}), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)))
}

// tell counts bytes, which may be taken back.
func (m *meter) tell(n int64, now bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if m.lines != nil && (now || time.Since(m.last) >= tick) {
		m.last = time.Now()
		_ = m.lines.Encode(step{m.done, m.total}) // nobody has to look
	}
}

// close ends what is shown. Where not all went well, the bars are taken away.
func (m *meter) close(whole bool) {
	m.tell(0, true)
	if m.bars == nil {
		return
	}
	if whole {
		m.whole.SetTotal(m.total, true)
	} else {
		m.whole.Abort(true)
	}
	m.bars.Wait()
}

// bar shows how far one layer is.
type bar struct {
	meter *meter
	drawn *mpb.Bar // nil: it is not
}

func (m *meter) begin(d v1.Descriptor) *bar {
	b := &bar{meter: m}
	if m.bars != nil && d.Size > 0 {
		b.drawn = m.bars.New(d.Size, mpb.BarStyle(), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(d.Digest.Hex[:12]+" "), decor.CountersKibiByte("% .1f / % .1f")))
	}
	return b
}

// Write implements io.Writer: it counts.
func (b *bar) Write(p []byte) (int, error) {
	b.count(int64(len(p)))
	return len(p), nil
}

// back takes back what was counted.
func (b *bar) back(n int64) { b.count(-n) }

func (b *bar) count(n int64) {
	b.meter.tell(n, false)
	if b.meter.bars != nil {
		b.meter.whole.IncrInt64(n)
	}
	if b.drawn != nil {
		b.drawn.IncrInt64(n)
	}
}

func (b *bar) end(whole bool) {
	if b.drawn != nil && !whole {
		b.drawn.Abort(true)
	}
}
