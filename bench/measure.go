package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
)

// measured is all that is measured in a run.
type measured struct {
	options options
	spawner *spawner
	inside  *standing
	given   *standing // whose commands get secrets
	stage   *stage
	modules *modules
	rows    []*row
}

func newMeasured(progs *programs, o options) (*measured, error) {
	s, err := newSpawner()
	if err != nil {
		return nil, err
	}
	m := &measured{options: o, spawner: s}
	if m.stage, err = newStage(progs); err != nil {
		return nil, errors.Join(err, s.close())
	}
	rt := &kavach.Runtime{Backends: all.All()}
	var exec []*row
	m.inside, exec = execRows(rt, progs)
	m.rows = append(floor(s, progs), commandRows(s, progs)...)
	m.rows = append(m.rows, libraryRows(rt)...)
	m.rows = append(m.rows, exec...)
	m.given, exec = secretRows(rt)
	m.rows = append(m.rows, exec...)
	m.rows = append(m.rows, m.stage.containerRows(s)...)
	m.modules = newModules(progs, s)
	m.rows = append(m.rows, m.modules.rows()...)
	return m, nil
}

func (m *measured) end() error {
	return errors.Join(m.inside.end(), m.given.end(), m.stage.end(), m.modules.end(), m.spawner.close())
}

// measure measures what was asked for. Only a name that nothing has is an error:
// what could not be measured is in the report.
func (m *measured) measure(r *report) error {
	only := m.options.only
	rows := choose(m.rows, only)
	takeTurns(rows, warmUp, m.options.rounds)
	r.addTimes(rows)
	if m.options.layer > 0 {
		if err := m.unpack(r); err != nil {
			r.fail("image unpack", err)
		}
	}
	if only == "" {
		m.processes(r)
	}
	if m.options.containers > 0 {
		list, err := m.stage.measureAtOnce(m.options.containers, only)
		if err != nil {
			r.fail("containers at once", err)
		}
		r.addAtOnce(list)
	}
	if len(r.Rows)+len(r.AtOnce) == 0 {
		return fmt.Errorf("no row has %q in its name", only)
	}
	return nil
}

// processes are the parts about many sandboxes of the process backend.
func (m *measured) processes(r *report) {
	var err error
	if r.Memory, err = measureMemory(); err != nil {
		r.fail("memory", err)
	} else if m.modules.missing == "" {
		if err := m.modules.memory(r.Memory); err != nil {
			r.fail("memory of modules", err)
		}
	}
	if m.options.many > 0 {
		if r.Many, err = measureMany(m.options.many); err != nil {
			r.fail("many at once", err)
		}
	}
}

// unpack measures the unpacking of an image.
func (m *measured) unpack(r *report) (err error) {
	u, rows := newUnpack(m.options.layer, m.options.rounds, m.spawner)
	if rows = choose(rows, m.options.only); len(rows) == 0 {
		return nil
	}
	defer func() { err = errors.Join(err, u.remove()) }()
	if err := u.prepare(); err != nil {
		return err
	}
	takeTurns(rows, 1, u.rounds)
	r.addTimes(rows)
	r.Unpack = fmt.Sprintf("unpacked: a layer of %s in %d files; %d rounds", mb(u.bytes), u.files, u.rounds)
	return nil
}

// addAtOnce adds what was measured of containers at once.
func (r *report) addAtOnce(list []*atOnce) {
	r.AtOnce = list
	for _, a := range list {
		switch {
		case a.Missing == "" || a.optional:
		case strings.HasSuffix(a.Missing, notInstalled):
			r.Missing = append(r.Missing, atOncePrefix+a.Name)
		default:
			r.Failed = append(r.Failed, atOncePrefix+a.Name+": "+a.Missing)
		}
	}
}
