package container

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// keep is a keeper in a few lines, without anything of Kavach's: namespaces, a
// bundle on an overlay, and the runtime in there.
const keep = `set -e
mkdir /tmp/k 2>/dev/null || true
mount -t tmpfs k /tmp/k
mkdir -p /tmp/k/state /tmp/k/up /tmp/k/wk /tmp/k/shm /tmp/k/b/rootfs
mount -t tmpfs none /sys; mkdir -p /sys/fs/cgroup; mount -t cgroup2 c /sys/fs/cgroup
mount -t overlay overlay -o userxattr,lowerdir=$1/rootfs,upperdir=/tmp/k/up,workdir=/tmp/k/wk /tmp/k/b/rootfs
cp $1/config.json /tmp/k/b
exec $2 --root /tmp/k/state run --bundle /tmp/k/b c
`

// runSpec runs a script of busybox as PID 1 of a container, and returns what it
// printed.
func runSpec(t *testing.T, runtime string, o specOptions, script string) (string, error) {
	t.Helper()
	dir := testbin.TempDir(t)
	bin := filepath.Join(dir, "rootfs", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal("these tests need busybox (busybox-static):", err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	o.shm = "/tmp/k/shm"
	spec := newSpec(o)
	spec.Process.Args = []string{"/bin/busybox", "sh", "-c", "export PATH=/bin; " + script}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"config.json": text, "keep": []byte(keep), "rootfs/bin/busybox": program} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("unshare", "-UrmpniCf", "--mount-proc", "sh", filepath.Join(dir, "keep"), dir, runtime)
	out, err := cmd.CombinedOutput()
	return strings.ReplaceAll(string(out), "\t", " "), err
}

// runtimes are those that are installed here.
func runtimes(t *testing.T) map[string]string {
	t.Helper()
	paths, err := (&Backend{}).find()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, p := range paths {
		found[filepath.Base(p)] = p
	}
	for _, name := range preferred[OCI] {
		if found[name] == "" {
			t.Fatalf("these tests need crun and runc, and there is %v", found)
		}
	}
	return found
}

func outerRules(t *testing.T) []seccomp.Refusal {
	t.Helper()
	f, _, err := seccomp.Of(&policy.Seccomp{Profile: policy.SeccompStrict}, seccomp.Place{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Outer()
}

// lookAround prints what the table of TestSpecRuns is about.
const lookAround = `busybox grep -E '^(Cap(Eff|Bnd)|NoNewPrivs|Seccomp):' /proc/self/status
busybox cat /proc/self/mountinfo; busybox hostname; busybox id -u
busybox unshare -U true && echo unshared; busybox mount -t tmpfs x /bin
busybox touch /new && echo touched; busybox touch /dev/new && echo in /dev; busybox touch /dev/shm/new && echo in shm
(echo x > /proc/sys/kernel/domainname) && echo named; true`

func TestSpecRuns(t *testing.T) {
	layers := []policy.Control{policy.NoNewPrivs, policy.SeccompOn, policy.RootReadonly, policy.ProcMasked}
	for _, tt := range []struct {
		why          string
		without      []policy.Control
		want, unwant []string
	}{
		{
			"all layers", nil,
			[]string{
				"CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2", "\nkavach\n", "in shm",
				" /null /proc/keys ", "/sys /proc/sys ro", " / /dev ro,", ",max=256\n",
				"unshare(0x10000000): Function not implemented", "mounting x on /bin failed: Function not implemented",
			},
			[]string{"unshared", "touched", "in /dev", "named"},
		},
		{
			"without layers", layers,
			[]string{"CapEff: 0000000000000000", "NoNewPrivs: 0", "Seccomp: 0", "unshared", "touched"},
			[]string{" /proc/keys ", " /proc/sys ", "failed: Function not implemented"},
		},
	} {
		for name, path := range runtimes(t) {
			for _, uid := range []int{0, 1000} {
				if name == "runc" && uid != 0 {
					continue // it must have a 0, and there is one id
				}
				t.Run(fmt.Sprintf("%s/%s as %d", tt.why, name, uid), func(t *testing.T) {
					o := specOptions{uid: uid, gid: uid, refused: outerRules(t), without: tt.without}
					out, err := runSpec(t, path, o, lookAround)
					if err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
					for _, want := range append(tt.want, fmt.Sprintf("\n%d\n", uid)) {
						if !strings.Contains(out, want) {
							t.Errorf("no %q in\n%s", want, out)
						}
					}
					for _, unwant := range tt.unwant {
						if strings.Contains(out, unwant) {
							t.Errorf("%q in\n%s", unwant, out)
						}
					}
				})
			}
		}
	}
}
