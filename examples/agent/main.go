// Package main is an agent platform without a model: each task has a sandbox of
// its own, in which it runs many short commands, and is told what came of each.
//
//	go run ./examples/agent examples/agent/tasks.json
//
// The steps of a task are in a file, in the place of a model; a step may depend
// on what came of the last one, as a model's would.
//
// What this package does not protect: the commands of one task from each other.
// Tasks share nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/policy"

	_ "github.com/kavach-dev/kavach/guest/self" // this program is its own guest
)

// options are the flags.
type options struct {
	minScore int
	atOnce   int
}

func main() {
	var o options
	flag.IntVar(&o.minScore, "min-score", 60, "run nothing with less proven")
	flag.IntVar(&o.atOnce, "at-once", 2, "how many tasks run at once")
	flag.Parse()
	if flag.NArg() != 1 || o.atOnce < 1 {
		fmt.Fprintln(os.Stderr, "usage: agent [flags] TASKS.json")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	text, err := os.ReadFile(flag.Arg(0))
	if err == nil {
		err = work(ctx, o, text, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

// confine is the policy of a task: the preset strict, with loopback for tests of
// servers, and no more output than is of use to a model.
func confine(minScore int) (policy.Policy, error) {
	p, err := policy.Preset("strict")
	if err != nil {
		return p, err
	}
	p.Name = "agent"
	p.Network.Loopback = true
	p.Resources.Output = 16 << 10
	p.Resources.Timeout = policy.Duration(30 * time.Second)
	p.Require.MinScore = minScore
	return p, nil
}

// summary is the last line that is printed.
type summary struct {
	Tasks    int `json:"tasks"`
	Commands int `json:"commands"`
	Failed   int `json:"failed"` // commands that did not exit with 0
	Denied   int `json:"denied"` // commands that were refused something
	Score    int `json:"score"`  // the lowest that was proven
	AtOnce   int `json:"at_once"`
}

// platform runs tasks.
type platform struct {
	runtime *kavach.Runtime
	policy  policy.Policy

	mu      sync.Mutex // guards what follows
	out     *json.Encoder
	summary summary
	running int
}

// work runs all tasks, no more of them at once than o says, and prints what came
// of each step, and the summary.
func work(ctx context.Context, o options, text []byte, out io.Writer) error {
	var tasks []task
	if err := json.Unmarshal(text, &tasks); err != nil {
		return fmt.Errorf("read tasks: %w", err)
	}
	p, err := confine(o.minScore)
	if err != nil {
		return err
	}
	pf := &platform{runtime: &kavach.Runtime{Backends: all.All()}, policy: p, out: json.NewEncoder(out)}
	var (
		slots = make(chan struct{}, o.atOnce)
		done  sync.WaitGroup
		errs  = make([]error, len(tasks))
	)
	for i, t := range tasks {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			if err := pf.run(ctx, t); err != nil {
				errs[i] = fmt.Errorf("task %q: %w", t.Name, err)
			}
		})
	}
	done.Wait()
	pf.summary.Tasks = len(tasks)
	return errors.Join(append(errs, pf.out.Encode(pf.summary))...)
}
