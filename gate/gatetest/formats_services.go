package gatetest

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
)

func github(prefix string) func(*rand.Rand) span {
	return token("github", func(r *rand.Rand) string { return withChecksum(prefix + chars(r, base62, checked+checkLen)) })
}

var hosts = []format{
	{"github-pat", github("ghp_")},
	{"github-oauth", github("gho_")},
	{"github-user", github("ghu_")},
	{"github-server", github("ghs_")},
	{"github-refresh", token("github", prefixed("ghr_", base62, 76))},
	{"github-fine-grained", token("github", func(r *rand.Rand) string {
		return "github_pat_" + chars(r, digits+upper, 22) + "_" + chars(r, base62, 59)
	})},
	{"gitlab-pat", token("gitlab", prefixed("glpat-", base64u, 20))},
	{"gitlab-runner", token("gitlab", prefixed("glrt-", base64u, 20))},
	{"bitbucket", token("bitbucket", prefixed("ATBB", base62, 32))},
	{"atlassian", token("atlassian", func(r *rand.Rand) string {
		return "ATATT3xFfGF0" + chars(r, base64u, 171) + "=" + chars(r, digits+"ABCDEF", 8)
	})},
	{"npm", token("npm", func(r *rand.Rand) string { return withChecksum("npm_" + chars(r, base62, checked+checkLen)) })},
	{"pypi", token("pypi", prefixed("pypi-AgEIcHlwaS5vcmcC", base64u, 140))},
	{"rubygems", token("gem", prefixed("rubygems_", hexLower, 48))},
	{"crates-io", token("cargo", prefixed("cio", base62, 32))},
	{"nuget", token("nuget", prefixed("oy2", base36, 43))},
	{"docker-hub", token("docker", prefixed("dckr_pat_", base64u, 27))},
	{"circleci", token("circleci", func(r *rand.Rand) string { return "CCIPAT_" + chars(r, base62, 22) + "_" + chars(r, hexLower, 40) })},
	{"buildkite", token("buildkite", prefixed("bkua_", hexLower, 40))},
}

var services = []format{
	{"stripe", token("stripe", prefixed("sk_live_", base62, 99))},
	{"stripe-restricted", token("stripe", prefixed("rk_live_", base62, 24))},
	{"stripe-webhook", token("stripe", prefixed("whsec_", base62, 32))},
	{"slack-bot", token("slack", func(r *rand.Rand) string {
		return "xoxb-" + chars(r, digits, 12) + "-" + chars(r, digits, 13) + "-" + chars(r, base62, 24)
	})},
	{"slack-client", token("slack", func(r *rand.Rand) string {
		return strings.Join([]string{"xoxc", chars(r, digits, 12), chars(r, digits, 12), chars(r, digits, 13), chars(r, hexLower, 64)}, "-")
	})},
	{"discord-bot", token("discord_bot", func(r *rand.Rand) string {
		id := base64.RawURLEncoding.EncodeToString([]byte("1" + chars(r, digits, 17)))
		return id + ".G" + chars(r, base62, 5) + "." + chars(r, base64u, 38)
	})},
	{"telegram-bot", func(r *rand.Rand) span {
		return around("https://api.telegram.org/bot", chars(r, "123456789", 1)+chars(r, digits, 9)+":AA"+chars(r, base64u, 32)+chars(r, base62, 1), "/getMe\n")
	}},
	{"twilio-key", token("twilio", prefixed("SK", hexLower, 32))},
	{"twilio-token", named("twilio_auth_token", prefixed("", hexLower, 32))},
	{"sendgrid", token("sendgrid", func(r *rand.Rand) string { return "SG." + chars(r, base64u, 22) + "." + chars(r, base64u, 43) })},
	{"mailgun", named("mailgun_api_key", func(r *rand.Rand) string {
		return strings.Join([]string{chars(r, hexLower, 32), chars(r, hexLower, 8), chars(r, hexLower, 8)}, "-")
	})},
	{"mapbox", token("mapbox", func(r *rand.Rand) string { return "sk.eyJ1Ijoi" + chars(r, base62, 60) + "." + chars(r, base64u, 22) })},
	{"sentry", token("sentry", prefixed("sntryu_", hexLower, 64))},
	{"linear", token("linear", prefixed("lin_api_", base62, 40))},
	{"notion", token("notion", func(r *rand.Rand) string { return "ntn_" + chars(r, digits, 11) + chars(r, base62, 35) })},
	{"notion-legacy", token("notion", prefixed("secret_", base62, 43))},
	{"figma", token("figma", prefixed("figd_", base64u, 40))},
	{"shopify", token("shopify", prefixed("shpat_", hexLower, 32))},
	{"square", token("square", prefixed("sq0csp-", base64u, 43))},
	{"new-relic", token("new_relic", prefixed("NRAK-", digits+upper, 27))},
	{"grafana", token("grafana", func(r *rand.Rand) string { return "glsa_" + chars(r, base62, 32) + "_" + chars(r, hexLower, 8) })},
	{"posthog", token("posthog", prefixed("phx_", base62, 43))},
	{"contentful", token("contentful", prefixed("CFPAT-", base64u, 43))},
}
