package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// byFlag names the flag in what is wrong with a field that a flag has set:
// whoever wrote --user never saw process.user.
func (j *job) byFlag(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, inner := range several.Unwrap() {
			errs = append(errs, j.byFlag(inner))
		}
		return errors.Join(errs...)
	}
	var wrong *policy.FieldError
	if !errors.As(err, &wrong) {
		return err
	}
	flag := j.flagOf(wrong.Field)
	if flag == "" {
		return err
	}
	return &policy.FieldError{Field: flag, Problem: wrong.Problem, Fix: wrong.Fix}
}

// flagOf is the flag that has set a field, or "".
func (j *job) flagOf(field string) string {
	set := map[string]struct{ flag, value string }{
		"resources.memory":    {"--memory", j.memory},
		"resources.swap":      {"--swap", j.swap},
		"resources.io_read":   {"--io-read", j.ioRead},
		"resources.io_write":  {"--io-write", j.ioWrite},
		"filesystem.tmp_size": {"--tmp-size", j.tmpSize},
		"resources.cpus":      {"--cpus", j.cpus},
		"resources.pids":      {"--pids", j.pids},
		"resources.timeout":   {"--timeout", j.timeout},
		"resources.output":    {"--output-limit", j.outputLimit},
		"filesystem.root":     {"--rootfs", j.rootfs},
		"filesystem.image":    {"--image", j.image()},
		"process.user":        {"--user", j.user},
		"process.workdir":     {"--workdir", j.workdir},
		"wasm.clock":          {"--wasm-clock", j.clock},
		"wasm.seed":           {"--wasm-seed", j.seed},
		"gate.mode":           {"--gate", j.gate},
		"require.min_score":   {"--min-score", j.minScore},
	}
	if by, ok := set[field]; ok && by.value != "" {
		return by.flag
	}
	if field == "filesystem.writable" && j.writable {
		return "--writable"
	}
	if strings.HasPrefix(field, "wasm.modules") && len(j.modules) > 0 {
		return "--wasm-module"
	}
	if flag := j.secretField(field); flag != "" {
		return flag
	}
	return j.volumeOf(field)
}

// volumeOf is the --volume that has made the mount of a field, or "".
func (j *job) volumeOf(field string) string {
	mounts := j.config.Policy.Filesystem.Mounts
	at := 0
	if n, err := fmt.Sscanf(field, "filesystem.mounts[%d]", &at); n != 1 || err != nil || at >= len(mounts) {
		return ""
	}
	for _, v := range j.volumes {
		if m, err := parseVolume(v); err == nil && m.Source == mounts[at].Source && m.SeenAt() == mounts[at].SeenAt() {
			return fmt.Sprintf("--volume %q", v)
		}
	}
	return ""
}

// climbs reports whether a path holds "..", which a reader takes for another
// directory than the kernel does where there are links.
func climbs(path string) bool {
	return strings.Contains("/"+path+"/", "/../")
}
