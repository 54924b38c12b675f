package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// listed is a sandbox that is on record, for ps --json and clean --json.
type listed struct {
	ID      string    `json:"id"`
	Backend string    `json:"backend"`
	State   string    `json:"state"` // running, or orphaned: its owner is gone
	Owner   int       `json:"owner"` // pid of the program that made it
	Guest   int       `json:"guest"` // pid of its guest; 0: not started yet
	Created time.Time `json:"created"`
}

func psCommand() *command {
	asJSON := false
	return &command{
		name: "ps", args: "[flags]", short: "list the sandboxes of this user",
		flags: func(f *flags) { f.Bool(&asJSON, "json", "", "print one JSON array") },
		run: func([]string) error {
			list, err := listSandboxes()
			if asJSON {
				return errors.Join(writeJSON(os.Stdout, list), err)
			}
			if len(list) > 0 {
				printSandboxes(list)
			}
			return err
		},
	}
}

func printSandboxes(list []listed) {
	const row = "%-16s  %-8s  %-8s  %8v  %8v  %s\n"
	fmt.Printf(row, "ID", "BACKEND", "STATE", "OWNER", "GUEST", "AGE")
	for _, s := range list {
		age := time.Since(s.Created).Round(time.Second)
		fmt.Printf(row, printable(s.ID), printable(s.Backend), s.State, s.Owner, s.Guest, age)
	}
}

func cleanCommand() *command {
	asJSON := false
	return &command{
		name: "clean", args: "[flags]", short: "remove what is left of sandboxes whose owner is gone",
		long: `Remove what is left of sandboxes whose owner was killed: processes, cgroups and
records. Each start of a sandbox does this too.`,
		flags: func(f *flags) { f.Bool(&asJSON, "json", "", "print what was removed as one JSON array") },
		run: func([]string) error {
			list, err := sweepSandboxes()
			if asJSON {
				return errors.Join(writeJSON(os.Stdout, list), err)
			}
			for _, s := range list {
				fmt.Printf("removed sandbox %s (%s), %s old\n",
					printable(s.ID), printable(s.Backend), time.Since(s.Created).Round(time.Second))
			}
			if len(list) == 0 && err == nil {
				fmt.Println("nothing to remove")
			}
			return err
		},
	}
}
