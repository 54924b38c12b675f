// Package main runs Kavach beside its peers, and beside the floor of the
// machine, in turns, and prints medians, minima and ratios:
//
//	go run ./bench [-n ROUNDS] [-many N] [-containers N] [-layer MiB] [-only NAME] [-json]
//	go run ./bench -cycles N
//
// docs/BENCHMARKS.md says what each row is and has a run's results. With -cycles
// it counts what many sandboxes leave behind, and fails where that is anything.
//
// What this package does not protect: it measures, and asserts nothing of times.
// A budget that is missed is shown, and the exit code stays 0.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	// The library rows need a guest; this program is its own.
	_ "github.com/kavach-dev/kavach/guest/self"
)

// options are the flags.
type options struct {
	rounds   int
	many     int
	only     string
	programs string
	json     bool
	cycles   int

	containers int
	layer      int
}

func main() {
	if os.Args[0] == placeName {
		os.Exit(servePlace(os.Stdin, os.Stdout))
	}
	var o options
	flag.IntVar(&o.rounds, "n", 40, "rounds: how often each row is measured")
	flag.IntVar(&o.many, "many", 100, "sandboxes at once; 0 leaves that part out")
	flag.StringVar(&o.only, "only", "", "measure only rows whose name has this in it, and what they are compared with")
	flag.StringVar(&o.programs, "programs", "", "directory of the programs that are measured; what is not there is built (default: a temporary one)")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.IntVar(&o.cycles, "cycles", 0, "measure nothing: make and destroy this many sandboxes, and count what is left")
	flag.IntVar(&o.containers, "containers", 20, "containers at once, of each runtime; 0 leaves that part out")
	flag.IntVar(&o.layer, "layer", 64, "size of the layer that is unpacked, in MiB; 0 leaves that part out")
	flag.Parse()
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o *options) check() error {
	if flag.NArg() > 0 {
		return fmt.Errorf("there are no arguments, only flags: %s", strings.Join(flag.Args(), " "))
	}
	if o.rounds < 1 || min(o.many, o.cycles, o.containers, o.layer) < 0 {
		return errors.New("-n must be at least 1, and -many, -cycles, -containers and -layer at least 0")
	}
	return nil
}

func run(o options) (err error) {
	if o.cycles > 0 {
		return runCycles(o)
	}
	progs, err := build(o.programs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, progs.remove()) }()

	all, err := newMeasured(progs, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.end()) }()
	report := newReport(o.rounds, time.Now())
	if err := all.measure(report); err != nil {
		return err
	}
	if o.json {
		err = report.writeJSON(os.Stdout)
	} else {
		err = report.write(os.Stdout)
	}
	return errors.Join(err, report.verdict())
}
