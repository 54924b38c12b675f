package container

import (
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

func TestGVisor(t *testing.T) {
	p := strict(t)
	p.BestEffort = policy.Controls()
	sb, err := create(t, &Backend{Kind: GVisor, Guest: testbin.Kavach(t), Runtime: "/tmp/kr/krunsc"}, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sb.Score().Controls {
		t.Logf("%+v", c)
	}
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "id -u; cat /proc/1/comm; ls / /tmp /sys /dev; uname -a; cat /proc/mounts; id; touch /x; touch /tmp/y"}})
	if err != nil || res.ExitCode != 0 || !strings.Contains(string(res.Stdout), "usr") {
		t.Errorf("%+v, %v", res, err)
	}
	t.Logf("%s %s", res.Stdout, res.Stderr)
}
