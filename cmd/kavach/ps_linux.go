package main

import "github.com/kavach-dev/kavach/internal/jail"

func listSandboxes() ([]listed, error)  { return asListed(jail.List()) }
func sweepSandboxes() ([]listed, error) { return asListed(jail.Sweep()) }

func asListed(records []jail.Record, err error) ([]listed, error) {
	list := []listed{}
	for _, r := range records {
		s := listed{ID: r.ID, Backend: r.Backend, State: "running", Owner: r.Owner, Guest: r.Guest, Created: r.Created}
		if r.Orphaned {
			s.State = "orphaned"
		}
		list = append(list, s)
	}
	return list, err
}
