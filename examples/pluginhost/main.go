// Package main is a host of plugins that strangers wrote. Each is a command that
// answers JSON lines, in a long-lived sandbox of its own:
//
//	go run ./examples/pluginhost examples/pluginhost/plugins/plugins.json <<'END'
//	{"plugin": "words", "method": "count", "params": "six times seven"}
//	{"plugin": "shout", "method": "", "params": "hello"}
//	END
//
// A plugin that dies, hangs, floods its host or breaks the protocol is ended,
// and started again in a new sandbox, later each time.
//
// What this package does not protect: one call from another in the same plugin.
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
	"path/filepath"
	"syscall"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"

	_ "github.com/kavach-dev/kavach/guest/self" // this program is its own guest
)

// manifest is one plugin in the file that lists them.
type manifest struct {
	Name    string   `json:"name"`
	Dir     string   `json:"dir"`     // relative to the file; seen as /plugin
	Command []string `json:"command"` // inside
}

// options are the flags.
type options struct {
	minScore int
	deadline time.Duration
	grace    time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.minScore, "min-score", 60, "run no plugin with less proven")
	flag.DurationVar(&o.deadline, "deadline", 5*time.Second, "how long a call may take")
	flag.DurationVar(&o.grace, "grace", 2*time.Second, "how long a plugin has to end by itself")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: pluginhost [flags] PLUGINS.json")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := host(ctx, o, flag.Arg(0), os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "pluginhost:", err)
		os.Exit(1)
	}
}

// host starts the plugins, answers calls until in ends, and ends the plugins.
func host(ctx context.Context, o options, file string, in io.Reader, out, log io.Writer) error {
	list, err := load(file)
	if err != nil {
		return err
	}
	rt := &kavach.Runtime{Backends: all.All()}
	plugins := make(map[string]*plugin)
	for _, m := range list {
		policy, err := confine(filepath.Join(filepath.Dir(file), m.Dir), o.minScore)
		if err != nil {
			return err
		}
		plugins[m.Name] = &plugin{
			name: m.Name, launch: inSandbox(rt, policy, m.Command), deadline: o.deadline,
			pauses: pauses{first: 100 * time.Millisecond, longest: 30 * time.Second, steady: 10 * time.Second},
			log:    func(line string) { fmt.Fprintln(log, line) },
		}
	}
	for _, p := range plugins {
		p.start()
	}
	defer func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.grace)
		defer cancel()
		for _, p := range plugins {
			p.close(grace)
		}
	}()
	return serve(ctx, plugins, in, out)
}

func load(file string) (list []manifest, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return list, nil
}

// reply is what comes of a call.
type reply struct {
	Plugin string          `json:"plugin"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// serve makes one call for each object of in.
func serve(ctx context.Context, plugins map[string]*plugin, in io.Reader, out io.Writer) error {
	calls, replies := json.NewDecoder(in), json.NewEncoder(out)
	for ctx.Err() == nil {
		var c struct {
			Plugin, Method string
			Params         any
		}
		if err := calls.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a call: %w", err)
		}
		r := reply{Plugin: c.Plugin}
		if p := plugins[c.Plugin]; p == nil {
			r.Error = "there is no such plugin"
		} else if result, err := p.call(ctx, c.Method, c.Params); err != nil {
			r.Error = err.Error()
		} else {
			r.Result = result
		}
		if err := replies.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
