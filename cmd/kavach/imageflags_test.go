package main

import (
	"slices"
	"testing"

	"github.com/kavach-dev/kavach/backend"
)

// TestCommandOf has the combinations that Docker documents (Dockerfile
// reference, "Understand how CMD and ENTRYPOINT interact"), and its --entrypoint.
func TestCommandOf(t *testing.T) {
	list := func(words ...string) []string { return words }
	both := backend.ImageConfig{Entrypoint: list("entry", "-e"), Cmd: list("cmd", "-c")}
	tests := []struct {
		config           backend.ImageConfig
		entrypoint, args []string
		want             []string
		why              string
	}{
		{backend.ImageConfig{}, nil, list("a"), list("a"), "an image that says nothing"},
		{backend.ImageConfig{}, nil, nil, nil, "nothing at all"},
		{backend.ImageConfig{Cmd: list("cmd")}, nil, nil, list("cmd"), "the image's command"},
		{backend.ImageConfig{Cmd: list("cmd")}, nil, list("a"), list("a"), "another command"},
		{backend.ImageConfig{Entrypoint: list("entry")}, nil, nil, list("entry"), "an entrypoint alone"},
		{both, nil, nil, list("entry", "-e", "cmd", "-c"), "an entrypoint and its arguments"},
		{both, nil, list("a", "b"), list("entry", "-e", "a", "b"), "an entrypoint and other arguments"},
		{both, list("mine"), nil, list("mine"), "another entrypoint does without the image's arguments"},
		{both, list("mine"), list("a"), list("mine", "a"), "another entrypoint, and arguments"},
		{both, list(""), list("a"), list("a"), "no entrypoint"},
		{both, list(""), nil, nil, "no entrypoint, and so nothing"},
		{both, list("x", "mine"), list("a"), list("mine", "a"), "the last counts"},
	}
	for _, tt := range tests {
		if got := commandOf(tt.config, tt.entrypoint, tt.args); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.why, got, tt.want)
		}
	}
	if !slices.Equal(both.Cmd, list("cmd", "-c")) {
		t.Error("the image's own configuration is changed")
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{
		"docker.io/library/a:1@sha256:0": "docker.io/library/a:1@sha256:0",
		"rootfs:/a b":                    "'rootfs:/a b'",
		"rootfs:/a'; rm -rf /":           `'rootfs:/a'\''; rm -rf /'`,
		"rootfs:/$(x)":                   "'rootfs:/$(x)'",
	} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
