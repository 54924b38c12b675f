package kavach

import (
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// defaultEnv is what a command has in its environment where nobody says
// otherwise. HOME is the private /tmp: the only place that is writable in
// every preset.
var defaultEnv = []string{
	"HOME=/tmp",
	"LANG=C.UTF-8",
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}

// environment is the whole environment of a command: defaults, the policy's,
// the caller's, the last of a key winning; sorted, so that runs are alike.
func environment(p *policy.Policy, extra []string) []string {
	env := make(map[string]string)
	set := func(kv string) {
		key, _, _ := strings.Cut(kv, "=")
		env[key] = kv
	}
	for _, kv := range defaultEnv {
		set(kv)
	}
	for key, value := range p.Process.Env {
		set(key + "=" + value)
	}
	for _, kv := range extra {
		set(kv)
	}
	out := make([]string, 0, len(env))
	for _, kv := range env {
		out = append(out, kv)
	}
	slices.Sort(out)
	return out
}

// keys are the names in an environment, which is all of it that is recorded.
func keys(env []string) []string {
	out := make([]string, len(env))
	for i, kv := range env {
		out[i], _, _ = strings.Cut(kv, "=")
	}
	return out
}
