package policy

// steering are the variables that say what programs run or load. A value that is
// not known when the policy is written is not put there: it comes from a helper or a
// file that others may have a hand in.
func steering() []string {
	return []string{
		"PATH", "HOME", "SHELL",

		// The loader and the C library: ld.so(8), iconv(3).
		"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GCONV_PATH", "GLIBC_TUNABLES",

		// Shells: what they read at their start, and what they evaluate later.
		"ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "IFS", "PROMPT_COMMAND", "PS1", "PS2", "PS4", "ZDOTDIR", "FPATH", "CDPATH",

		// Interpreters and compilers: where they look for code, and options that load it.
		"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONWARNINGS", "PYTHONBREAKPOINT",
		"PERL5LIB", "PERLLIB", "PERL5OPT", "PERL5DB", "RUBYLIB", "RUBYOPT", "GEM_HOME", "GEM_PATH", "BUNDLE_GEMFILE",
		"NODE_OPTIONS", "NODE_PATH", "LUA_INIT", "LUA_PATH", "LUA_CPATH", "PHPRC", "PHP_INI_SCAN_DIR",
		"CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "DOTNET_STARTUP_HOOKS",
		"R_PROFILE", "R_PROFILE_USER", "R_LIBS", "JULIA_LOAD_PATH", "ERL_FLAGS", "ERL_LIBS", "GOFLAGS", "MAKEFLAGS", "RUSTC_WRAPPER",

		// Programs that are started for others.
		"EDITOR", "VISUAL", "PAGER", "BROWSER", "LESSOPEN", "LESSCLOSE", "MANPAGER", "SSH_ASKPASS",
		"GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_EDITOR", "GIT_PAGER", "GIT_EXEC_PATH", "GIT_EXTERNAL_DIFF",
		"GIT_PROXY_COMMAND", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_TEMPLATE_DIR",
		"OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES",
	}
}
