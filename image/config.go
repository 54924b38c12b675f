package image

import (
	"encoding/json"
	"path"
	"strings"
)

// configJSON is an image's configuration (OCI image-spec, config.md).
type configJSON struct {
	OS           string     `json:"os"`
	Architecture string     `json:"architecture"`
	Variant      string     `json:"variant"`
	Config       execConfig `json:"config"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []Digest `json:"diff_ids"`
	} `json:"rootfs"`
}

// execConfig is the part that is honoured.
type execConfig struct {
	User       string   `json:"User,omitempty"`
	Env        []string `json:"Env,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
}

// parseConfig reads the configuration of an image for platform want.
func parseConfig(b []byte, want Platform) (*configJSON, error) {
	var c configJSON
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, invalid("read its configuration as JSON: %w", err)
	}
	if c.RootFS.Type != "layers" {
		return nil, invalid("its rootfs is of the type %.40q, and only \"layers\" is known", c.RootFS.Type)
	}
	for i, id := range c.RootFS.DiffIDs {
		if _, err := ParseDigest(string(id)); err != nil {
			return nil, invalid("diff_ids of layer %d: %w", i+1, err)
		}
	}
	if len(c.RootFS.DiffIDs) > MaxLayers {
		return nil, invalid("it has %d layers, and %d are the most; build it with fewer (squash)", len(c.RootFS.DiffIDs), MaxLayers)
	}
	have := Platform{c.OS, c.Architecture, c.Variant}
	if have.Variant == "" {
		want.Variant = "" // many leave it to the index
	}
	if want.rank(have) < 0 {
		return nil, &PlatformError{Want: want, Have: []Platform{have}}
	}
	return &c, c.Config.check()
}

func (c *execConfig) check() error {
	for what, list := range map[string][]string{"User": {c.User}, "WorkingDir": {c.WorkingDir}, "Entrypoint": c.Entrypoint, "Cmd": c.Cmd, "Env": c.Env} {
		for _, s := range list {
			if strings.ContainsRune(s, 0) {
				return invalid("%s of its configuration has a zero byte in it", what)
			}
		}
	}
	for _, e := range c.Env {
		if i := strings.IndexByte(e, '='); i <= 0 {
			return invalid("Env of its configuration has %.80q, which is not KEY=VALUE", e)
		}
	}
	return nil
}

// dir is the working directory, "" for the root.
func (c *execConfig) dir() string {
	if dir := path.Clean("/" + c.WorkingDir); dir != "/" {
		return dir
	}
	return ""
}
