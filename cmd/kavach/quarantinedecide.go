package main

import (
	"fmt"
	"os"

	"github.com/kavach-dev/kavach/gate/quarantine"
)

// deciding registers who decides, and why.
func deciding(fs *flags, to *quarantine.Decision) {
	fs.Text(&to.By, "by", "", "NAME", "who decides: a name that others know", nil)
	fs.Text(&to.Reason, "reason", "", "TEXT", "why, in one line", nil)
}

// approveFlags are those of quarantine approve.
type approveFlags struct {
	by       quarantine.Decision
	output   string
	part     string
	identity string
	force    bool
	json     bool
}

func quarantineApprove() *command {
	f := &approveFlags{}
	return &command{
		name: "approve", args: "[flags] ID", short: "let out what was withheld, once",
		long: `Let out what was withheld, once: to stdout, or with --output to a file, which appears
whole, with the permissions that it was held with and never setuid, setgid or sticky.
Of output, what was stdout goes to stdout and what was stderr to stderr. The content
is checked to its end before the decision is recorded, and let out after that. It
stays in the store until it is purged.`,
		example: `  kavach quarantine approve --by 'Ann Example' --reason 'a test key' 0d7k1m >output
  kavach quarantine approve --by 'Ann Example' --reason 'ours' --output ./report.csv 0d7k1m`,
		flags: func(fs *flags) {
			deciding(fs, &f.by)
			fs.Text(&f.output, "output", "", "FILE", "let it become FILE, which must not be there", nil)
			fs.Text(&f.part, "part", "", "PART", "only this part: stdout, stderr, memory or file; --output needs it where there are several", nil)
			identityFlag(fs, &f.identity)
			fs.Bool(&f.force, "force", "", "replace FILE; without --output, write also to a terminal, which the content may steer")
			fs.Bool(&f.json, "json", "", "print the record as one JSON object; needs --output")
		},
		least: 1, most: 1, needs: "an id that kavach quarantine list shows", values: quarantineIDs,
		run: func(args []string) error { return quarantineError(f.approve(args[0])) },
	}
}

func (f *approveFlags) approve(prefix string) error {
	switch {
	case f.json && f.output == "":
		return usagef("add --output FILE", "without --output the content is on stdout, and --json would be, too")
	case f.output == "":
		if err := notToTerminal("approve", f.force); err != nil {
			return err
		}
	}
	store, stop := &quarantine.Store{}, catch()
	rec, err := store.Get(stop.ctx, prefix)
	if err != nil {
		return stop.instead(err)
	}
	out, err := f.releases(&rec)
	if err != nil {
		return err
	}
	ids, err := store.Identities(f.identity)
	if err != nil {
		return err
	}
	if rec, err = store.Approve(stop.ctx, rec.ID, f.by, ids, out...); err != nil {
		return stop.instead(err)
	}
	switch {
	case f.json:
		return writeJSON(os.Stdout, rec)
	case f.output != "":
		fmt.Printf("approved %s, %s\n", rec.ID, printable(out[0].String()))
	}
	return nil
}

// releases says where each part goes.
func (f *approveFlags) releases(rec *quarantine.Record) ([]quarantine.Release, error) {
	var out []quarantine.Release
	for _, p := range rec.Parts {
		to := quarantine.Release{Part: p.Name, File: f.output, Replace: f.force}
		if f.part != "" && p.Name != f.part {
			continue
		}
		if f.output == "" {
			to.To = os.Stdout
			if p.Name == "stderr" && f.part == "" && len(rec.Parts) > 1 {
				to.To = os.Stderr
			}
		}
		out = append(out, to)
	}
	switch {
	case len(out) == 0:
		return nil, usagef("kavach quarantine show "+rec.ID+" shows its parts", "item %s has no part %q", rec.ID, f.part)
	case len(out) > 1 && f.output != "":
		return nil, usagef("add --part PART; or leave --output out, and redirect stdout and stderr", "item %s has %d parts, and --output is one file", rec.ID, len(out))
	}
	return out, nil
}

func quarantineReject() *command {
	by, asJSON := quarantine.Decision{}, false
	return &command{
		name: "reject", args: "[flags] ID", short: "delete the content of what was withheld, for good",
		long: `Delete the content of what was withheld, at once and for good. The record, with who
decided and why, stays until it is purged.`,
		example: `  kavach quarantine reject --by 'Ann Example' --reason 'the key of production' 0d7k1m`,
		flags: func(fs *flags) {
			deciding(fs, &by)
			fs.Bool(&asJSON, "json", "", "print the record as one JSON object")
		},
		least: 1, most: 1, needs: "an id that kavach quarantine list shows", values: quarantineIDs,
		run: func(args []string) error {
			store, stop := &quarantine.Store{}, catch()
			rec, err := store.Get(stop.ctx, args[0])
			if err == nil {
				rec, err = store.Reject(stop.ctx, rec.ID, by)
			}
			switch {
			case err != nil:
				return stop.instead(quarantineError(err))
			case asJSON:
				return writeJSON(os.Stdout, rec)
			}
			fmt.Printf("rejected %s\n", rec.ID)
			return nil
		},
	}
}
