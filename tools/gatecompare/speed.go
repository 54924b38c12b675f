package main

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/gate/gatetest"
	"github.com/kavach-dev/kavach/gate/rules"
	"golang.org/x/sys/unix"
)

// runner looks at a text, and of the slow ones at less of it.
type runner struct {
	name string
	most int // bytes; 0: all
	run  func(text []byte)
}

func runners(peer *gitleaks) []runner {
	whole := func(scanners ...gate.Scanner) func([]byte) {
		return func(text []byte) { gate.Whole(gate.Subject{Name: "stdout"}, text, scanners...) }
	}
	const slow, slowest = 256 << 10, 32 << 10
	return []runner{
		{"Kavach, secrets", 0, whole(gate.Secrets())},
		{"Kavach, secrets and personal data", 0, whole(gate.Secrets(), gate.Personal())},
		{"Kavach, all scanners", 0, whole(gate.Secrets(), gate.Personal(), gate.Terminal(), gate.Content())},
		{"gitleaks, detector", slow, func(text []byte) { peer.detect("", text) }},
		{"each rule, package regexp", slowest, plain()},
	}
}

// plain is what a program does that has the rules and nothing else.
func plain() func([]byte) {
	var all []*regexp.Regexp
	for _, rule := range rules.All() {
		if rule.Regex != "" {
			all = append(all, regexp.MustCompile(rule.Regex))
		}
	}
	return func(text []byte) {
		for _, re := range all {
			re.FindAllIndex(text, -1)
		}
	}
}

type text struct {
	name string
	data []byte
}

// texts are of several megabytes each, so that what is done once counts for little.
func texts(o options) []text {
	const size = 16 << 20
	var clean, dense, binary bytes.Buffer
	for _, p := range places() {
		to := &clean
		switch p.kind {
		case "Go source, GOROOT", "documentation and licences", "Python, its library":
		case "programs":
			to = &binary
		default:
			continue
		}
		for _, s := range p.collect(o.seed, size) {
			to.Write(s.Text)
		}
	}
	secrets, _ := gatetest.Secrets(rules.All(), o.seed, o.each) // quality has said what cannot be written
	for i := 0; dense.Len() < size/4 && len(secrets) > 0; i++ {
		dense.Write(secrets[i%len(secrets)].Text)
	}
	logs := bytes.Buffer{}
	for _, s := range gatetest.Ordinary(o.seed, size/8) {
		if strings.HasSuffix(s.Kind, "log") {
			logs.Write(s.Text)
		}
	}
	prose := gatetest.Ordinary(o.seed, size)[0].Text
	return []text{{"English", prose}, {"code and documents", cut(clean.Bytes(), size)}, {"logs", logs.Bytes()}, {"a secret in each line", dense.Bytes()}, {"programs", cut(binary.Bytes(), size)}}
}

func cut(b []byte, size int) []byte { return b[:min(len(b), size)] }

// speed measures in turns: every runner once on every text, and again.
func speed(b *strings.Builder, o options, peer *gitleaks) {
	all, of := runners(peer), texts(o)
	took := make([][][]float64, len(all))
	for i := range took {
		took[i] = make([][]float64, len(of))
	}
	for range o.rounds + 1 { // the first compiles, and does not count
		for i, r := range all {
			for j, t := range of {
				data := t.data
				if r.most > 0 {
					data = cut(data, r.most)
				}
				start := cpu()
				r.run(data)
				took[i][j] = append(took[i][j], float64(len(data))/1e6/(cpu()-start).Seconds())
			}
		}
	}
	fmt.Fprintf(b, "## Speed\n\nMegabytes a second of processor time on one core (GOMAXPROCS=1, user and system time of the process, its garbage collection too), median of %d rounds in turns; the whole text in one call, and of the slow ones a part of it. The budget (docs/DESIGN.md, section 9): 200 with all rules for secrets on clean text, 60 with personal data too. None of the texts is free of what rules begin with: the English is generated, and most of its sentences are about keys, tokens and passwords; each line of the logs has identifiers and hashes.\n\n", o.rounds)
	head := []string{"MB/s"}
	for _, t := range of {
		head = append(head, t.name)
	}
	t := table{head}
	for i, r := range all {
		row := []string{r.name}
		for j := range of {
			row = append(row, figure(median(took[i][j][1:])))
		}
		t = append(t, row)
	}
	t.write(b)
	runtime.GC()
}

// cpu is the processor time that this process has used: other load on the machine
// changes it little.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic("read the process's times: " + err.Error()) // the call has no way to fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	return s[len(s)/2]
}

func figure(x float64) string {
	if x < 10 {
		return fmt.Sprintf("%.2g", x)
	}
	return fmt.Sprintf("%.0f", x)
}
