//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/internal/testbin"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

// TestRefusals: what doctor says of each machine that refuses user namespaces.
func TestRefusals(t *testing.T) {
	var got bytes.Buffer
	for _, row := range []struct {
		name   string
		uid    int
		files  map[string]string
		status string
	}{
		{"nothing is seen", 1000, nil, "Seccomp:\t0"},
		{"there are to be none", 1000, map[string]string{"user/max_user_namespaces": "0"}, "Seccomp:\t0"},
		{"Debian's switch", 1000, map[string]string{"kernel/unprivileged_userns_clone": "0", "user/max_user_namespaces": "15000"}, "Seccomp:\t0"},
		{"Debian's switch, which root does not mind", 0, map[string]string{"kernel/unprivileged_userns_clone": "0"}, "Seccomp:\t0"},
		{"Ubuntu", 1000, map[string]string{"kernel/apparmor_restrict_unprivileged_userns": "1"}, "Seccomp:\t0"},
		{"Ubuntu, switched off", 1000, map[string]string{"kernel/apparmor_restrict_unprivileged_userns": "0"}, "Seccomp:\t0"},
		{"a container", 0, nil, "Seccomp:\t2"},
	} {
		proc := t.TempDir()
		write(t, filepath.Join(proc, "self/status"), "Name:\tkavach\n"+row.status+"\n")
		for name, text := range row.files {
			write(t, filepath.Join(proc, "sys", name), text+"\n")
		}
		const program = "/usr/local/bin/kavach"
		got.WriteString("== " + row.name + "\n")
		printRefusals(&got, newPaint(nil), refusals(proc, row.uid, program), program)
	}
	golden := filepath.Join("testdata", "refusals.golden")
	if *updateGolden {
		write(t, golden, got.String())
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAppArmorPath: a path means itself in a profile.
func TestAppArmorPath(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/kavach":     "/usr/bin/kavach",
		"/opt/my tools/k":     `"/opt/my tools/k"`,
		"/opt/a{b}[c]*?/k@1":  `/opt/a\{b\}\[c\]\*\?/k\@1`,
		`/opt/quote"back\ k`:  `"/opt/quote\"back\\ k"`,
		"/home/ü/bin/kavach":  "/home/ü/bin/kavach",
		"/opt/^/kavach":       `/opt/\^/kavach`,
		"/opt/plain-1.2_3/k+": "/opt/plain-1.2_3/k+",
	} {
		if got := apparmorQuote(path); got != want {
			t.Errorf("%s is written %s, want %s", path, got, want)
		}
	}
}

// refusing runs kavach where namespaces are refused, in an empty directory.
func refusing(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := testbin.Refusing(t, testbin.RefuseUserNS, kavachPath(t), args...)
	cmd.Dir = testbin.TempDir(t)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestDoctorWithoutNamespaces is doctor as it is there.
func TestDoctorWithoutNamespaces(t *testing.T) {
	out, errs, code := refusing(t, "doctor")
	for _, want := range []string{
		`(?m)^process  not available: the kernel refuses namespaces: clone into new namespaces: operation not permitted$`,
		`(?m)^  user namespaces: this process is behind a seccomp filter, as in a container$`,
		`(?m)^  without namespaces: Landlock, seccomp and rlimits are left, for a score of 2\d \(minimal\); without ns.pid, .*proc.masked$`,
		`(?m)^ +kavach run --best-effort namespaces, or best_effort: \[namespaces\] in a policy$`,
		`needs Linux 5\.12`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in\n%s%s", want, out, errs)
		}
	}
	if code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	out, _, _ = refusing(t, "doctor", "--json")
	var d diagnosis
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	for _, e := range d.Backends {
		if e.Name == "process" && (e.Available || e.Bare == nil || len(e.Refusals) == 0 || e.Bare.Score < 20 || e.Bare.Score > 29) {
			t.Errorf("%+v %+v", e, e.Bare)
		}
	}
}

// TestRunWithoutNamespaces: only where the policy says so, and never silently.
func TestRunWithoutNamespaces(t *testing.T) {
	if out, errs, code := refusing(t, "run", "--", "echo", "ran"); code != 125 || out != "" || !strings.Contains(errs, "--best-effort namespaces") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	args := []string{"run", "--best-effort", "namespaces", "--best-effort", "limits", "--", "sh", "-c", `echo "$HOME" "$TMPDIR"; cat /etc/shadow`}
	out, errs, code := refusing(t, args...)
	home, tmp, _ := strings.Cut(strings.TrimSpace(out), " ")
	if code != 1 || home != tmp || !strings.HasSuffix(tmp, ".place/tmp") {
		t.Errorf("exit %d, %q", code, out)
	}
	if !regexp.MustCompile(`(?m)^kavach: warning: score 2\d \(minimal\), as the policy lets these be missing here: ns.pid, .*proc.masked; `).MatchString(errs) {
		t.Errorf("no warning: %q", errs)
	}
	if _, err := os.Stat(tmp); err == nil {
		t.Errorf("%s is still there", tmp)
	}
	policy := filepath.Join(t.TempDir(), "p.yaml")
	write(t, policy, "filesystem: {root: host, tmp_size: 1m}\nbest_effort: [namespaces, limits]\n")
	if out, errs, code := refusing(t, "run", "--policy", policy, "--json", "--", "echo", "ran"); code != 0 || !strings.Contains(out, `"name": "ns.user"`) && !strings.Contains(out, `"name":"ns.user"`) {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

// TestDoctorAppArmor prints the profile for this very program.
func TestDoctorAppArmor(t *testing.T) {
	path, err := filepath.EvalSymlinks(kavachPath(t))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(kavachPath(t), "doctor", "--apparmor").Output()
	if err != nil || string(out) != apparmorProfile(path) || !strings.Contains(string(out), "profile kavach "+apparmorQuote(path)+" flags=(unconfined) {\n  userns,") {
		t.Errorf("%v\n%s", err, out)
	}
}
