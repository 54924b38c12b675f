package gatetest

import (
	"math/rand/v2"
	"strings"
	"unicode"
)

// context is a place where a secret stands. {I}, {i} and {c} are its name, as
// environment variables, files and code write it; {s} is the secret.
type context struct{ how, text string }

var contexts = []context{
	{"env", "{I}={s}\n"},
	{"env, quoted", "{I}=\"{s}\"\n"},
	{"export", "export {I}='{s}'\n"},
	{"ini", "{i} = {s}\n"},
	{"yaml", "  {i}: {s}\n"},
	{"yaml, quoted", "  {i}: \"{s}\"\n"},
	{"json", "{\n  \"host\": \"db01\",\n  \"{i}\": \"{s}\",\n  \"port\": 8080\n}\n"},
	{"json, one line", `{"level":"debug","{c}":"{s}","ms":12}` + "\n"},
	{"python", "{i} = '{s}'\n"},
	{"go", "\t{c} := \"{s}\"\n"},
	{"javascript", "const {c} = `{s}`;\n"},
	{"java", "private static final String {I} = \"{s}\";\n"},
	{"ruby", "  \"{i}\" => \"{s}\",\n"},
	{"log", "2026-03-01T12:00:07.113Z INFO worker-3 loaded {i}={s} from the environment\n"},
	{"log, at the end", "12:00:07 main.go:41: using {i}: {s}\n"},
	{"dockerfile", "ENV {I}={s}\n"},
	{"make", "{I} := {s}\n"},
	{"properties", "app.{i}={s}\n"},
	{"markdown", "Set `{I}={s}` before you start the server.\n"},
	{"flag", "$ ./deploy --{i}={s} --verbose\n"},
	{"xml", "<{c}>\n    {s}\n</{c}>\n"},
	{"terraform", "  {i} = \"{s}\"\n"},
	{"call", "client.configure(\"{i}\", \"{s}\")\n"},
	{"header", "> Authorization: Bearer {s}\n"},
	{"curl", "curl -s -H \"Authorization: Bearer {s}\" https://api.example.com/v1/items\n"},
	{"url", "GET https://api.example.com/v1/items?{i}={s}&limit=3\n"},
	{"bare", "{s}\n"},
}

// neutral are places that give no name to what stands there.
var neutral = []context{
	{"prose", "The run ended at {s} as it did before.\n"},
	{"log", "2026-03-01T12:00:07.113Z INFO worker-3 finished {s} in 12ms\n"},
	{"list", "- {s}\n"},
	{"path", "wrote out/{s} and 3 more\n"},
	{"bare", "{s}\n"},
}

func (c context) fill(name, secret string) (text string, start int) {
	r := strings.NewReplacer("{I}", strings.ToUpper(snake(name)), "{i}", name, "{c}", camel(name))
	text = r.Replace(c.text)
	start = strings.Index(text, "{s}")
	return text[:start] + secret + text[start+len("{s}"):], start
}

func snake(name string) string { return strings.NewReplacer("-", "_", ".", "_").Replace(name) }

func camel(name string) string {
	var b strings.Builder
	up := false
	for _, c := range name {
		switch {
		case c == '_' || c == '-' || c == '.':
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(c))
			up = false
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// before and after are lines around a sample, with nothing that a rule is about.
var (
	before = []string{"", "# production\n", "Starting up.\n", "total 12\n", "---\n", "LOG_LEVEL=info\n", "\n\n", "package main\n\n"}
	after  = []string{"", "\n", "done\n", "REGION=eu-west-1\n", "# end\n", "ok  \t3.2s\n", "}\n"}
)

// framed puts lines around a text.
func framed(r *rand.Rand, text string) (whole string, shift int) {
	b := pick(r, before)
	return b + text + pick(r, after), len(b)
}
