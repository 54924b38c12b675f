package workspace

import (
	"path"
	"slices"
	"strings"
	"sync"
)

// Names of files that programs of the host run or obey unasked, when somebody
// merely is in the directory: git, shells, editors, agents. They are matched in
// any directory, whatever the case of letters, with dots and spaces at their end
// taken off: file systems exist that do not tell these apart (CVE-2014-9390).
var protectedNames = []struct{ why, names string }{
	{"shells run it when they start", `
		.config/powershell .config/nushell
		.bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .login .logout .inputrc
		.zshrc .zshenv .zprofile .zlogin .zlogout .cshrc .tcshrc .kshrc .mkshrc .config/fish .oh-my-zsh`},
	{"a session runs it when it starts", `
		.xinitrc .xsession .xsessionrc .xprofile .pam_environment
		.config/systemd .config/autostart .config/environment.d .local/bin .local/share/applications`},
	{"kavach runs what is in there, or shows it to sandboxes", `.cache/kavach .local/share/kavach .local/state/kavach .config/kavach`},
	{"a shell hook runs it in its directory", `.envrc .direnv .direnvrc .config/direnv .autoenv mise.toml .mise.toml .mise .config/mise`},
	{"it holds keys, or says whom to trust", `.ssh .gnupg .netrc _netrc .docker/config.json .kube .aws`},
	{"it says where packages come from, or runs programs", `
		.npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs .pypirc .pip .config/pip .gemrc .cargo/config .cargo/config.toml .cargo/env
		.config/pnpm .yarn/releases .yarn/plugins .condarc .bundle/config .gradle/init.gradle .gradle/init.gradle.kts .gradle/init.d
		.mvn .m2/settings.xml`},
	{"git runs programs that it names", `.gitconfig .config/git .husky .githooks .pre-commit-config.yaml`},
	{"mercurial runs programs that it names", `.hg/hgrc .hgrc`},
	{"a program runs or obeys it when it starts", `.tmux.conf .config/tmux .screenrc .gdbinit .lldbinit .ipython .config/matplotlib`},
	{"an editor runs or obeys it", `
		.vscode .idea .vim .vimrc .vimrc.local .lvimrc .exrc.lua .gvimrc .exrc .nvimrc .nvim.lua .nvim .config/nvim .config/code
		.emacs .emacs.d .dir-locals.el .dir-locals-2.el .zed .fleet .helix .kakrc .devcontainer .devcontainer.json`},
	{"an agent runs or obeys it", `
		.mcp.json .cursor .cursorrules .claude .claude.json .codex .gemini .continue .windsurf .windsurfrules .roo .cline .clinerules
		opencode.json opencode.jsonc .opencode.json .opencode .kiro .crush .crush.json`},
}

// longestName is how many names the longest entry has.
const longestName = 3

var namesByText = sync.OnceValue(func() map[string]string {
	all := make(map[string]string)
	for _, rule := range protectedNames {
		for name := range strings.FieldsSeq(rule.names) {
			all[name] = rule.why
		}
	}
	return all
})

// protectedAffixes are beginnings and ends of such names.
var protectedAffixes = []struct{ why, prefix, suffix string }{
	{"an agent runs or obeys it", ".aider", ""},
	{"an editor runs or obeys it", "", ".code-workspace"},
	{"an editor runs or obeys it", ".emacs.", ""},
}

// gitData is what of a git directory holds no program and names none: objects,
// names of commits, the state of an operation. Whatever else is in there (hooks,
// config, worktrees, modules, info, and what git does not have yet) is
// protected. So is the index, although it is data: git checks the paths in it when
// it adds them, and not when it writes the files ("git restore .").
var gitData = []string{
	"objects", "refs", "logs", "head", "packed-refs", "orig_head", "fetch_head", "shallow", "gc.log",
	"commit_editmsg", "tag_editmsg", "squash_msg", "cherry_pick_head", "revert_head", "bisect_log", "bisect_names",
	"bisect_start", "bisect_expected_rev", "bisect_ancestors_ok", "bisect_terms", "auto_merge", "description",
	"merge_head", "merge_msg", "merge_mode", "merge_rr", "merge_autostash",
}

// gitInfo is in gitData's directories, and names other places.
var gitInfo = []string{"objects/info/alternates", "objects/info/http-alternates"}

const (
	whyGit    = "git runs or obeys what is in there"
	whyIndex  = "git writes files where it says, also outside of the workspace"
	whyGitDir = "git takes it for a repository, and runs or obeys what is in there"
)

// fold brings a name to the spelling that the tables have.
func fold(name string) string {
	// By way of upper case: "ſ" and "K" (kelvin) are letters of .ssh and .kshrc.
	return strings.TrimRight(strings.ToLower(strings.ToUpper(name)), ". ")
}

// protected says why the path is protected by its names, or "". gitDir is the
// directory, among those that it is in, that looks like a repository without
// being called .git; "" where there is none, "." for the workspace itself.
func protected(p, gitDir string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = fold(parts[i])
	}
	for i, part := range parts {
		if part == ".git" {
			return inGitDir(parts[i+1:])
		}
		if why := byName(parts[:i+1]); why != "" {
			return why
		}
	}
	if gitDir == "" {
		return ""
	}
	if gitDir != "." {
		parts = parts[strings.Count(gitDir, "/")+1:]
	}
	return inGitDir(parts)
}

// inDotGit reports whether a path is a directory called .git, or leads through
// one.
func inDotGit(p string) bool {
	return slices.ContainsFunc(strings.Split(p, "/"), func(part string) bool { return fold(part) == ".git" })
}

// inGitDir says why something in a git directory is protected. The directory
// itself is not, as a directory: whoever makes a link or a file of that name has
// it checked by type.
func inGitDir(rest []string) string {
	if len(rest) == 0 {
		return ""
	}
	name := strings.TrimSuffix(rest[0], ".lock")
	if name == "index" {
		return whyIndex
	}
	if slices.Contains(gitData, name) && !slices.Contains(gitInfo, strings.Join(rest, "/")) {
		return ""
	}
	return whyGit
}

// byName looks up the last name of a folded path, with those in front of it for
// entries of two names.
func byName(parts []string) string {
	last := parts[len(parts)-1]
	for n := 1; n <= min(longestName, len(parts)); n++ {
		if why := namesByText()[strings.Join(parts[len(parts)-n:], "/")]; why != "" {
			return why
		}
	}
	for _, rule := range protectedAffixes {
		if len(last) > len(rule.prefix+rule.suffix) && strings.HasPrefix(last, rule.prefix) && strings.HasSuffix(last, rule.suffix) {
			return rule.why
		}
	}
	return ""
}

// looksLikeGitDir reports whether git would take a directory with these entries,
// folded, for a repository (setup.c, is_git_directory), wherever it is.
func looksLikeGitDir(entries []string) bool {
	has := func(name string) bool { return slices.Contains(entries, name) }
	return has("head") && (has("objects") && has("refs") || has("commondir"))
}

// looksLikeGitName reports whether it depends on this name.
func looksLikeGitName(name string) bool {
	return slices.Contains([]string{"head", "objects", "refs", "commondir"}, fold(name))
}

// isNamed reports whether a path is among those that were named, or below one.
func isNamed(p string, named []string) bool {
	return slices.ContainsFunc(named, func(n string) bool {
		n = path.Clean(n)
		return n == "." || p == n || strings.HasPrefix(p, n+"/")
	})
}
