package kavach

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/kavach-dev/kavach/gate"
)

// FileReport is what the gate says of a file that was to leave.
type FileReport struct {
	Path string // as it is called in the findings
	gate.Report
}

// FileReports are what the gate has said of the files of this sandbox that Apply and
// Export were to let out, where it found anything in them.
func (s *Sandbox) FileReports() []FileReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.held)
}

// gateFile has the gate look at a file that is to leave.
func (s *Sandbox) gateFile(ctx context.Context, f gate.File) (gate.Report, error) {
	report, err := s.gate.File(ctx, f)
	if err == nil && (len(report.Findings) > 0 || report.Withheld()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = append(s.held, FileReport{f.Name, report})
	}
	return report, err
}

// withheldReason says why a file was withheld, and where it is.
func withheldReason(r *gate.Report) string {
	why := "withheld: " + r.Reason
	if r.Quarantine != "" {
		why += " (in quarantine as " + r.Quarantine + ")"
	}
	return why
}

// gateMemory has the gate look at memory of a plugin, and returns what may be seen of
// it.
func (s *Sandbox) gateMemory(ctx context.Context, exec int, data []byte) ([]byte, error) {
	const name = "memory"
	var out bytes.Buffer
	g := s.gate.Command(exec, false)
	_, writeErr := g.Stream(name, &out, gate.How{Collected: true}).Write(data)
	report, err := g.Finish(ctx)
	switch {
	case report.Withheld():
		return nil, errors.Join(&WithheldError{Sandbox: s.id, Name: name, Report: report}, err)
	case err != nil || writeErr != nil:
		return nil, errors.Join(err, writeErr)
	}
	return out.Bytes(), nil
}
