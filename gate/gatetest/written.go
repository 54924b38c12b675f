package gatetest

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// paths are of the files that some rules are only for.
var paths = map[string]string{
	"freemius-secret-key":    "plugin/init.php",
	"hashicorp-tf-password":  "infra/main.tf",
	"kubernetes-secret-yaml": "deploy/secret.yaml",
	"nuget-config-password":  "src/nuget.config",
}

// written are the secrets of rules whose expressions say too little of what a true
// one looks like: random characters in their places would be none.
var written = map[string]func(*rand.Rand) span{
	"jwt": func(r *rand.Rand) span { return around("token: ", jwt(r), "\n") },
	"jwt-base64": func(r *rand.Rand) span {
		return around("data: ", base64.StdEncoding.EncodeToString([]byte(jwt(r))), "\n")
	},
	"private-key": func(r *rand.Rand) span { return around("", privateKey(r), "\n") },
	"curl-auth-header": func(r *rand.Rand) span {
		return around("curl -X POST -H 'Content-Type: application/json' -H \"Authorization: Bearer ", chars(r, base64u, 40), "\" https://api.example.com/v1\n")
	},
	"curl-auth-user": func(r *rand.Rand) span {
		return around("curl -s -u 'deploy:", password(r), "' https://ci.example.com/job/7\n")
	},
	"kubernetes-secret-yaml": func(r *rand.Rand) span {
		return around("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ntype: Opaque\ndata:\n  dsn: ", base64.StdEncoding.EncodeToString([]byte(password(r))), "\n")
	},
	"nuget-config-password": func(r *rand.Rand) span {
		return around(`<add key="ClearTextPassword" value="`, password(r), "\" />\n")
	},
	"freemius-secret-key": func(r *rand.Rand) span {
		return around("'secret_key' => '", "sk_"+chars(r, base62, 29), "',\n")
	},
	"hashicorp-tf-password": func(r *rand.Rand) span {
		return around("  administrator_login_password = \"", chars(r, base62+"-_", 16), "\"\n")
	},
	"aws-amazon-bedrock-api-key-short-lived": func(r *rand.Rand) span {
		id := base64.StdEncoding.EncodeToString([]byte("bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Credential=" + chars(r, base32, 20)))
		return around("AWS_BEARER_TOKEN_BEDROCK=", "bedrock-api-key-"+id, "\n")
	},
	"sidekiq-sensitive-url": func(r *rand.Rand) span {
		return around("source 'https://", chars(r, hexLower, 8)+":"+chars(r, hexLower, 8), "@gems.contribsys.com/'\n")
	},
}

// as are rules for which a format is what a true secret looks like.
var as = map[string]string{
	"ado-connection-string":           "ado-net",
	"authorization-basic":             "http-basic",
	"authorization-bearer":            "http-bearer",
	"aws-presigned-url":               "aws-presigned",
	"aws-secret-access-key":           "aws-secret-key",
	"aws-session-token":               "aws-session-token",
	"azure-sas":                       "azure-sas",
	"azure-shared-access-key":         "azure-service-bus",
	"azure-storage-key":               "azure-storage",
	"command-password":                "docker-login",
	"database-url":                    "postgres-url",
	"discord-bot-token":               "discord-bot",
	"discord-webhook":                 "discord-webhook",
	"docker-config-auth":              "docker-config",
	"jdbc-password":                   "jdbc-url",
	"jwk-private-key":                 "jwk",
	"kubeadm-token":                   "kubeadm",
	"kubeconfig-client-key":           "kubeconfig",
	"kubernetes-secret-json":          "kubernetes-json",
	"netrc-password":                  "netrc",
	"npmrc-auth":                      "npmrc-auth",
	"password-hash":                   "shadow",
	"putty-private-key":               "putty",
	"pypirc-password":                 "pypirc",
	"quoted-password":                 "terraform-state",
	"session-cookie":                  "session-cookie",
	"url-password":                    "https-url",
	"wireguard-private-key":           "wireguard",
	"azure-ad-client-secret":          "azure-client-secret",
	"sendgrid-api-token":              "sendgrid",
	"slack-webhook-url":               "slack-webhook",
	"bip32-private-key":               "wallet",
	"1password-service-account-token": "1password",
}

func writtenFor(id string) func(*rand.Rand) span {
	if write := written[id]; write != nil {
		return write
	}
	name := as[id]
	for _, list := range formats() {
		for _, f := range list {
			if f.name == name {
				return f.write
			}
		}
	}
	return nil
}

func around(before, secret, after string) span {
	return span{before + secret + after, len(before), len(before) + len(secret)}
}

// jwt is a token with claims, as an identity provider signs it.
func jwt(r *rand.Rand) string {
	enc := base64.RawURLEncoding.EncodeToString
	header := fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":%q}`, pick(r, []string{"HS256", "RS256", "ES256"}), chars(r, base62, 12))
	claims := fmt.Sprintf(`{"iss":"https://id.example.com/","sub":%q,"aud":"api","iat":%d,"exp":%d,"scope":"read write"}`,
		uuid(r), 1767225600+r.IntN(1e6), 1769225600+r.IntN(1e6))
	return strings.Join([]string{enc([]byte(header)), enc([]byte(claims)), enc(bytesOf(r, 32))}, ".")
}
