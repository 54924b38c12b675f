package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// report is the outcome of a run.
type report struct {
	Date    string    `json:"date"`
	System  string    `json:"system"`
	CPUs    int       `json:"cpus"`
	Go      string    `json:"go"`
	UID     int       `json:"uid"`
	Rounds  int       `json:"rounds"`
	Rows    []line    `json:"rows"`
	Memory  *memory   `json:"memory,omitempty"`
	Many    *many     `json:"many,omitempty"`
	AtOnce  []*atOnce `json:"containers_at_once,omitempty"`
	Unpack  string    `json:"unpack,omitempty"` // what was unpacked
	Cycles  *cycled   `json:"cycles,omitempty"`
	Failed  []string  `json:"failed,omitempty"`
	Missing []string  `json:"missing,omitempty"`
}

// line is a row, summed up.
type line struct {
	Name string `json:"name"`
	What string `json:"what"`

	// PartOf is the row that this one is a part of. Empty: of none.
	PartOf string `json:"part_of,omitempty"`

	// Missing says why there are no figures. Empty: there are.
	Missing string `json:"missing,omitempty"`
	*stats

	// Ratio is the median to the median of the row Against, RatioMin the same
	// of minima. Zero: it is compared with nothing that was measured.
	Against  string  `json:"against,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
	RatioMin float64 `json:"ratio_min,omitempty"`
	Budget   float64 `json:"budget,omitempty"`
	Goal     float64 `json:"goal,omitempty"`
}

func newReport(rounds int, now time.Time) *report {
	return &report{
		Date: now.Format(time.DateOnly), System: kernel(), CPUs: runtime.NumCPU(),
		Go: runtime.Version(), UID: os.Getuid(), Rounds: rounds,
	}
}

// kernel says what the machine runs.
func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return fmt.Sprintf("%s/%s %s", runtime.GOOS, runtime.GOARCH, strings.TrimSpace(string(b)))
}

func (r *report) fail(name string, err error) {
	r.Failed = append(r.Failed, fmt.Sprintf("%s: %v", name, err))
}

// addTimes sums up what was measured.
func (r *report) addTimes(rows []*row) {
	byName := make(map[string]*row)
	for _, row := range rows {
		byName[row.name] = row
	}
	for _, row := range rows {
		l := line{Name: row.name, What: row.what, PartOf: row.partOf, Against: row.against, Budget: row.budget, Goal: row.goal, Missing: why(row, byName)}
		switch {
		case l.Missing == "" || row.partOf != "" || row.optional:
		case l.Missing == notInstalled:
			r.Missing = append(r.Missing, row.name)
		default:
			r.Failed = append(r.Failed, row.name+": "+l.Missing)
		}
		if l.Missing == "" {
			s := sum(row.samples)
			l.stats = &s
			if peer := byName[row.against]; peer != nil && why(peer, byName) == "" {
				other := sum(peer.samples)
				l.Ratio, l.RatioMin = ratio(s.Median, other.Median), ratio(s.Min, other.Min)
			}
		}
		r.Rows = append(r.Rows, l)
	}
}

// why says why there are no samples of a row. Empty: there are.
func why(r *row, byName map[string]*row) string {
	if whole := byName[r.partOf]; whole != nil {
		return whole.missing
	}
	return r.missing
}

// verdict is an error where something could not be measured. A peer that is not
// installed is one in CI only, which must have them all.
func (r *report) verdict() error {
	var errs []error
	for _, f := range r.Failed {
		errs = append(errs, errors.New(f))
	}
	if len(r.Missing) > 0 && os.Getenv("CI") == "true" {
		errs = append(errs, fmt.Errorf("not installed: %s", strings.Join(r.Missing, ", ")))
	}
	return errors.Join(errs...)
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// write prints tables for people.
func (r *report) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %d rounds, in turns\n\n", r.machine(), r.Rounds)
	if len(r.Rows) > 0 {
		times := table{{"row", "min", "median", "p90", "ratio", "of min", "to", "budget", "goal", ""}}
		for _, l := range r.Rows {
			if l.Missing == "" || l.PartOf == "" { // what is missing of the whole is said once
				times = append(times, l.cells())
			}
		}
		times.write(&b)
	}
	if r.Unpack != "" {
		fmt.Fprintln(&b, r.Unpack)
	}
	if r.Memory != nil {
		r.Memory.write(&b)
	}
	if r.Many != nil {
		r.Many.write(&b)
	}
	if len(r.AtOnce) > 0 {
		writeAtOnce(&b, r.AtOnce)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// machine says when and where this ran.
func (r *report) machine() string {
	user := "an ordinary user"
	if r.UID == 0 {
		user = "root"
	}
	return fmt.Sprintf("%s, %s, %d CPUs, %s, as %s", r.Date, r.System, r.CPUs, r.Go, user)
}

// brief is the beginning of a reason, which JSON has whole.
func brief(reason string) string {
	const most = 160
	line, _, _ := strings.Cut(reason, "\n")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}

func (l *line) cells() []string {
	if l.stats == nil {
		return []string{l.Name, brief(l.Missing)}
	}
	cells := []string{l.Name, ms(l.Min), ms(l.Median), ms(l.P90)}
	if l.Ratio == 0 {
		return cells
	}
	return append(cells, times(l.Ratio), times(l.RatioMin), l.Against, times(l.Budget), times(l.Goal), met(l.Ratio, l.Budget, l.Goal))
}

// met holds a figure against its budget and its goal. Zero: there is none.
func met(figure, budget, goal float64) string {
	switch {
	case budget == 0:
		return ""
	case figure > budget:
		return "missed"
	case goal == 0 || figure <= goal:
		return "met"
	}
	return "budget met, goal not"
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

func times(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f ×", x)
}

func mb(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }

func (m *memory) write(w io.Writer) {
	fmt.Fprintln(w)
	t := table{{"private memory of an idle guest", "", "budget", ""}}
	for _, at := range []struct {
		name  string
		bytes int64
	}{{"the only one", m.Alone}, {"one of two", m.Beside}} {
		t = append(t, []string{at.name, mb(at.bytes), mb(memoryBudget), met(float64(at.bytes), memoryBudget, 0)})
	}
	if m.Worker > 0 {
		t = append(t, []string{"wasm: guest and worker", mb(m.Worker), "", ""}, []string{"wasm: guest and plugin", mb(m.Plugin), "", ""})
	}
	t.write(w)
}

func (m *many) write(w io.Writer) {
	fmt.Fprintln(w)
	t := table{{"at once", "create", "to floor", "exec true", "to floor", "floor", "guest", "this program", "kernel"}}
	for _, s := range m.Steps {
		t = append(t, []string{
			fmt.Sprint(s.Sandboxes), ms(s.Create), times(ratio(s.Create, s.Floor)), ms(s.Exec), times(ratio(s.Exec, s.Floor)),
			ms(s.Floor), mb(s.Guest), mb(s.Host), mb(s.Kernel),
		})
	}
	t.write(w)
	fmt.Fprintf(w, "medians, bytes for each sandbox; destroy %s; left behind: %d processes\n", ms(m.Destroy), m.Left)
}
