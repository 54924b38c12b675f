package jail

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
)

// bundle is a config.json that a runtime accepts in a keeper; package
// backend/container makes complete ones.
func bundle(t testing.TB) []byte {
	t.Helper()
	id := []map[string]int{{"containerID": 0, "hostID": 0, "size": 1}}
	var namespaces []map[string]string
	for _, kind := range []string{"pid", "network", "ipc", "uts", "mount", "cgroup", "user"} {
		namespaces = append(namespaces, map[string]string{"type": kind})
	}
	config, err := json.Marshal(map[string]any{
		"ociVersion": "1.0.2", "hostname": Hostname,
		"root":    map[string]any{"path": "rootfs", "readonly": true},
		"process": map[string]any{"args": []string{guest.ProgramPath, guest.Name}, "cwd": "/", "noNewPrivileges": true},
		"linux":   map[string]any{"namespaces": namespaces, "uidMappings": id, "gidMappings": id},
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}},
			{"destination": "/dev/shm", "type": "bind", "source": Shm, "options": []string{"bind", "nosuid", "nodev", "noexec"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// layers makes two layers of an image: a shell without a library, and above it a
// deletion.
func layers(t testing.TB) []string {
	t.Helper()
	base := testbin.TempDir(t)
	lower, upper := filepath.Join(base, "lower"), filepath.Join(base, "upper")
	for _, dir := range []string{lower, lower + "/bin", upper} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", "/bin/busybox", lower+"/bin/sh").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(lower+"/gone", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(upper+"/gone", unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	return []string{lower, upper}
}

// TestKeeper runs a runtime in a keeper, and a command by the guest of its
// container; what the runtime had mounted and started is gone with the keeper.
func TestKeeper(t *testing.T) {
	for _, name := range []string{"runc", "crun"} {
		t.Run(name, func(t *testing.T) { testclock.Try(t, func(t testing.TB) { keep(t, name) }) })
	}
}

func keep(t testing.TB, name string) {
	runtime, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		ID: "00000000000ac01d", Backend: "oci", Guest: testbin.Kavach(t), Layers: layers(t),
		Scratch: 1 << 20, Landlock: true, Memory: 256 << 20, PIDs: 64, CPUs: 1,
		Container: &Container{Config: bundle(t), Programs: []string{runtime}, UserNS: 1},
	}
	j, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	a := launch(t, j, runtime)
	c, err := j.Attend(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if c.Evidence.UIDMap == "" || c.Evidence.NS["user"] == 0 || c.Evidence.Report[guest.TryCanary] != unix.EACCES {
		t.Errorf("evidence: %+v", c.Evidence)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := j.ExecBy(t.Context(), c.Agent, backend.Cmd{
		Args: []string{"/bin/sh", "-c", "echo hello; ls -A /; echo $$; cat /proc/self/cgroup"}, Dir: "/", Env: []string{"PATH=/bin"}, Stdout: w, Stderr: w,
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(r)
	t.Logf("%s", out)
	exit, err := p.Wait(t.Context())
	if err != nil || exit.Code != 0 || !bytes.HasPrefix(out, []byte("hello\n")) || strings.Contains(string(out), "gone") {
		t.Errorf("%+v, %v: %s", exit, err, out)
	}
}

// launch runs the runtime in the keeper.
func launch(t testing.TB, j *Jail, runtime string) Attendance {
	t.Helper()
	conn, theirs, err := guest.NewChannel()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	program, err := OpenGuest(j.cfg.Guest)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	said, stderr, err := agent.NewTail()
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	p, err := j.Exec(t.Context(), backend.Cmd{
		Args: []string{runtime, "--root", RuntimeDir, "run", "--detach", "--bundle", Bundle, "--preserve-fds", "2", "c"},
		Env:  []string{"PATH=/usr/bin:/usr/sbin:/bin", "XDG_RUNTIME_DIR=" + RuntimeDir}, Dir: "/", Stdout: stderr, Stderr: stderr,
		Files: Inherited(theirs, program),
	})
	if err != nil {
		t.Fatal(err)
	}
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != 0 {
		t.Fatalf("%s: %+v, %v: %s", runtime, exit, err, said)
	}
	return Attendance{Conn: conn, Said: said}
}
