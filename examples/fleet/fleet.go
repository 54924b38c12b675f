package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/backend/process"
	"github.com/kavach-dev/kavach/policy"
)

// node is where a command runs.
type node struct {
	Name     string `json:"name"`
	Policy   string `json:"policy"`    // a preset
	Rootfs   string `json:"rootfs"`    // relative to the file; "": the host's programs
	MinScore int    `json:"min_score"` // refuse to run with less proven
}

// load reads the nodes of a file.
func load(file string) (nodes []node, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &nodes); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	for i := range nodes {
		if root := &nodes[i].Rootfs; *root != "" && !filepath.IsAbs(*root) {
			if *root, err = filepath.Abs(filepath.Join(filepath.Dir(file), *root)); err != nil {
				return nil, err
			}
		}
	}
	return nodes, nil
}

func (n *node) policy() (policy.Policy, error) {
	p, err := policy.Preset(n.Policy)
	if err != nil {
		return p, err
	}
	if n.Rootfs != "" {
		p.Filesystem.Root = n.Rootfs
	}
	p.Require.MinScore = n.MinScore
	return p, nil
}

// result is what came of the command on one node.
type result struct {
	Node     string `json:"node"`
	Score    int    `json:"score"`
	ExitCode int    `json:"exit_code"`
	Signal   int    `json:"signal,omitempty"`
	TimedOut bool   `json:"timed_out,omitempty"`
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr,omitempty"`

	// SHA256 is of stdout, as it is in the audit log. Empty: there was none.
	SHA256 string `json:"stdout_sha256,omitempty"`

	WallMS     int64  `json:"wall_ms"`
	CPUMS      int64  `json:"cpu_ms"`
	MemoryPeak int64  `json:"memory_peak_bytes"`
	Error      string `json:"error,omitempty"` // why it did not run, or its result is not released
}

// fleet is the nodes, and the log of what happens on them.
type fleet struct {
	nodes []node
	log   *auditLog
}

func newFleet(nodes []node, log *auditLog) *fleet { return &fleet{nodes, log} }

// run runs args on all nodes and prints a line for each, as they end.
func (f *fleet) run(ctx context.Context, args []string, atOnce int, out io.Writer) (code int, err error) {
	var (
		backends = all.All() // what they have set up once serves all nodes
		slots    = make(chan struct{}, atOnce)
		done     sync.WaitGroup
		mu       sync.Mutex // guards what follows
		lines    = json.NewEncoder(out)
		errs     []error
	)
	for _, n := range f.nodes {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			rt := &kavach.Runtime{Backends: backends, Audit: f.log.of(n.Name)}
			r := on(ctx, rt, n, args)
			mu.Lock()
			defer mu.Unlock()
			code = max(code, r.code())
			errs = append(errs, lines.Encode(r))
		})
	}
	done.Wait()
	return code, errors.Join(errs...)
}

// on runs args on one node.
func on(ctx context.Context, rt *kavach.Runtime, n node, args []string) result {
	r := result{Node: n.Name}
	if err := r.fill(ctx, rt, n, args); err != nil {
		return result{Node: n.Name, Score: r.Score, Error: err.Error()}
	}
	return r
}

func (r *result) fill(ctx context.Context, rt *kavach.Runtime, n node, args []string) (err error) {
	p, err := n.policy()
	if err != nil {
		return err
	}
	sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: process.Name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sb.Destroy(ctx)) }()
	r.Score = sb.Score().Value
	res, err := sb.Run(ctx, kavach.Cmd{Args: args})
	if err != nil {
		return err
	}
	r.ExitCode, r.Signal, r.TimedOut = res.ExitCode, int(res.Signal), res.TimedOut
	r.Stdout, r.Stderr = string(res.Stdout), string(res.Stderr)
	r.WallMS, r.CPUMS, r.MemoryPeak = res.Usage.Wall.Milliseconds(), res.Usage.CPU.Milliseconds(), res.Usage.MemoryPeak
	if len(res.Stdout) > 0 {
		sum := sha256.Sum256(res.Stdout)
		r.SHA256 = hex.EncodeToString(sum[:])
	}
	return nil
}

func (r *result) code() int {
	switch {
	case r.Error != "":
		return codeNotRun
	case r.ExitCode != 0:
		return codeFailed
	}
	return codeOK
}
