package container

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/rawfile"
	"github.com/kavach-dev/kavach/policy"
)

// gvisor is what was seen of runsc's processes.
type gvisor struct {
	log     *os.File
	domains []domain // that the sentry and the gofer say they are in

	gofer       int // its pid on the host
	goferMounts []evidence.Mount
	stubs       int      // processes that run the code of the container
	open        []string // the stubs and others without a filter
	files       []string // descriptors of the sentry that lead to files of the host
	runtime     int      // how many processes there are that execute the runtime
	others      []string // what else is executed
}

// domain is a line that kavach-runsc writes when a process of it has entered a
// Landlock domain and has tried what must be refused.
type domain struct {
	Msg      string   `json:"msg"`
	Process  string   `json:"process"`
	Landlock int      `json:"landlock"`
	Refused  []string `json:"refused"`
}

// look looks at the probe, which to this kernel is the sentry.
func (r *run) look(e *evidence.Evidence, p *evidence.Probe) error {
	group, why := r.jail.Group()
	if err := e.Look(p, group, why); err != nil {
		return err
	}
	e.Environ = slices.DeleteFunc(e.Environ, ofRunsc)
	<-r.settled // what is left of the runtime is the sentry and the gofer
	if err := r.lookAround(e); err != nil {
		return fmt.Errorf("look at the sentry: %w", err)
	}
	return nil
}

// ofRunsc reports whether a variable is one that runsc gives its sentry, which has
// nothing else.
func ofRunsc(kv string) bool {
	key, _, _ := strings.Cut(kv, "=")
	return key == "RUNSC_START_TIME_NANOS" || key == "KAVACH_RUNSC_ENTERED"
}

// lookAround looks at the sentry's descriptors and at what else is in the keeper.
func (r *run) lookAround(e *evidence.Evidence) (err error) {
	g, sentry := &r.gvisor, e.PID
	if g.domains, err = readDomains(g.log); err != nil {
		return err
	}
	all := evidence.Below(r.jail.PID())
	stubs := evidence.Below(sentry) // later than all: a stub that has just been made is no gofer
	for _, pid := range all {
		if evidence.Executes(pid, r.path) {
			g.runtime++
		} else if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
			g.others = append(g.others, exe)
		}
		switch {
		case pid == sentry:
		case slices.Contains(stubs, pid):
			g.stubs++
			if status(pid)["Seccomp"] != "2" {
				g.open = append(g.open, strconv.Itoa(pid))
			}
		default:
			g.gofer = pid
		}
	}
	if g.gofer == 0 {
		return errors.New("there is no gofer")
	}
	text, err := rawfile.Read(fmt.Sprintf("/proc/%d/mountinfo", g.gofer))
	if err != nil {
		return err
	}
	g.goferMounts = evidence.ParseMounts(string(text))
	g.files, err = hostFiles(sentry, r.guest, slices.Concat(e.Mounts, g.goferMounts))
	return err
}

// readDomains reads runsc's log from its beginning: no code of the container has
// run yet.
func readDomains(log *os.File) (list []domain, err error) {
	lines := bufio.NewScanner(io.NewSectionReader(log, 0, askMost))
	for lines.Scan() {
		var d domain
		if json.Unmarshal(lines.Bytes(), &d) == nil && d.Msg == "confined" {
			list = append(list, d)
		}
	}
	return list, lines.Err()
}

// hostFiles lists what the descriptors of a process lead to that is on none of
// these mounts, but for the guest's program, pipes, sockets, memory and devices
// without data.
func hostFiles(pid int, guest string, mounts []evidence.Mount) (files []string, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	entries, err := os.ReadDir(dir + "fd")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		to, err := os.Readlink(dir + "fd/" + e.Name())
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just been closed
		}
		if err != nil {
			return nil, err
		}
		nowhere := !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "/memfd:")
		if nowhere || to == os.DevNull || to == kvmDevice || evidence.Same(dir+"fd/"+e.Name(), guest) {
			continue
		}
		info, err := rawfile.Read(dir + "fdinfo/" + e.Name())
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(string(info), "mnt_id:")
		id, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		if !slices.ContainsFunc(mounts, func(m evidence.Mount) bool { return m.ID == id }) {
			files = append(files, to)
		}
	}
	return files, nil
}

func status(pid int) map[string]string {
	text, _ := rawfile.Read(fmt.Sprintf("/proc/%d/status", pid))
	return evidence.ParseStatus(string(text))
}

// checkSentry holds what runsc says of the container against who sent the probe's
// report, and who that is.
func (r *run) checkSentry(inside *jail.Contained) error {
	e := &inside.Evidence
	pids := strings.Fields(e.Status["NSpid"])
	const inKeeper = 1 // after the host's
	if len(pids) <= inKeeper || pids[inKeeper] != strconv.Itoa(r.pid) {
		return fmt.Errorf("%s says that process %d is its sentry, and what the guest says comes from process %v on the host and inwards",
			r.path, r.pid, pids)
	}
	return nil
}

// gvisorProofs are what was seen of the sentry, which is what meets the code, in
// the place of what is seen of a process of this kernel.
func (r *run) gvisorProofs(e evidence.Evidence, spec *backend.Spec, list []backend.Proof) []backend.Proof {
	for n := range list {
		switch p := &list[n]; p.Control {
		case policy.RootPivoted:
			*p = r.sentryRoot(e, *p)
		case policy.FDsClean:
			*p = r.sentryFiles(e)
		case policy.ProcMasked:
			*p = r.sentryProc()
		case policy.SeccompOn:
			*p = r.sentryFilter(e, *p)
		case policy.LandlockOn:
			*p = r.sentryDomain()
		case policy.RootReadonly:
			*p = r.sentryReadonly(*p)
		case policy.Limits:
			*p = r.sentryLimits(e, spec.Policy.Resources.Effective(), *p)
		}
	}
	return append(list, imageProof(spec.Image), r.kernelProof(e))
}
