package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

// build is what is known of this program, from what the Go tool left in it.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // empty: built outside of a checkout
	Time     string `json:"time"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func versionCommand() *command {
	asJSON := false
	return &command{
		name: "version", args: "[flags]", short: "say which kavach this is",
		flags: func(f *flags) { f.Bool(&asJSON, "json", "", "print one JSON object") },
		run: func([]string) error {
			b := thisBuild()
			if asJSON {
				return writeJSON(os.Stdout, b)
			}
			_, err := fmt.Println(b)
			return err
		},
	}
}

func thisBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	s := "kavach " + b.Version
	if b.Revision != "" {
		s += " " + b.Revision[:min(len(b.Revision), 12)]
	}
	if b.Modified {
		s += " (modified)"
	}
	return fmt.Sprintf("%s, %s %s/%s", s, b.Go, b.OS, b.Arch)
}
