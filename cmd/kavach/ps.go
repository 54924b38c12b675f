package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
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

func psCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "list the sandboxes of this user",
		Args:  exactly(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

func printSandboxes(list []listed) {
	const row = "%-16s  %-8s  %-8s  %8v  %8v  %s\n"
	fmt.Printf(row, "ID", "BACKEND", "STATE", "OWNER", "GUEST", "AGE")
	for _, s := range list {
		age := time.Since(s.Created).Round(time.Second)
		fmt.Printf(row, printable(s.ID), printable(s.Backend), s.State, s.Owner, s.Guest, age)
	}
}

func cleanCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "remove what is left of sandboxes whose owner is gone",
		Long: `Remove what is left of sandboxes whose owner was killed: processes, cgroups and
records. Each start of a sandbox does this too.`,
		Args: exactly(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was removed as one JSON array")
	return cmd
}
