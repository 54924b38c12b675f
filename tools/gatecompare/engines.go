package main

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/gate/gatetest"
	"github.com/rs/zerolog"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"
	"github.com/zricethezav/gitleaks/v8/report"
)

// hit is one finding, of any engine.
type hit struct {
	rule           string
	offset, length int64

	// minor is what does not keep output back: below severity medium. gitleaks has
	// no severities.
	minor bool
}

type engine interface {
	name() string
	find(s *gatetest.Sample) []hit
}

type kavach struct{ scanners []gate.Scanner }

func newKavach() *kavach { return &kavach{[]gate.Scanner{gate.Secrets()}} }

func (k *kavach) name() string { return "Kavach" }

func (k *kavach) find(s *gatetest.Sample) []hit {
	subject := gate.Subject{Name: "stdout"}
	if s.Name != "" {
		const mode = 0o644
		subject = gate.Subject{Name: s.Name, File: true, Mode: mode}
	}
	var hits []hit
	for _, f := range gate.Whole(subject, s.Text, k.scanners...) {
		hits = append(hits, hit{f.Rule, f.Offset, f.Length, f.Severity < gate.Medium})
	}
	return hits
}

const (
	gitleaksVersion = "v8.30.1"

	// gitleaksDepth is the default of its command, --max-decode-depth.
	gitleaksDepth = 5

	// gitleaksChunk is how much of a file it looks at at once (sources/file.go).
	gitleaksChunk = 100_000
)

type gitleaks struct{ detector *detect.Detector }

func newGitleaks() (*gitleaks, error) {
	logging.Logger = logging.Logger.Level(zerolog.Disabled)
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return nil, fmt.Errorf("load gitleaks' rules: %w", err)
	}
	d.MaxDecodeDepth = gitleaksDepth
	return &gitleaks{d}, nil
}

func (g *gitleaks) name() string { return "gitleaks" }

// find looks for the secrets that it reports in the text: it knows lines and
// columns of matches, and not where the secret is. One that it found in an
// encoding is nowhere; that counts where the sample has any secret.
func (g *gitleaks) find(s *gatetest.Sample) []hit {
	var hits []hit
	for _, f := range g.detect(s.Name, s.Text) {
		h := hit{rule: f.RuleID, offset: int64(s.Start), length: int64(len(f.Secret))}
		if at := nearest(s, []byte(f.Secret)); at >= 0 {
			h.offset = int64(at)
		}
		hits = append(hits, h)
	}
	return hits
}

// detect is what gitleaks itself does.
func (g *gitleaks) detect(name string, text []byte) []report.Finding {
	var all []report.Finding
	for part := range slices.Chunk(text, gitleaksChunk) {
		all = append(all, g.detector.Detect(detect.Fragment{Raw: string(part), FilePath: name})...) //nolint:staticcheck // it takes no other type before v9
	}
	return all
}

// nearest is where a text stands in a sample, over its secret if it can be.
func nearest(s *gatetest.Sample, text []byte) int {
	from := max(0, s.Start-len(text)+1)
	if at := bytes.Index(s.Text[from:], text); at >= 0 {
		return from + at
	}
	return bytes.Index(s.Text, text)
}
