package gatetest

import (
	"encoding/base64"
	"math/rand/v2"
)

func secretOf40(r *rand.Rand) string { return chars(r, base64s, 40) }

func key88(r *rand.Rand) string { return base64.StdEncoding.EncodeToString(bytesOf(r, 64)) }

var clouds = []format{
	{"aws-key-id", token("aws", func(r *rand.Rand) string { return pick(r, []string{"AKIA", "ASIA"}) + chars(r, base32, 16) })},
	{"aws-secret-key", named("aws_secret_access_key", secretOf40)},
	{"aws-secret-key-json", func(r *rand.Rand) span {
		return around("{\"AccessKeyId\": \"AKIA"+chars(r, base32, 16)+"\", \"SecretAccessKey\": \"", secretOf40(r), "\"}\n")
	}},
	{"aws-session-token", named("aws_session_token", prefixed("IQoJb3JpZ2luX2Vj", base64s, 300))},
	{"azure-storage", func(r *rand.Rand) span {
		return around("DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=", key88(r), ";EndpointSuffix=core.windows.net\n")
	}},
	{"azure-service-bus", func(r *rand.Rand) span {
		return around("Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=", base64.StdEncoding.EncodeToString(bytesOf(r, 32)), "\n")
	}},
	{"azure-client-secret", token("azure_client", func(r *rand.Rand) string {
		return chars(r, base62, 3) + "8Q~" + chars(r, base62+"_.~-", 33) + chars(r, base62, 1)
	})},
	{"azure-devops", token("azure_devops", func(r *rand.Rand) string { return chars(r, base62, 76) + "AZDO" + chars(r, base62, 4) })},
	{"gcp-api-key", token("google", prefixed("AIzaSy", base64u, 33))},
	{"gcp-service-account", func(r *rand.Rand) span {
		return around("{\"type\": \"service_account\", \"project_id\": \"p-1\", \"private_key_id\": \""+chars(r, hexLower, 40)+"\", \"private_key\": \"", escaped(pkcs8(r)), "\\n\"}\n")
	}},
	{"google-client-secret", token("google", prefixed("GOCSPX-", base64u, 28))},
	{"google-access-token", token("google", prefixed("ya29.a0", base64u, 180))},
	{"google-refresh-token", token("google", prefixed("1//0", base64u, 60))},
	{"firebase-messaging", token("fcm", func(r *rand.Rand) string { return "AAAA" + chars(r, base64u, 7) + ":APA91b" + chars(r, base64u, 134) })},
	{"digitalocean", token("digitalocean", prefixed("dop_v1_", hexLower, 64))},
	{"cloudflare", named("cloudflare_api_token", prefixed("", base64u, 40))},
	{"vercel", token("vercel", prefixed("vcp_", base62, 56))},
	{"vercel-legacy", named("vercel_token", prefixed("", base62, 24))},
	{"supabase", token("supabase", prefixed("sbp_", hexLower, 40))},
	{"supabase-secret", token("supabase", prefixed("sb_secret_", base64u, 31))},
	{"neon", token("neon", prefixed("napi_", base36, 64))},
	{"planetscale", token("planetscale", prefixed("pscale_tkn_", base64u, 43))},
	{"doppler", token("doppler", prefixed("dp.pt.", base62, 43))},
	{"doppler-service", token("doppler", prefixed("dp.st.dev.", base62, 43))},
	{"tailscale", token("ts", func(r *rand.Rand) string {
		return "tskey-auth-k" + chars(r, base62, 10) + "CNTRL-" + chars(r, base62, 32)
	})},
	{"ngrok", named("ngrok_authtoken", func(r *rand.Rand) string { return "2" + chars(r, base62, 26) + "_" + chars(r, base62, 21) })},
	{"netlify", token("netlify", prefixed("nfp_", base62, 36))},
	{"render", token("render", prefixed("rnd_", base62, 28))},
	{"fly", token("fly", prefixed("fm2_lJPECAAAAAAA", base64s, 120))},
	{"heroku", token("heroku", prefixed("HRKU-AA", base64u, 58))},
	{"databricks", token("databricks", prefixed("dapi", hexLower, 32))},
	{"aiven", token("aiven", prefixed("AVNS_", base64u, 18))},
	{"vault", token("vault", prefixed("hvs.CAESI", base64u, 90))},
	{"terraform-cloud", token("tfe", func(r *rand.Rand) string { return chars(r, base62, 14) + ".atlasv1." + chars(r, base62, 67) })},
	{"1password", token("op", func(r *rand.Rand) string {
		return "ops_" + base64.StdEncoding.EncodeToString([]byte(`{"signInAddress":"my.1password.com","userAuth":{"method":"SRPg-4096"},"secretKey":"`+chars(r, base62, 200)+`"}`))
	})},
}

var models = []format{
	{"anthropic", token("anthropic", func(r *rand.Rand) string { return "sk-ant-api03-" + chars(r, base64u, 93) + "AA" })},
	{"anthropic-oauth", token("claude", func(r *rand.Rand) string {
		return "sk-ant-oat01-" + chars(r, base64u, 86) + "-" + chars(r, base62, 6) + "AA"
	})},
	{"openai", token("openai", func(r *rand.Rand) string { return "sk-" + chars(r, base62, 20) + "T3BlbkFJ" + chars(r, base62, 20) })},
	{"openai-project", token("openai", func(r *rand.Rand) string {
		return "sk-proj-" + chars(r, base62, 74) + "T3BlbkFJ" + chars(r, base62, 74)
	})},
	{"huggingface", token("hf", prefixed("hf_", upper+lower, 34))},
	{"replicate", token("replicate", prefixed("r8_", base62, 37))},
	{"groq", token("groq", prefixed("gsk_", base62, 52))},
	{"xai", token("xai", prefixed("xai-", base62, 80))},
	{"mistral", named("mistral_api_key", prefixed("", base62, 32))},
	{"cohere", named("co_api_key", prefixed("", base62, 40))},
	{"deepseek", token("deepseek", prefixed("sk-", hexLower, 32))},
	{"openrouter", token("openrouter", prefixed("sk-or-v1-", hexLower, 64))},
	{"perplexity", token("perplexity", prefixed("pplx-", base62, 48))},
	{"nvidia", token("nvidia", prefixed("nvapi-", base64u, 64))},
	{"langsmith", token("langsmith", func(r *rand.Rand) string { return "lsv2_pt_" + chars(r, hexLower, 32) + "_" + chars(r, hexLower, 10) })},
	{"pinecone", token("pinecone", func(r *rand.Rand) string { return "pcsk_" + chars(r, base62, 6) + "_" + chars(r, base62, 63) })},
	{"elevenlabs", token("elevenlabs", prefixed("sk_", hexLower, 48))},
}
