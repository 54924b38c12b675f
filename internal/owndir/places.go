package owndir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Environment variables that name directories whose contents are trusted.
const (
	EnvImages         = "KAVACH_IMAGES"
	EnvModules        = "KAVACH_WASM_CACHE"
	EnvQuarantine     = "KAVACH_QUARANTINE_DIR"
	EnvQuarantineKeys = "KAVACH_QUARANTINE_KEYS"
)

// Images is where the store of images is where nobody says otherwise: what EnvImages
// names, else /var/lib/kavach/images for root, and kavach/images in $XDG_DATA_HOME
// or ~/.local/share for others.
func Images() (string, error) {
	return place(EnvImages, "/var/lib/kavach/images", "XDG_DATA_HOME", ".local/share", "kavach/images")
}

// Modules is where compiled modules are kept: what EnvModules names, else
// /var/cache/kavach/wasm for root, and kavach/wasm in $XDG_CACHE_HOME or ~/.cache
// for others.
func Modules() (string, error) {
	return place(EnvModules, "/var/cache/kavach/wasm", "XDG_CACHE_HOME", ".cache", "kavach/wasm")
}

// Quarantine is where what was withheld is kept: what EnvQuarantine names, else
// /var/lib/kavach/quarantine for root, and kavach/quarantine in $XDG_STATE_HOME or
// ~/.local/state for others.
func Quarantine() (string, error) {
	return place(EnvQuarantine, "/var/lib/kavach/quarantine", "XDG_STATE_HOME", ".local/state", "kavach/quarantine")
}

// QuarantineKeys is where the key to that is: what EnvQuarantineKeys names, else
// /etc/kavach/quarantine for root, and kavach/quarantine in $XDG_CONFIG_HOME or
// ~/.config for others.
func QuarantineKeys() (string, error) {
	return place(EnvQuarantineKeys, "/etc/kavach/quarantine", "XDG_CONFIG_HOME", ".config", "kavach/quarantine")
}

// Places lists the directories whose contents are trusted: no sandbox may see them,
// let alone change them, whatever it is shown of the host.
func Places() (dirs []string) {
	for _, of := range []func() (string, error){Images, Modules, Quarantine, QuarantineKeys} {
		if dir, err := of(); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func place(env, ofRoot, xdg, ofHome, name string) (string, error) {
	if dir := os.Getenv(env); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("%s is %q, which is no absolute path: set it to one, or unset it", env, dir)
		}
		return filepath.Clean(dir), nil
	}
	if os.Geteuid() == 0 {
		return ofRoot, nil
	}
	if dir := os.Getenv(xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, name), nil
	}
	home := os.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("where to keep it? neither HOME nor " + xdg + " is set: set one, or name a directory by " + env)
	}
	return filepath.Join(home, ofHome, name), nil
}
