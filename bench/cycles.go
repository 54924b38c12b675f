package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/policy"
)

// cycled is what was there before many sandboxes were made and destroyed, and
// after.
type cycled struct {
	Cycles int           `json:"cycles"`
	Took   time.Duration `json:"took_ns"`
	Rows   []reading     `json:"rows"`
}

// reading is one gauge.
type reading struct {
	Name   string `json:"name"`
	Before int64  `json:"before"`
	After  int64  `json:"after"`
	Slack  int64  `json:"slack"`
}

func (r *reading) grew() bool { return r.After > r.Before+r.Slack }

// warmUpCycles is how many are made before the first look: they start the
// threads and fill the pools that a program keeps.
const warmUpCycles = 200

// measureCycles makes n sandboxes one after another, after as many as warmUp that
// do not count, does in each what leaves the most behind where nobody cleans up,
// and destroys it. It is no measurement of time.
func measureCycles(warmUp, n int, progress io.Writer) (*cycled, error) {
	rt := &kavach.Runtime{Backends: all.All()}
	made := make(map[string]bool)
	c := &cycled{Cycles: n}
	if err := cycles(rt, warmUp, made, io.Discard); err != nil {
		return nil, err
	}
	before, err := readings(made)
	if err != nil {
		return nil, err
	}
	namespaces := netNamespaces()
	start := time.Now()
	if err := cycles(rt, n, made, progress); err != nil {
		return nil, err
	}
	c.Took = time.Since(start)
	return c, c.settle(before, namespaces, made)
}

// settle reads the gauges until nothing has grown, or for as long as what ends in
// the background may take: the kernel frees network namespaces in batches
// (cleanup_net), and a goroutine is counted until it has left its last function.
func (c *cycled) settle(before []int64, namespaces int64, made map[string]bool) error {
	const looks, pause = 50, 200 * time.Millisecond
	for range looks {
		after, err := readings(made)
		if err != nil {
			return err
		}
		c.Rows = nil
		for i, g := range gauges() {
			c.Rows = append(c.Rows, reading{g.name, before[i], after[i], g.slack})
		}
		if namespaces >= 0 {
			// Those of others come and go: a leak would be one a sandbox.
			c.Rows = append(c.Rows, reading{"network namespaces of the kernel", namespaces, netNamespaces(), int64(c.Cycles) / 10})
		}
		if c.verdict() == nil {
			return nil
		}
		time.Sleep(pause)
	}
	return nil
}

func readings(made map[string]bool) (all []int64, err error) {
	for _, g := range gauges() {
		v, err := g.read(made)
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", g.name, err)
		}
		all = append(all, v)
	}
	return all, nil
}

func cycles(rt *kavach.Runtime, n int, made map[string]bool, progress io.Writer) error {
	const told = 1000 // how often progress is told
	kinds := cycleKinds()
	for i := range n {
		kind := kinds[i%len(kinds)]
		if err := cycle(rt, kind, made); err != nil {
			return fmt.Errorf("sandbox %d of %d, %s: %w", i+1, n, kind.name, err)
		}
		if (i+1)%told == 0 {
			fmt.Fprintf(progress, "%d of %d\n", i+1, n)
		}
	}
	return nil
}

// cycleKind is something that is done in a sandbox before it is destroyed.
type cycleKind struct {
	name, preset string
	do           func(*kavach.Sandbox) error
}

// cycleKinds are the ways to end a sandbox that have the most to clean up.
func cycleKinds() []cycleKind {
	ctx := context.Background()
	return []cycleKind{
		{"a command that ends", "strict", func(sb *kavach.Sandbox) error { return runOnce(sb, truePath) }},
		{"a daemon that stays, and files", "basic", func(sb *kavach.Sandbox) error {
			_, err := sb.Run(ctx, kavach.Cmd{Args: []string{"sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & head -c 100000 /dev/zero >/tmp/file"}})
			return err
		}},
		{"a command that runs still", "basic", func(sb *kavach.Sandbox) error {
			p, err := sb.Start(ctx, kavach.Cmd{Args: []string{"sleep", "1000"}})
			if err != nil {
				return err
			}
			err = sb.Destroy(ctx)
			if _, waitErr := p.Wait(ctx); !errors.Is(waitErr, backend.ErrDestroyed) {
				err = errors.Join(err, fmt.Errorf("wait for a command of a sandbox that was destroyed: %w", waitErr))
			}
			return err
		}},
		{"no such command", "strict", func(sb *kavach.Sandbox) error {
			var refused *backend.ExecError
			if _, err := sb.Run(ctx, kavach.Cmd{Args: []string{"/no/such/command"}}); !errors.As(err, &refused) {
				return fmt.Errorf("a command that is not there: %w", err)
			}
			return nil
		}},
		{"too much output", "strict", func(sb *kavach.Sandbox) error {
			_, err := sb.Run(ctx, kavach.Cmd{Args: []string{"head", "-c", "2000000", "/dev/zero"}})
			return err
		}},
	}
}

func cycle(rt *kavach.Runtime, kind cycleKind, made map[string]bool) error {
	ctx := context.Background()
	p, err := policy.Preset(kind.preset)
	if err != nil {
		return err
	}
	sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: "process"})
	if err != nil {
		return err
	}
	made[sb.ID()] = true
	return errors.Join(kind.do(sb), sb.Destroy(ctx))
}

func (c *cycled) write(w io.Writer) {
	fmt.Fprintf(w, "%d sandboxes made, used and destroyed, in %s\n\n", c.Cycles, c.Took.Round(time.Second))
	t := table{{"", "before", "after", "may grow by", ""}}
	for _, r := range c.Rows {
		verdict := "clean"
		if r.grew() {
			verdict = "left behind"
		}
		t = append(t, []string{r.Name, fmt.Sprint(r.Before), fmt.Sprint(r.After), fmt.Sprint(r.Slack), verdict})
	}
	t.write(w)
}

// verdict is an error where something was left behind.
func (c *cycled) verdict() error {
	var errs []error
	for _, r := range c.Rows {
		if r.grew() {
			errs = append(errs, fmt.Errorf("%s: %d before, %d after %d sandboxes", r.Name, r.Before, r.After, c.Cycles))
		}
	}
	return errors.Join(errs...)
}

// runCycles is bench -cycles.
func runCycles(o options) error {
	r := newReport(0, time.Now())
	c, err := measureCycles(warmUpCycles, o.cycles, os.Stderr)
	if err != nil {
		return err
	}
	r.Cycles = c
	if o.json {
		err = r.writeJSON(os.Stdout)
	} else {
		fmt.Println(r.machine())
		c.write(os.Stdout)
	}
	return errors.Join(err, c.verdict())
}
