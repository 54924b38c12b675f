package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// refusal is what stands in the way of user namespaces, as far as can be seen.
type refusal struct {
	Reason string `json:"reason"`
	Fix    string `json:"fix"`
}

// apparmorPath is where the profile is put.
const apparmorPath = "/etc/apparmor.d/kavach"

// apparmorProfile lets one program make user namespaces where AppArmor lets no
// other (Ubuntu 23.10 and newer, AppArmor 4.0), and restricts nothing else.
func apparmorProfile(program string) string {
	return fmt.Sprintf(`abi <abi/4.0>,
include <tunables/global>

profile kavach %s flags=(unconfined) {
  userns,

  include if exists <local/kavach>
}
`, apparmorQuote(program))
}

// apparmorQuote makes a path mean itself in a profile: blanks need quotes, and
// what is special in a pattern a backslash (apparmor.d(5)).
func apparmorQuote(path string) string {
	var b strings.Builder
	for _, r := range path {
		if strings.ContainsRune(`*?[]{}^\"@`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	if strings.ContainsAny(path, " \t") {
		return `"` + b.String() + `"`
	}
	return b.String()
}

// ownPath is the path of this program.
func ownPath() string {
	path, err := os.Executable()
	if err != nil {
		return "/usr/local/bin/kavach"
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return path
}

// refusals looks, in a procfs, for what refuses user namespaces to a user.
func refusals(proc string, uid int, program string) (found []refusal) {
	setting := func(name string) string {
		b, err := os.ReadFile(filepath.Join(proc, "sys", name))
		if err != nil {
			return "" // this kernel does not have it
		}
		return strings.TrimSpace(string(b))
	}
	if setting("user/max_user_namespaces") == "0" {
		found = append(found, refusal{"user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=15000, and the same in /etc/sysctl.d/"})
	}
	if uid != 0 && setting("kernel/unprivileged_userns_clone") == "0" {
		found = append(found, refusal{"kernel.unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1, and the same in /etc/sysctl.d/"})
	}
	if uid != 0 && setting("kernel/apparmor_restrict_unprivileged_userns") == "1" {
		found = append(found, refusal{"kernel.apparmor_restrict_unprivileged_userns is 1: AppArmor lets programs make them only where their profile says so",
			fmt.Sprintf("kavach doctor --apparmor | sudo tee %s && sudo apparmor_parser -r %s; the profile, for %s, is below", apparmorPath, apparmorPath, program)})
	}
	status, err := os.ReadFile(filepath.Join(proc, "self/status"))
	if err == nil && strings.Contains(string(status), "\nSeccomp:\t2") {
		found = append(found, refusal{"this process is behind a seccomp filter, as in a container",
			"let the container's seccomp profile allow clone and unshare with CLONE_NEWUSER, and mount, pivot_root and their like " +
				"(docker run --security-opt seccomp=FILE), and AppArmor allow mount (--security-opt apparmor=unconfined)"})
	}
	return found
}

// printRefusals says what refuses user namespaces, and shows the profile that
// AppArmor wants.
func printRefusals(w io.Writer, out paint, found []refusal, program string) {
	if len(found) == 0 {
		fmt.Fprintln(w, "  user namespaces: none of the settings that refuse them is seen; where AppArmor does (Ubuntu 23.10 and newer), kavach doctor --apparmor prints the profile")
	}
	for _, r := range found {
		fmt.Fprintf(w, "  user namespaces: %s\n", out.bad(r.Reason))
		printFix(w, r.Fix)
		if strings.Contains(r.Fix, apparmorPath) {
			fmt.Fprintf(w, "\n%s\n", apparmorProfile(program))
		}
	}
}

// bare is the tier without namespaces, as it was tried.
type bare struct {
	Score    int      `json:"score"`
	Tier     string   `json:"tier"`
	Missing  []string `json:"missing"`
	HowToUse string   `json:"how"`
}

const howToUseBare = "kavach run --best-effort namespaces, or best_effort: [namespaces] in a policy"

func (b *bare) print(w io.Writer) {
	fmt.Fprintf(w, "  without namespaces: Landlock, seccomp and rlimits are left, for a score of %d (%s); without %s\n", b.Score, b.Tier, strings.Join(b.Missing, ", "))
	fmt.Fprintf(w, "  %-18s  %s\n", "", b.HowToUse)
}

func namespaceNames() (names []string) {
	for _, c := range policy.NamespaceControls() {
		names = append(names, string(c))
	}
	return names
}
