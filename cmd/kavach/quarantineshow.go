package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/gate/quarantine"
)

// shownFindings is how many findings are shown to people; --json has them all.
const shownFindings = 50

// showFlags are those of quarantine show.
type showFlags struct {
	json     bool
	reveal   string
	identity string
	force    bool
	why      quarantine.Decision
}

func quarantineShow() *command {
	f := &showFlags{}
	return &command{
		name: "show", args: "[flags] ID", short: "show an item: its findings, and its content with these masked",
		long: `Show an item: what is known of it, its findings, and where the key is here, or
--identity names it, the content around them, each masked. --reveal PART writes a part
as it is to stdout instead, and nothing else; the name and the reason are in the
journal before.`,
		example: `  kavach quarantine show 0d7k1m
  kavach quarantine show --reveal stdout --by 'Ann Example' --reason 'is it ours?' 0d7k1m >suspect`,
		flags: func(fs *flags) {
			fs.Text(&f.reveal, "reveal", "", "PART", "write this part to stdout as it is: stdout, stderr, memory or file; needs --by and --reason", nil)
			deciding(fs, &f.why)
			identityFlag(fs, &f.identity)
			fs.Bool(&f.force, "force", "", "write what was revealed also to a terminal, which it may steer")
			fs.Bool(&f.json, "json", "", "print the record as one JSON object")
		},
		least: 1, most: 1, needs: "an id that kavach quarantine list shows", values: quarantineIDs,
		run: func(args []string) error { return quarantineError(f.show(args[0])) },
	}
}

func identityFlag(fs *flags, to *string) {
	fs.Text(to, "identity", "", "FILE", "decrypt with the key in FILE, as age-keygen writes it (default the one of the quarantine)", nil)
}

func (f *showFlags) show(prefix string) error {
	if f.json && f.reveal != "" {
		return usagef("leave one out", "--json and --reveal both write to stdout")
	}
	if f.reveal == "" && (f.why != quarantine.Decision{}) {
		return usagef("add --reveal PART, or leave them out", "--by and --reason say who reveals something, and why")
	}
	store, stop := &quarantine.Store{}, catch()
	rec, err := store.Get(stop.ctx, prefix)
	switch {
	case err != nil:
		return stop.instead(err)
	case f.json:
		return writeJSON(os.Stdout, rec)
	case f.reveal != "":
		return stop.instead(f.revealed(stop.ctx, store, rec.ID))
	}
	printHeld(&rec)
	if rec.State == quarantine.Rejected {
		return nil
	}
	ids, err := store.Identities(f.identity)
	if err != nil {
		if f.identity == "" {
			fmt.Printf("\nThe content is not shown: %s\n", printable(err.Error()))
			return nil
		}
		return err
	}
	var errs []error
	for _, p := range rec.Parts {
		errs = append(errs, showMasked(stop.ctx, store, rec.ID, p.Name, ids))
	}
	return stop.instead(errors.Join(errs...))
}

// showMasked prints the content of a part, without what would steer a terminal. The
// gate looks at it again: what follows the crash of a scanner was not looked at.
func showMasked(ctx context.Context, store *quarantine.Store, id, part string, ids quarantine.Identities) error {
	var text bytes.Buffer // bounded: Masked shows so much
	if err := store.Masked(ctx, id, part, ids, &text); err != nil {
		return err
	}
	session, err := new(gate.Gate).Open(gate.Options{})
	if err != nil {
		return err
	}
	fmt.Printf("\n--- %s, masked\n", part)
	again := session.Command(1, false)
	out := again.Stream(part, os.Stdout, gate.How{Collected: true})
	for line := range strings.Lines(text.String()) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i := range words {
			words[i] = printable(words[i])
		}
		if _, err := fmt.Fprintln(out, strings.Join(words, "\t")); err != nil {
			break // Finish says why
		}
	}
	_, err = again.Finish(ctx)
	return err
}

func (f *showFlags) revealed(ctx context.Context, store *quarantine.Store, id string) error {
	if err := notToTerminal("--reveal", f.force); err != nil {
		return err
	}
	ids, err := store.Identities(f.identity)
	if err != nil {
		return err
	}
	content, err := store.Reveal(ctx, id, f.reveal, f.why, ids)
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, content)
	return errors.Join(err, content.Close())
}

// notToTerminal refuses to write what nobody has looked at to a terminal: it could
// steer it, and it stays on the screen.
func notToTerminal(what string, force bool) error {
	if force || !isTerminal(os.Stdout) {
		return nil
	}
	return usagef("send stdout to a file or a program, or use --force", "%s would write what was withheld to a terminal, as it is", what)
}

// printHeld prints a record. What a sandbox chose is in it.
func printHeld(r *quarantine.Record) {
	line := func(label, format string, args ...any) {
		fmt.Printf("%-8s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	line("id", "%s", r.ID)
	line("state", "%s", r.State)
	line("kept", "%s", r.Kept.Format(time.RFC3339))
	line("what", "%s", whatIsHeld(r))
	if r.Held.Path != "" {
		line("sandbox", "%s", r.Held.Sandbox)
		line("mode", "%04o", r.Held.Mode)
	}
	for _, p := range r.Parts {
		line("part", "%s, %s", p.Name, bytesText(p.Bytes))
	}
	for i, f := range r.Held.Findings {
		if i == shownFindings {
			line("finding", "… and %d more; --json has them all", len(r.Held.Findings)-i)
			break
		}
		view := ""
		if f.View != "" {
			view = " in " + f.View
		}
		line("finding", "%s %s, %s: %d bytes at %d%s: %s", f.Severity, f.Rule, f.Stream, f.Length, f.Offset, view, f.Preview)
	}
	if d := r.Decided; d != nil {
		login := ""
		if d.LoginUID != nil {
			login = fmt.Sprintf(", login uid %d", *d.LoginUID)
		}
		line("decided", "%s on %s by %s (uid %d%s): %s", r.State, d.Time.Format(time.RFC3339), d.By, d.UID, login, d.Reason)
		for _, to := range d.Released {
			line("released", "%s", to)
		}
	}
}
