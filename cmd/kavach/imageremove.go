package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kavach-dev/kavach/image"
)

// removedImage is what remove --json says of each image.
type removedImage struct {
	Ref string `json:"ref"`
	image.Freed
}

func imageRemove() *command {
	asJSON := false
	return &command{
		name: "remove", args: "[flags] REF...", short: "remove images, and the layers that only they have",
		long: `Remove images, and the layers that only they have. What a running sandbox uses is
removed by kavach image prune when it has ended.`,
		flags: func(f *flags) { f.Bool(&asJSON, "json", "", "print what was removed as one JSON array") },
		least: 1, most: -1, needs: "a reference that kavach image list shows", values: imageNames,
		run: func(args []string) error { return removeImages(args, asJSON) },
	}
}

func removeImages(args []string, asJSON bool) error {
	store, removed := &image.Store{}, []removedImage{}
	var errs []error
	for _, arg := range args {
		ref, err := image.ParseReference(arg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		freed, err := store.Remove(context.Background(), ref.String())
		switch {
		case errors.Is(err, image.ErrNotFound):
			err = notThere(ref)
		case err == nil:
			removed = append(removed, removedImage{ref.String(), freed})
			if !asJSON {
				fmt.Printf("removed %s%s\n", printable(ref.String()), freedText(freed))
			}
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if asJSON && (err == nil || len(removed) > 0) {
		return errors.Join(writeJSON(os.Stdout, removed), silent(err))
	}
	return err
}

// silent is an error that is told on stderr, where stdout has its one JSON value
// already.
func silent(err error) error {
	if err == nil {
		return nil
	}
	complain(os.Stderr, err)
	return exitStatus(codeOfError(err))
}

func imagePrune() *command {
	asJSON := false
	return &command{
		name: "prune", args: "[flags]", short: "remove the layers that no image and no sandbox uses",
		flags: func(f *flags) { f.Bool(&asJSON, "json", "", "print what was removed as one JSON object") },
		run: func([]string) error {
			freed, err := new(image.Store).Prune(context.Background())
			switch {
			case err != nil:
				return err
			case asJSON:
				return writeJSON(os.Stdout, freed)
			case freed.Layers == 0 && freed.InUse == 0:
				fmt.Println("nothing to remove")
			default:
				fmt.Printf("pruned%s\n", freedText(freed))
			}
			return nil
		},
	}
}

// freedText is what was given back, as the end of a line.
func freedText(f image.Freed) string {
	text := ""
	if f.Layers > 0 {
		text += fmt.Sprintf(", %d layers (%s)", f.Layers, bytesText(f.Bytes))
	}
	if f.InUse > 0 {
		text += fmt.Sprintf(", %d layers are in use", f.InUse)
	}
	return text
}
