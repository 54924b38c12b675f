// Package main runs one command on each node of a fleet, at once, and leaves an
// audit log that has each act before it happened:
//
//	go run ./examples/fleet -audit /tmp/audit.jsonl examples/fleet/nodes.json uname -a
//
// The nodes are sandboxes of this machine, each with a policy and a root
// directory of its own; on a real fleet this program runs on each of them. It
// exits with 0 where the command exited with 0 on all nodes, with 1 where it did
// not on some, and with 125 where it could not be run on some.
//
// What this package does not protect: the audit log, once it is written. A log
// that shows when somebody has changed it is more than a file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/kavach-dev/kavach/guest/self" // this program is its own guest
)

// Exit codes.
const (
	codeOK     = 0
	codeFailed = 1   // the command did not exit with 0
	codeNotRun = 125 // as with kavach run
)

// options are the flags.
type options struct {
	audit  string
	atOnce int
}

func main() {
	var o options
	flag.StringVar(&o.audit, "audit", "", "append records of all acts to this file")
	flag.IntVar(&o.atOnce, "at-once", 8, "on how many nodes at once")
	flag.Parse()
	if o.audit == "" || flag.NArg() < 2 || o.atOnce < 1 {
		fmt.Fprintln(os.Stderr, "usage: fleet -audit FILE [-at-once N] NODES.json COMMAND [ARG...]")
		os.Exit(codeNotRun)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := command(ctx, o, flag.Arg(0), flag.Args()[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
	}
	os.Exit(code)
}

// command runs args on the nodes of file, and prints a JSON line for each.
func command(ctx context.Context, o options, file string, args []string, out io.Writer) (code int, err error) {
	nodes, err := load(file)
	if err != nil {
		return codeNotRun, err
	}
	log, err := openLog(o.audit)
	if err != nil {
		return codeNotRun, err
	}
	code, err = newFleet(nodes, log).run(ctx, args, o.atOnce, out)
	if err = errors.Join(err, log.close()); err != nil {
		code = codeNotRun
	}
	return code, err
}
