package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kavach-dev/kavach/gate/quarantine"
)

func quarantineCommand() *command {
	return &command{
		name: "quarantine", short: "decide what becomes of output and files that were withheld",
		long: `Decide what becomes of output and files that the gate has withheld and kept. They
are in a store of this user's, encrypted in the format of age to a key that this user
has, and wait there for somebody who approves or rejects them, by name and with a
reason. Each act is in the store's journal before it happens. An ID can be
abbreviated to its first letters.`,
		sub: []*command{quarantineList(), quarantineShow(), quarantineApprove(), quarantineReject(), quarantinePurge()},
	}
}

// quarantineError has the fix of an error as a line of its own.
func quarantineError(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, inner := range several.Unwrap() {
			all = append(all, quarantineError(inner))
		}
		return errors.Join(all...)
	}
	var refused *quarantine.Error
	if errors.As(err, &refused) {
		return usagef(refused.Fix, "%s", strings.TrimSuffix(err.Error(), "; "+refused.Fix))
	}
	return err
}

func quarantineList() *command {
	asJSON, state := false, ""
	return &command{
		name: "list", args: "[flags]", short: "list what was withheld, the oldest first",
		flags: func(f *flags) {
			f.Text(&state, "state", "", "STATE", "only what is in this state: held, approved or rejected", stateNames)
			f.Bool(&asJSON, "json", "", "print one JSON array")
		},
		run: func([]string) error { return quarantineError(listQuarantine(quarantine.State(state), asJSON)) },
	}
}

func stateNames() []string {
	var names []string
	for _, s := range quarantine.States() {
		names = append(names, string(s))
	}
	return names
}

func listQuarantine(state quarantine.State, asJSON bool) error {
	if state != "" {
		if _, err := quarantine.ParseState(string(state)); err != nil {
			return err
		}
	}
	all, err := new(quarantine.Store).List(context.Background())
	list := []quarantine.Record{}
	for _, r := range all {
		if state == "" || r.State == state {
			list = append(list, r)
		}
	}
	switch {
	case asJSON && (err == nil || len(list) > 0):
		return errors.Join(writeJSON(os.Stdout, list), silent(quarantineError(err)))
	case !asJSON && len(list) > 0:
		printQuarantine(list)
	}
	return err
}

func printQuarantine(list []quarantine.Record) {
	const row = "%-16s  %-8s  %9s  %-8s  %9s  %s\n"
	fmt.Printf(row, "ID", "STATE", "AGE", "FINDINGS", "SIZE", "WHAT")
	for _, r := range list {
		var size int64
		for _, p := range r.Parts {
			size += p.Bytes
		}
		age := time.Since(r.Kept).Round(time.Second).String()
		if days := int(time.Since(r.Kept).Hours() / 24); days > 0 {
			age = fmt.Sprintf("%d days", days)
		}
		fmt.Printf(row, r.ID, r.State, age, fmt.Sprint(len(r.Held.Findings)), bytesText(size), printable(whatIsHeld(&r)))
	}
}

// whatIsHeld is an item in some words. What a sandbox chose is in them.
func whatIsHeld(r *quarantine.Record) string {
	if r.Held.Path != "" {
		return "file " + r.Held.Path
	}
	var names []string
	for _, p := range r.Parts {
		names = append(names, p.Name)
	}
	text := strings.Join(names, " and ")
	if r.Held.Exec > 0 {
		text += fmt.Sprintf(" of command %d", r.Held.Exec)
	}
	return text + " of sandbox " + r.Held.Sandbox
}

// quarantineIDs are those that the store has, for completion.
func quarantineIDs() []string {
	list, _ := new(quarantine.Store).List(context.Background()) // nothing is completed then
	var ids []string
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

func quarantinePurge() *command {
	asJSON, older, p := false, "", quarantine.Purge{}
	return &command{
		name: "purge", args: "[flags] [ID...]", short: "remove what was decided, and what nobody decided for 30 days",
		long: `Remove items, with their content and their records; the journal keeps what happened.
Without an ID, all that were decided, or kept, more than 30 days ago. With IDs, these,
at once. What nobody has decided stays for 30 days, unless --force removes it.`,
		example: `  kavach quarantine purge
  kavach quarantine purge --older 24h
  kavach quarantine purge --force 0d7k1m`,
		flags: func(f *flags) {
			f.Text(&older, "older", "", "DURATION", "only what was decided, or kept, so long ago, such as 24h (default 720h without an ID)", nil)
			f.Bool(&p.Force, "force", "", "also what nobody has decided, and items whose record is damaged")
			f.Bool(&asJSON, "json", "", "print one JSON object")
		},
		most: -1, values: quarantineIDs,
		run: func(args []string) error {
			p.IDs = args
			if older != "" {
				d, err := time.ParseDuration(older)
				if err != nil || d <= 0 {
					return usagef("write a time with its unit, such as 24h", "--older %q is no duration", older)
				}
				p.Older = d
			}
			return purgeQuarantine(p, asJSON)
		},
	}
}

func purgeQuarantine(p quarantine.Purge, asJSON bool) error {
	gone, err := new(quarantine.Store).Purge(context.Background(), p)
	err = quarantineError(err)
	switch {
	case asJSON && (err == nil || len(gone.Purged) > 0):
		return errors.Join(writeJSON(os.Stdout, gone), silent(err))
	case asJSON:
		return err
	}
	for _, id := range gone.Purged {
		fmt.Printf("purged %s\n", id)
	}
	if gone.Waiting > 0 {
		fmt.Printf("%d items wait for somebody to decide, and stay\n", gone.Waiting)
	} else if len(gone.Purged) == 0 && err == nil {
		fmt.Println("nothing to purge")
	}
	return err
}
