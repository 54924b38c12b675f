package workspace

import (
	"io/fs"
	"path/filepath"
	"testing"
)

func TestProtected(t *testing.T) {
	tests := []struct {
		path, gitDir string
		want         bool
		why          string
	}{
		{".git/hooks/pre-commit", "", true, "git runs it"},
		{".git/hooks", "", true, "its directory could become another"},
		{".git/config", "", true, "core.fsmonitor, core.sshCommand, aliases"},
		{".git/config.worktree", "", true, "as config"},
		{".git/config.lock", "", true, "it is renamed to config"},
		{".git/commondir", "", true, "says where config is"},
		{".git/info/attributes", "", true, "names filters"},
		{".git/modules/x/config", "", true, "a repository in the repository"},
		{".git/modules/x/HEAD", "", true, "whatever of it"},
		{".git/worktrees/x/gitdir", "", true, "leads elsewhere"},
		{".git/rebase-merge/git-rebase-todo", "", true, "exec lines"},
		{".git/objects/info/alternates", "", true, "names another place"},
		{".git/what-git-will-have", "", true, "what is not known is protected"},
		{"a/b/.git/hooks/x", "", true, "at any depth"},
		{".GIT/hooks/x", "", true, "CVE-2014-9390"},
		{".git./hooks/x", "", true, "as Windows shares take it"},
		{".git . /config", "", true, "likewise"},
		{".git/HOOKS/x", "", true, "case of what is in it"},
		{".git", "", false, "the directory itself says nothing"},
		{".git/objects/ab/cdef", "", false, "data"},
		{".git/HEAD", "", false, "data"},
		{".git/HEAD.lock", "", false, "how git writes it"},
		{".git/refs/heads/main", "", false, "data"},
		{".git/index", "", true, "git writes to the paths in it"},
		{".git/index.lock", "", true, "it becomes the index"},
		{".git/COMMIT_EDITMSG", "", false, "data"},
		{".gitignore", "", false, "no program is named in it"},
		{"x.git/config", "", false, "not by its name"},
		{"x.git/config", "x.git", true, "by what is beside it"},
		{"x.git/hooks/post-update", "x.git", true, "likewise"},
		{"x.git/objects/ab/cd", "x.git", false, "data"},
		{"config", ".", true, "the workspace is a repository itself"},
		{"src/main.go", ".", true, "nor has such a one anything else"},
		{".bashrc", "", true, "a shell start file"},
		{"sub/.BashRC", "", true, "case"},
		{".ba\u017fhrc", "", true, "a long s is an s where case does not count"},
		{".\u212ashrc", "", true, "and kelvin a k"},
		{"bashrc", "", false, "no shell looks for it"},
		{".ssh/authorized_keys", "", true, "in a directory that is"},
		{".config/git/config", "", true, "two names"},
		{".config/gitk", "", false, "one of them is another"},
		{"sub/.config/fish/config.fish", "", true, "at any depth"},
		{".local/share/applications/x.desktop", "", true, "three names"},
		{".local/share/x", "", false, "data"},
		{".vscode/tasks.json", "", true, "an editor runs it"},
		{"x.code-workspace", "", true, "by its end"},
		{".mcp.json", "", true, "an agent starts what it names"},
		{".aider.conf.yml", "", true, "by its beginning"},
		{".envrc", "", true, "direnv"},
		{"Makefile", "", false, "the work itself: it is run by name"},
		{"README.md", "", false, "ordinary"},
	}
	for _, tt := range tests {
		if got := protected(tt.path, tt.gitDir); (got != "") != tt.want {
			t.Errorf("protected(%q, %q) = %q: %s", tt.path, tt.gitDir, got, tt.why)
		}
	}
}

func TestRefuseTarget(t *testing.T) {
	tests := []struct {
		path, target string
		ok           bool
		why          string
	}{
		{"l", "a", true, "beside it"},
		{"a/l", "../b", true, "one up, from one deep"},
		{"a/b/l", "../../c/d", true, "two up"},
		{"l", "./a", true, "a dot"},
		{"l", "a//b/", true, "slashes"},
		{"l", "..", false, "above the workspace"},
		{"a/l", "../..", false, "above the workspace"},
		{"a/l", "./../../x", false, "a dot hides nothing"},
		{"l", "/etc/passwd", false, "absolute"},
		{"l", "", false, "nothing"},
		{"a/l", "b/../../c", false, "b may be a link by then"},
		{"a/l", "b/..", false, "likewise"},
	}
	for _, tt := range tests {
		if why := refuseTarget(tt.path, tt.target); (why == "") != tt.ok {
			t.Errorf("%s -> %s: %q: %s", tt.path, tt.target, why, tt.why)
		}
	}
}

func FuzzRefuseTarget(f *testing.F) {
	f.Add("a/b", "../c")
	f.Add("l", "/x")
	f.Fuzz(func(t *testing.T, path, target string) {
		if !fs.ValidPath(path) || refuseTarget(path, target) != "" {
			return
		}
		if p := targetPath(path, target); !filepath.IsLocal(p) { // names need not be UTF-8
			t.Fatalf("%q -> %q leads to %q", path, target, p)
		}
	})
}

func TestNamed(t *testing.T) {
	tests := []struct {
		path  string
		named []string
		want  bool
	}{
		{".git/hooks/x", []string{".git/hooks"}, true},
		{".git/hooks", []string{".git/hooks"}, true},
		{".git/hooksy", []string{".git/hooks"}, false},
		{".git/config", []string{".git/hooks"}, false},
		{".git/config", nil, false},
		{".git/config", []string{"."}, true},
		{"sub/.git/config", []string{".git"}, false},
	}
	for _, tt := range tests {
		if got := isNamed(tt.path, tt.named); got != tt.want {
			t.Errorf("isNamed(%q, %q) = %t", tt.path, tt.named, got)
		}
	}
}
