package imagetest

import (
	"os/exec"
	"strings"
	"testing"
)

// TestToolsOfOthersAccept holds what is made here against a tool that others
// made: an image that only our own store takes would prove nothing.
func TestToolsOfOthersAccept(t *testing.T) {
	archive := "docker-archive:" + DockerArchive(t, BusyboxImage(t), "busybox:latest")
	for _, ref := range []string{Busybox(t), archive} {
		out, err := exec.CommandContext(t.Context(), "skopeo", "inspect", strings.Replace(ref, "oci-layout:", "oci:", 1)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"NAME=busybox"`) {
			t.Errorf("skopeo inspect %s: %v\n%s", ref, err, out)
		}
	}
}

func TestDebianIsThere(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "skopeo", "inspect", strings.Replace(Debian(t), "oci-layout:", "oci:", 1)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"PATH=/usr/local/sbin`) {
		t.Errorf("skopeo inspect: %v\n%s", err, out)
	}
}
