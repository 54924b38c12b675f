package imagetest

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The user who may use a Registry, and its password, which the registry has as
// bcrypt.
const (
	RegistryUser     = "me"
	RegistryPassword = "wonder-7-land"
	registryHash     = "$2y$05$abcdefghijklmnopqrstuu8J/JsEcNuES7asY02iNoXCSv4TOuqUe"
)

// Registry is docker-registry on this machine, without TLS, for one user.
type Registry struct {
	Host string // 127.0.0.1:PORT
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// StartRegistry starts a registry that is empty, and ends with the test.
func StartRegistry(t testing.TB) *Registry {
	t.Helper()
	dir := tempDir(t)
	file := func(name, text string) string {
		write(t, dir, name, []byte(text))
		return filepath.Join(dir, name)
	}
	passwords := file("htpasswd", RegistryUser+":"+registryHash+"\n")
	config := file("config.yml", fmt.Sprintf(`version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: %s/data}, delete: {enabled: true}}
auth: {htpasswd: {realm: here, path: %s}}
http: {addr: "127.0.0.1:0"}
`, dir, passwords))
	cmd := exec.Command("docker-registry", "serve", config)
	stderr, err := cmd.StderrPipe()
	must(t, err)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: install docker-registry", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()         // it was killed
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			return &Registry{Host: found[1]}
		}
	}
	t.Fatal("docker-registry does not say where it listens")
	return nil
}

// Push copies the image of a layout into the registry, by somebody else's tool.
// name is REPOSITORY:TAG.
func (r *Registry) Push(t testing.TB, layout, name string) {
	t.Helper()
	from := strings.Replace(layout, "oci-layout:", "oci:", 1)
	cmd := exec.CommandContext(t.Context(), "skopeo", "--insecure-policy", "copy", "--all", "--dest-tls-verify=false",
		"--dest-creds", RegistryUser+":"+RegistryPassword, from, "docker://"+r.Host+"/"+name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("skopeo copy: %v\n%s", err, out)
	}
}
