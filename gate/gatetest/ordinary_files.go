package gatetest

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"strings"
)

var locks = []material{
	{"package-lock.json", lines(2, 6, func(r *rand.Rand) string {
		p, v := pick(r, packages), version(r)
		return fmt.Sprintf("    \"node_modules/%s\": {\n      \"version\": %q,\n      \"resolved\": \"https://registry.npmjs.org/%s/-/%s-%s.tgz\",\n      \"integrity\": %q,\n      \"dependencies\": { \"tokenize\": \"^1.2.0\" }\n    },", p, v, p, p, v, sri(r))
	})},
	{"yarn.lock", lines(2, 6, func(r *rand.Rand) string {
		p, v := pick(r, packages), version(r)
		return fmt.Sprintf("%s@^%s:\n  version %q\n  resolved \"https://registry.yarnpkg.com/%s/-/%s-%s.tgz#%s\"\n  integrity %s\n", p, v, v, p, p, v, sha(r, 40), sri(r))
	})},
	{"go.sum", lines(5, 20, func(r *rand.Rand) string {
		return fmt.Sprintf("github.com/acme/%s v%s/go.mod h1:%s", pick(r, []string{"auth", "keyring", "token", "secrets"}), version(r), base64.StdEncoding.EncodeToString(bytesOf(r, 32)))
	})},
	{"Cargo.lock", lines(2, 6, func(r *rand.Rand) string {
		return fmt.Sprintf("[[package]]\nname = \"secrecy\"\nversion = %q\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = %q\n", version(r), sha(r, 64))
	})},
	{"poetry.lock", lines(2, 6, func(r *rand.Rand) string {
		return fmt.Sprintf("    {file = \"keyring-%s.tar.gz\", hash = \"sha256:%s\"},", version(r), sha(r, 64))
	})},
}

var code = []material{
	{"go source", func(r *rand.Rand) string {
		return fmt.Sprintf("// token%d returns the next token; key is the map's key.\nfunc (p *parser) token%d(key string) (tok Token, err error) {\n\tpassword := os.Getenv(\"DB_PASSWORD\")\n\treq.Header.Set(\"Authorization\", \"Bearer \"+p.accessToken)\n\tif p.apiKey == \"\" || key == \"async\" {\n\t\treturn tok, fmt.Errorf(\"no key: %%w\", errMissingKey)\n\t}\n\treturn p.tokens[%d], nil\n}\n", r.IntN(999), r.IntN(999), r.IntN(99))
	}},
	{"python source", func(r *rand.Rand) string {
		return fmt.Sprintf("async def fetch_%d(session, *, api_key=None, timeout=%d):\n    \"\"\"Return the amount due; secret_key is read from the environment.\"\"\"\n    token = os.environ[\"API_TOKEN\"]\n    headers = {\"Authorization\": f\"Bearer {token}\"}\n    password = getpass.getpass(\"Password: \")\n    async with session.get(BASE_URL, headers=headers) as response:\n        return await response.json(), self.config.credentials[password]\n", r.IntN(999), r.IntN(60))
	}},
	{"minified javascript", func(r *rand.Rand) string {
		var b strings.Builder
		for range 12 {
			a, c := chars(r, lower, 1), chars(r, lower, 2)
			fmt.Fprintf(&b, "!function(%s,%s){\"use strict\";var t=%s.key||{},n=%s(%d),token=t.accessToken=function(e){return e.password&&e.auth?e.keyCode===%d:n.apiKey(e)};%s.exports={key:token,secret:!0,access:n,async:%s=>Promise.all([%s.%s(0x%s)])}}(%s,%s);",
				a, c, a, c, r.IntN(9999), r.IntN(255), a, a, c, chars(r, base62, 1+r.IntN(3)), sha(r, 6), a, c)
		}
		return b.String() + "\n"
	}},
	{"webpack", lines(3, 9, func(r *rand.Rand) string {
		return fmt.Sprintf(`{%d:"%s",%d:"%s"}[e]+".chunk.js",c.p="/static/",x.integrity="%s",m.token_%d=k.Key%s,n.d(t,"api",(function(){return o.%s}))`, r.IntN(999), sha(r, 20), r.IntN(999), sha(r, 20), sri(r), r.IntN(99), chars(r, base62, 4), chars(r, lower, 2))
	})},
	{"css", lines(3, 9, func(r *rand.Rand) string {
		return fmt.Sprintf(".btn-%s_%s__key{color:#%s;background:url(/img/%s.%s.png)}.token.keyword{margin:%dpx}", chars(r, lower, 5), chars(r, base62, 5), sha(r, 6), chars(r, lower, 6), sha(r, 20), r.IntN(60))
	})},
	{"configuration", func(r *rand.Rand) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Deployment\nmetadata:\n  uid: %s\n  resourceVersion: \"%d\"\nspec:\n  env:\n  - name: API_KEY\n    valueFrom:\n      secretKeyRef:\n        name: api\n        key: token\n  image: registry.example.com/auth@sha256:%s\n  passwordFile: /run/secrets/db\n  keyFile: /etc/ssl/private/server.key\n", uuid(r), r.IntN(1e9), sha(r, 64))
	}},
}

var encoded = []material{
	{"uuids", lines(5, 20, uuid)},
	{"hashes", lines(5, 20, func(r *rand.Rand) string { return sha(r, pick(r, []int{32, 40, 56, 64, 96, 128})) })},
	{"object ids", lines(5, 20, func(r *rand.Rand) string { return `{"_id":{"$oid":"` + sha(r, 24) + `"},"v":1}` })},
	{"base64 image", func(r *rand.Rand) string {
		return `<img src="data:image/png;base64,iVBORw0KGgo` + base64.RawStdEncoding.EncodeToString(bytesOf(r, 900)) + "\">\n"
	}},
	{"certificates", func(r *rand.Rand) string {
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: bytesOf(r, 900)})
		return string(cert) + publicKey(r) + "-----BEGIN PGP SIGNATURE-----\n\n" + wrapped(bytesOf(r, 90)) + "\n-----END PGP SIGNATURE-----\n"
	}},
	{"hex dump", lines(5, 20, func(r *rand.Rand) string {
		return fmt.Sprintf("%08x  %s  |................|", r.IntN(1<<24), strings.Join(strings.SplitAfter(chars(r, hexLower, 32), ""), ""))
	})},
	{"random bytes", func(r *rand.Rand) string { return string(bytesOf(r, 4096)) }},
}
