// Command gatecompare measures Kavach's gate beside gitleaks, on the same texts in
// the same run: what is found of true secrets, what is taken for one and is none,
// and how fast.
//
//	cd tools/gatecompare && go run . -update
//
// writes docs/gate-quality.md. It is a module of its own, so that gitleaks is no
// dependency of Kavach. Times are of the processor, in turns, by medians, on one
// core; they are shown, and nothing is asserted of them.
//
// What this program does not protect: its figures are of the texts that package
// gatetest makes and of what lies on this machine. They say which of two programs
// does better on them, and not what either finds of the world's secrets.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

type options struct {
	seed      uint64
	each      int
	megabytes int
	rounds    int
	stream    int
	update    bool
	show      string
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 1, "seed of what is generated")
	flag.IntVar(&o.each, "each", 20, "secrets of each rule and format")
	flag.IntVar(&o.megabytes, "found", 3, "megabytes of each kind of material found on this machine; 0 leaves that part out")
	flag.IntVar(&o.rounds, "n", 3, "rounds of each measurement of speed; 0 leaves that part out")
	flag.IntVar(&o.stream, "stream", 1024, "megabytes of the stream whose memory is measured; 0 leaves that part out")
	flag.BoolVar(&o.update, "update", false, "write docs/gate-quality.md, and not to the standard output")
	flag.StringVar(&o.show, "show", "", "print what Kavach misses, or takes for this rule's secret in ordinary material: a rule, or \"all\"")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "gatecompare:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	peer, err := newGitleaks()
	if err != nil {
		return err
	}
	engines := []engine{peer, newKavach()}
	var b strings.Builder
	head(&b, o)
	if err := quality(&b, o, engines); err != nil {
		return err
	}
	if o.rounds > 0 {
		runtime.GOMAXPROCS(1)
		speed(&b, o, peer)
	}
	if o.stream > 0 {
		if err := memory(&b, o); err != nil {
			return err
		}
	}
	if o.update {
		return os.WriteFile("../../docs/gate-quality.md", []byte(b.String()), 0o644)
	}
	_, err = io.WriteString(os.Stdout, b.String())
	return err
}

func head(b *strings.Builder, o options) {
	fmt.Fprintf(b, `# How good the gate is, and how fast

Kavach's rules for secrets beside gitleaks %s, as a library with its own configuration, on the same texts in the same run. This page is made by

`+"```sh\ncd tools/gatecompare && go run . -update\n```"+`

(seed %d, %d samples of each rule and format, %s). All secrets are generated; none was ever issued.

`, gitleaksVersion, o.seed, o.each, runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
}
