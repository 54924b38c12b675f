package main

import (
	"slices"

	"github.com/kavach-dev/kavach/workspace"
)

// halt ends all commands, for good. Their exit events come before the reply.
func (s *session) halt(empty) (any, error) {
	if s.sandbox == nil {
		return nil, noSandbox()
	}
	if err := s.sandbox.Halt(s.ctx); err != nil {
		return nil, err
	}
	s.running.Wait()
	return empty{}, nil
}

// changeList is the result of changes.
type changeList struct {
	Changes []workspace.Change `json:"changes"`
}

func (s *session) changes(empty) (any, error) {
	if s.sandbox == nil {
		return nil, noSandbox()
	}
	changes, err := s.sandbox.Changes(s.ctx)
	if err != nil {
		return nil, err
	}
	if changes == nil {
		changes = []workspace.Change{}
	}
	s.listed = changes
	return changeList{changes}, nil
}

// applyParams are the params of apply.
type applyParams struct {
	Only *[]int `json:"only"` // places in the list, from 0; absent: all
}

// outcomeList is the result of apply.
type outcomeList struct {
	Changes []workspace.Outcome `json:"changes"`
}

// apply applies what was listed last, and nothing that the client has not seen.
func (s *session) apply(params applyParams) (any, error) {
	if s.sandbox == nil {
		return nil, noSandbox()
	}
	if s.listed == nil {
		return nil, refusef(errState, "nothing was listed yet; send halt and changes first")
	}
	chosen := s.listed
	if params.Only != nil {
		chosen = nil
		for _, i := range slices.Compact(slices.Sorted(slices.Values(*params.Only))) { // their order matters
			if i < 0 || i >= len(s.listed) {
				return nil, refusef(errParams, "params.only: changes listed %d, from 0, and there is no %d", len(s.listed), i)
			}
			chosen = append(chosen, s.listed[i])
		}
	}
	outcomes, err := s.sandbox.Apply(s.ctx, chosen)
	if err != nil {
		return nil, err
	}
	if outcomes == nil {
		outcomes = []workspace.Outcome{}
	}
	return outcomeList{outcomes}, nil
}
