package wasm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/rawfile"
	"github.com/kavach-dev/kavach/policy"
)

// seen is what was seen of a worker, before it had seen any module.
type seen struct {
	pid     int // on the host
	filters string
	files   []string // what its descriptors lead to, beside 0, 1 and 2
	others  []string // what else is executed in the jail
}

// look looks at the worker from outside.
func (i *instance) look(worker string) (s seen, err error) {
	for _, pid := range evidence.Below(i.jail.PID()) {
		if !evidence.Executes(pid, worker) {
			s.others = append(s.others, fmt.Sprint(pid))
			continue
		}
		s.pid = pid
	}
	if s.pid == 0 {
		return s, errors.New("look at the worker: the kernel shows none")
	}
	status, err := rawfile.Read(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return s, fmt.Errorf("look at the worker: %w", err)
	}
	s.filters = evidence.ParseStatus(string(status))["Seccomp_filters"]
	s.files, err = evidence.Files(s.pid)
	return s, err
}

// prove adds to what the jail's probe showed, which was started as a worker is, what
// is to be seen of the worker itself.
func prove(i *instance, w *worker, cfg jail.Config) ([]backend.Proof, error) {
	s, err := i.look(cfg.Worker.Program)
	if err != nil {
		return nil, err
	}
	list := evidence.Prove(i.jail.Evidence(), &i.policy, cfg.Filters)
	for n := range list {
		switch p := &list[n]; p.Control {
		case policy.FDsClean:
			*p = s.filesProof(*p)
		case policy.RootReadonly:
			p.Outside += "; what modules see of it are the mounts"
		}
	}
	return append(list, moduleProof(&i.policy), s.kernelProof(w, slices.Contains(i.backend.without, policy.SeccompOn))), nil
}

// filesProof is of the module's descriptors, and the worker's: the channel is one of
// these, and what Go's runtime waits with.
func (s *seen) filesProof(p backend.Proof) backend.Proof {
	extra := 0
	for _, to := range s.files {
		if !strings.HasPrefix(to, "anon_inode:[event") {
			extra++
		}
	}
	const channel = 1
	if extra > channel && p.State == backend.Enforced {
		p.State = backend.Missing
	}
	p.Outside += fmt.Sprintf("; the worker (/proc/%d/fd) has %d more: its channel to the host, which no module sees", s.pid, extra)
	return p
}

// moduleProof is that what runs came from a digest: each module is refused that the
// policy does not name.
func moduleProof(p *policy.Policy) backend.Proof {
	proof := backend.Proof{Control: policy.ImageVerified, State: backend.Missing, Outside: "wasm.modules names no digest, so any module runs"}
	if n := len(p.Wasm.Modules); n > 0 {
		proof.State = backend.Enforced
		proof.Outside = fmt.Sprintf("the SHA-256 of each module is held against the %d of wasm.modules before it is compiled or run", n)
	}
	return proof
}

// kernelProof is that a module makes no system calls: it has those functions that
// it imports, of a runtime that is confined to what WASI takes.
func (s *seen) kernelProof(w *worker, unfiltered bool) backend.Proof {
	alone := len(s.others) == 0
	p := backend.Proof{Control: policy.KernelOwn, State: evidence.Verdict(alone && confined(&w.hello))}
	p.Outside = fmt.Sprintf("/proc/%d/exe is kavach-wasm, and nothing else is executed in the jail: %t; Seccomp_filters %s", s.pid, alone, s.filters)
	answer := func(errno uint32) string { return evidence.Answer(syscall.Errno(errno)) }
	p.Inside = fmt.Sprintf("modules import WASI preview 1, and have no instruction for system calls; from the runtime itself, execve: %s, socket: %s, another filter: %s",
		answer(w.hello.Exec), answer(w.hello.Socket), answer(w.hello.Filter))
	if unfiltered {
		p.Inside += " (its filter was left out)"
	}
	return p
}
