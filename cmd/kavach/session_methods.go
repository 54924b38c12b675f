package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
	"github.com/kavach-dev/kavach/score"
)

// createParams are the params of create.
type createParams struct {
	Policy     json.RawMessage   `json:"policy"`  // the name of a preset, a policy, or a list of these; absent: basic
	Backend    string            `json:"backend"` // absent: auto
	Image      *string           `json:"image"`   // in the place of the policy's root; absent: the policy's
	Pull       string            `json:"pull"`    // as --pull; absent: missing
	Mounts     []json.RawMessage `json:"mounts"`  // of mountParams
	MinScore   *int              `json:"min_score"`
	BestEffort []policy.Control  `json:"best_effort"`
	Protected  []string          `json:"protected"` // as in policy.Filesystem

	Credentials []json.RawMessage `json:"credentials"` // of policy.Credential, beside those of the policy
}

type mountParams struct {
	Source string `json:"source"`
	Target string `json:"target"`
	Access string `json:"access"`
}

// created is the result of create.
type created struct {
	ID      string      `json:"id"`
	Backend string      `json:"backend"`
	Image   *fromImage  `json:"image,omitempty"` // nil: none
	Score   score.Score `json:"score"`
}

func (s *session) create(params createParams) (any, error) {
	if s.sandbox != nil {
		return nil, refusef(errExists, "the session has sandbox %s; start another kavach session for another sandbox", s.sandbox.ID())
	}
	p, err := inlinePolicy(params.Policy)
	if err == nil {
		err = params.applyImage(&p)
	}
	if err != nil {
		return nil, err
	}
	for i, text := range params.Mounts {
		var m mountParams
		if err := decode(fmt.Sprintf("params.mounts[%d]", i), text, &m); err != nil {
			return nil, err
		}
		p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: m.Source, Target: m.Target, Access: m.Access})
	}
	if params.MinScore != nil {
		p.Require.MinScore = *params.MinScore
	}
	p.BestEffort = append(p.BestEffort, params.BestEffort...)
	p.Filesystem.Protected = append(p.Filesystem.Protected, params.Protected...)
	if err := s.applyCredentials(&params, &p); err != nil {
		return nil, err
	}
	name, err := backendName(params.Backend)
	if err != nil {
		return nil, err
	}
	runtime := *s.runtime
	runtime.Images = imagesFor(params.Pull)
	sb, err := runtime.Create(s.ctx, kavach.Config{Policy: p, Backend: name, Inherited: inheritedBy(p.Credentials)})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.sandbox = sb
	s.mu.Unlock()
	return created{ID: sb.ID(), Backend: sb.Backend(), Image: imageOf(sb), Score: sb.Score()}, nil
}

// applyImage puts the image in the place of whatever root the policy has. Paths
// in it are absolute, as in a policy.
func (c *createParams) applyImage(p *policy.Policy) error {
	if c.Image != nil {
		if *c.Image == "" {
			return refusef(errParams, "params.image: it is empty; leave it out for the policy's root")
		}
		p.Filesystem.Root, p.Filesystem.Image = "", *c.Image
	}
	switch {
	case c.Pull == "":
	case !slices.Contains(pulls(), c.Pull):
		return refusef(errParams, "params.pull: there is no %q; %s", c.Pull, nearest(c.Pull, pulls(), "the values"))
	case p.Filesystem.Image == "":
		return refusef(errParams, "params.pull is about an image, and there is none; name one in params.image")
	}
	return nil
}

// inlinePolicy reads the policy of a request; of a list, the merge.
func inlinePolicy(text json.RawMessage) (policy.Policy, error) {
	if len(text) == 0 || string(text) == "null" {
		return policy.Preset("basic")
	}
	if text[0] != '[' {
		return onePolicy("policy", text)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(text, &items); err != nil || len(items) == 0 {
		return policy.Policy{}, refusef(errParams, "params.policy: a list needs one policy at least")
	}
	var list []policyfile.Named
	for i, item := range items {
		name := fmt.Sprintf("policy[%d]", i)
		p, err := onePolicy(name, item)
		if err != nil {
			return policy.Policy{}, err
		}
		list = append(list, policyfile.Named{Name: name, Policy: p})
	}
	return policyfile.Merge(list...)
}

// onePolicy reads the name of a preset, or a policy itself. Files are the
// client's to read.
func onePolicy(at string, text json.RawMessage) (policy.Policy, error) {
	if text[0] == '{' {
		return policyfile.Parse(at, text)
	}
	var name string
	if err := json.Unmarshal(text, &name); err != nil {
		return policy.Policy{}, refusef(errParams, "params.%s: expected the name of a preset, or a policy as an object", at)
	}
	return policy.Preset(name)
}

// signalParams are the params of signal. Signal is a name or a number.
type signalParams struct {
	Exec   int             `json:"exec"`
	Signal json.RawMessage `json:"signal"`
}

func (s *session) signal(params signalParams) (any, error) {
	e, err := s.find(params.Exec)
	if err != nil {
		return nil, err
	}
	sig, err := signalParam(params.Signal)
	if err != nil {
		return nil, err
	}
	return empty{}, e.process.Signal(sig)
}

func signalParam(text json.RawMessage) (syscall.Signal, error) {
	name := string(text)
	if strings.HasPrefix(name, `"`) {
		if err := json.Unmarshal(text, &name); err != nil {
			return 0, refusef(errParams, "params.signal: %v", err)
		}
	} else if _, err := strconv.Atoi(name); err != nil {
		return 0, refusef(errParams, "params.signal: expected the name or the number of a signal")
	}
	sig, ok := parseSignal(name)
	if !ok {
		return 0, refusef(errParams, "params.signal: there is no signal %s; use a name such as SIGTERM, or a number from 1 to 64", text)
	}
	return sig, nil
}

// resizeParams are the params of resize.
type resizeParams struct {
	Exec int    `json:"exec"`
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

func (s *session) resize(params resizeParams) (any, error) {
	e, err := s.find(params.Exec)
	if err != nil {
		return nil, err
	}
	if !e.terminal {
		return nil, refusef(errNoTerminal, `command %d was started without "terminal"`, params.Exec)
	}
	return empty{}, e.process.Resize(backend.WindowSize{Rows: params.Rows, Cols: params.Cols})
}

func (s *session) pause(empty) (any, error) {
	if s.sandbox == nil {
		return nil, noSandbox()
	}
	return empty{}, s.sandbox.Pause(s.ctx)
}

func (s *session) resume(empty) (any, error) {
	if s.sandbox == nil {
		return nil, noSandbox()
	}
	return empty{}, s.sandbox.Resume(s.ctx)
}

// destroy removes the sandbox. The exit events of all commands come before the
// reply.
func (s *session) destroy(empty) (any, error) {
	if s.sandbox == nil {
		return nil, noSandbox()
	}
	if err := s.sandbox.Destroy(s.ctx); err != nil {
		return nil, fmt.Errorf("remove the sandbox: %w", err)
	}
	s.running.Wait()
	return empty{}, nil
}

func noSandbox() error {
	return refusef(errNoSandbox, "there is no sandbox yet; send create first")
}
