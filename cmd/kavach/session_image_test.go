package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/image"
	"github.com/kavach-dev/kavach/internal/imagetest"
)

// A session can be one of an image, whose commands are run as they are, or as
// the image says.
func TestSessionImage(t *testing.T) {
	t.Setenv(image.EnvDir, t.TempDir()+"/images")
	ref := imagetest.Busybox(t)
	c := dial(t)
	m := c.ask(`{"id":1,"method":"create","params":{"policy":"strict","best_effort":["limits"],"image":"` + ref + `"}}`)
	if m.Error != nil {
		t.Fatal(m.raw)
	}
	if of, _ := m.Result["image"].(map[string]any); of["ref"] != ref || !strings.HasPrefix(of["digest"].(string), "sha256:") {
		t.Errorf("%s", m.raw)
	}
	tests := []struct{ params, input, want, why string }{
		{`{"args":["id","-u"]}`, "", "1000\n", "a command as it is"},
		{`{"args":["pwd"]}`, "", "/home/app\n", "where the image says"},
		{`{"args":["sh","-c","echo $NAME"],"env":{"NAME":"call"}}`, "", "call\n", "the caller has the last word"},
		{`{"entrypoint":true,"stdin":true}`, "echo $NAME", "busybox\n", "the image's own command"},
		{`{"entrypoint":true,"args":["cat","/etc/motd"]}`, "", "second\n", "an entrypoint that there is not, before a command"},
	}
	for i, tt := range tests {
		if m := c.ask(`{"id":2,"method":"exec","params":` + tt.params + `}`); m.Error != nil {
			t.Fatal(m.raw)
		}
		if tt.input != "" {
			c.send(fmt.Sprintf(`{"id":3,"method":"stdin","params":{"exec":%d,"data":%q,"eof":true}}`, i+1, tt.input))
		}
		if out, end := c.output(i + 1); out != tt.want || end.ExitCode != 0 {
			t.Errorf("%s: %q, %s", tt.why, out, end.raw)
		}
	}
	if got := c.end(); got != 0 {
		t.Errorf("exit code %d", got)
	}
}
