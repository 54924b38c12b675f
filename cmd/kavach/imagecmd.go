package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kavach-dev/kavach/image"
)

func imageCommand() *command {
	return &command{
		name: "image", short: "pull, list and remove container images",
		long: `Pull, list and remove container images. They are kept in a store of this user's,
checked and unpacked, and each layer once. Where an image comes from is in its
reference: NAME[:TAG][@DIGEST] of a registry, as docker has it; oci-layout:DIR,
docker-archive:FILE and rootfs:DIR of this machine.`,
		sub: []*command{imagePull(), imageList(), imageShow(), imageRemove(), imagePrune()},
	}
}

func imagePull() *command {
	f := &pullFlags{}
	return &command{
		name: "pull", args: "[flags] REF", short: "get an image, also where the store has it, and print its digest",
		long: `Get an image, also where the store has one of that name, check and unpack it. Print
its digest, and the reference that always means this very image.

Credentials are those of docker login and podman login, with their helpers. TLS is
always on but for registries of this machine that speak plain HTTP, and those that
--insecure-registry names. kavach-registry, which make install puts beside kavach,
speaks to registries.`,
		example: `  kavach image pull alpine:3.20
  kavach image pull --platform linux/arm64 registry.example:5000/app@sha256:…
  kavach image pull --ca ./ca.pem registry.example/app`,
		flags: f.register,
		least: 1, most: 1, needs: "a reference, such as: kavach image pull alpine:3.20",
		run: func(args []string) error { return pullImage(f, args[0]) },
	}
}

// pulledImage is what pull --json prints.
type pulledImage struct {
	image.Entry
	Pin string `json:"pin"` // the reference that means this very image; empty: there is none
}

func pullImage(f *pullFlags, arg string) error {
	ref, err := image.ParseReference(arg)
	if err != nil {
		return err
	}
	store, err := f.store()
	if err != nil {
		return err
	}
	line := newUnpackLine(os.Stderr)
	store.Progress = line.show
	stop := catch()
	entry, err := store.Pull(stop.ctx, arg)
	line.clear()
	if err != nil {
		return stop.instead(err)
	}
	got := pulledImage{Entry: entry, Pin: pin(ref, entry)}
	if f.json {
		return writeJSON(os.Stdout, got)
	}
	fmt.Printf("%-7s %s\n", "digest", printable(entry.Digest))
	if got.Pin != "" {
		fmt.Printf("%-7s %s\n", "pin", printable(got.Pin))
	}
	return nil
}

// pin is the reference that means the very image that was got.
func pin(ref image.Reference, e image.Entry) string {
	if ref.Kind != image.KindRegistry && ref.Kind != image.KindOCILayout || e.Digest == "" {
		return ""
	}
	ref.Tag, ref.Digest = "", image.Digest(e.Digest)
	return ref.String()
}

func imageList() *command {
	asJSON := false
	return &command{
		name: "list", args: "[flags]", short: "list the images of the store",
		flags: func(f *flags) { f.Bool(&asJSON, "json", "", "print one JSON array") },
		run: func([]string) error {
			list, err := new(image.Store).List(context.Background())
			if asJSON {
				if list == nil {
					list = []image.Entry{}
				}
				return errors.Join(writeJSON(os.Stdout, list), err)
			}
			if len(list) > 0 {
				printImages(list)
			}
			return err
		},
	}
}

func printImages(list []image.Entry) {
	width := len("REFERENCE")
	for _, e := range list {
		width = max(width, len(printable(e.Ref)))
	}
	row := fmt.Sprintf("%%-%ds  %%-19s  %%6v  %%9s  %%s\n", width)
	fmt.Printf(row, "REFERENCE", "DIGEST", "LAYERS", "SIZE", "AGE")
	for _, e := range list {
		age := time.Since(e.Pulled).Round(time.Second)
		fmt.Printf(row, printable(e.Ref), shortDigest(e.Digest), e.Layers, bytesText(e.Bytes), age)
	}
}

// shortDigest is enough of a digest to tell images of one machine apart.
func shortDigest(d string) string {
	const enough = len("sha256:") + 12
	return printable(d[:min(len(d), enough)])
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	size, units := float64(n), []string{"B", "KiB", "MiB", "GiB"}
	for len(units) > 1 && size >= 1024 {
		size, units = size/1024, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[0])
}

// shownImage is what show --json prints.
type shownImage struct {
	image.Entry
	Config shownConfig `json:"config"`
}

// shownConfig is what the image says of its commands.
type shownConfig struct {
	UID        int      `json:"uid"`
	GID        int      `json:"gid"`
	Env        []string `json:"env"`
	Dir        string   `json:"workdir"`
	Entrypoint []string `json:"entrypoint"`
	Cmd        []string `json:"cmd"`
}

func imageShow() *command {
	asJSON := false
	return &command{
		name: "show", args: "[flags] REF", short: "show what an image of the store is, and what it says of its commands",
		flags: func(f *flags) { f.Bool(&asJSON, "json", "", "print one JSON object") },
		least: 1, most: 1, needs: "a reference that kavach image list shows", values: imageNames,
		run: func(args []string) error {
			got, err := showImage(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(os.Stdout, got)
			}
			printImage(got)
			return nil
		},
	}
}

// showImage looks an image of the store up, and gets none from elsewhere.
func showImage(arg string) (*shownImage, error) {
	ref, err := image.ParseReference(arg)
	if err != nil {
		return nil, err
	}
	store := &image.Store{}
	stop := catch()
	list, err := store.List(stop.ctx)
	i := slices.IndexFunc(list, func(e image.Entry) bool { return e.Ref == ref.String() })
	if err != nil || i < 0 {
		return nil, errors.Join(err, notThere(ref))
	}
	opened, err := store.Open(stop.ctx, ref.String())
	if err != nil {
		return nil, stop.instead(err)
	}
	c := opened.Config
	got := &shownImage{Entry: list[i], Config: shownConfig{
		UID: c.UID, GID: c.GID, Env: orEmpty(c.Env), Dir: c.Dir, Entrypoint: orEmpty(c.Entrypoint), Cmd: orEmpty(c.Cmd),
	}}
	if opened.Release != nil {
		err = opened.Release()
	}
	return got, err
}

func notThere(ref image.Reference) error {
	return usagef("kavach image list shows what there is; kavach image pull "+ref.String(), "image %s is not in the store", ref)
}

// orEmpty is a list that JSON has as [] where it is empty.
func orEmpty(list []string) []string { return append([]string{}, list...) }

func printImage(s *shownImage) {
	line := func(label, text string) {
		if text != "" {
			fmt.Printf("%-11s %s\n", label, printable(text))
		}
	}
	line("reference", s.Ref)
	line("digest", s.Digest)
	line("layers", fmt.Sprintf("%d, %s", s.Layers, bytesText(s.Bytes)))
	line("pulled", s.Pulled.Format(time.RFC3339))
	line("user", fmt.Sprintf("%d:%d", s.Config.UID, s.Config.GID))
	line("workdir", s.Config.Dir)
	line("entrypoint", strings.Join(s.Config.Entrypoint, " "))
	line("cmd", strings.Join(s.Config.Cmd, " "))
	for _, kv := range s.Config.Env {
		line("env", kv)
	}
}

// imageNames are the references that the store has, for completion.
func imageNames() []string {
	list, _ := new(image.Store).List(context.Background()) // nothing is completed then
	var names []string
	for _, e := range list {
		names = append(names, e.Ref)
	}
	return names
}
