package container

import (
	"os"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

func TestGVisor(t *testing.T) {
	p, err := policy.Preset("strict")
	if err != nil {
		t.Fatal(err)
	}
	p.BestEffort = policy.Controls()
	b := &Backend{Kind: GVisor, Guest: testbin.Kavach(t), Runtime: os.Getenv("RUNSC")}
	rt := &kavach.Runtime{Backends: []backend.Backend{b}}
	sb, err := rt.Create(t.Context(), kavach.Config{Policy: p, Backend: "gvisor"})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Destroy(t.Context())
	for _, line := range sb.Score().Controls {
		t.Logf("%-14s %2d/%2d %-10s %s", line.Name, line.Points, line.Of, line.State, line.Proof)
	}
	t.Log(sb.Score().Value)
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/bin/sh", "-c", "sleep 0; id; dmesg | head -3; ls -la / /tmp /dev /sys; cat /proc/self/status | grep -i -E 'cap|secc|nonew'; mount; echo x > /etc/x; echo y >/tmp/y; cat /tmp/y; ls /proc/self/fd"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d %s %s", res.ExitCode, res.Stdout, res.Stderr)
}
