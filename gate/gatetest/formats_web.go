package gatetest

import (
	"encoding/base64"
	"math/rand/v2"
	"net/url"
)

// url with a password: RFC 3986, section 3.2.1.
func login(scheme, rest string) func(*rand.Rand) span {
	return func(r *rand.Rand) span {
		before := pick(r, []string{"DATABASE_URL=", "url: ", "\"dsn\": \"", "connecting to ", ""})
		after := ""
		if before == "\"dsn\": \"" {
			after = "\""
		}
		return around(before+scheme+"://app:", password(r), "@"+rest+after+"\n")
	}
}

var urls = []format{
	{"postgres-url", login("postgres", "db.example.com:5432/app?sslmode=require")},
	{"postgresql-url", login("postgresql", "10.0.0.5/app")},
	{"mysql-url", login("mysql", "db.example.com/app")},
	{"mongodb-url", login("mongodb+srv", "cluster0.example.mongodb.net/app")},
	{"redis-url", login("rediss", "cache.example.com:6379/0")},
	{"amqp-url", login("amqps", "mq.example.com/vhost")},
	{"sqlalchemy-url", login("postgresql+psycopg2", "localhost:5432/app")},
	{"https-url", login("https", "git.example.com/team/repo.git")},
	{"jdbc-url", func(r *rand.Rand) span {
		return around("spring.datasource.url=jdbc:postgresql://db:5432/app?user=app&password=", chars(r, base62, 16), "\n")
	}},
	{"ado-net", func(r *rand.Rand) span {
		return around("Server=tcp:sql.example.com,1433;Database=app;User Id=app;Password=", password(r), ";Encrypt=True;\n")
	}},
}

func basic(r *rand.Rand) string {
	return base64.StdEncoding.EncodeToString([]byte("deploy:" + password(r)))
}

var headers = []format{
	{"http-basic", func(r *rand.Rand) span { return around("Authorization: Basic ", basic(r), "\r\nAccept: */*\r\n") }},
	{"http-bearer", func(r *rand.Rand) span {
		return around("> authorization: Bearer ", chars(r, base64u, 43), "\n> accept: */*\n")
	}},
	{"http-bearer-code", func(r *rand.Rand) span {
		return around(`headers={"Authorization": "Bearer `, chars(r, base62, 40), "\"})\n")
	}},
	{"x-api-key", func(r *rand.Rand) span { return around("X-Api-Key: ", chars(r, base62, 40), "\r\n") }},
	{"private-token", func(r *rand.Rand) span {
		return around("curl --header 'PRIVATE-TOKEN: ", chars(r, base62, 20), "' https://gitlab.example.com/api/v4/user\n")
	}},
	{"session-cookie", func(r *rand.Rand) span {
		return around("Set-Cookie: sessionid=", chars(r, base36, 32), "; HttpOnly; Secure\r\n")
	}},
	{"aws-presigned", func(r *rand.Rand) span {
		return around("https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-Signature=", chars(r, hexLower, 64), "\n")
	}},
	{"azure-sas", func(r *rand.Rand) span {
		sig := url.QueryEscape(base64.StdEncoding.EncodeToString(bytesOf(r, 32)))
		return around("https://acct.blob.core.windows.net/c?sv=2022-11-02&sp=r&sig=", sig, "\n")
	}},
	{"discord-webhook", func(r *rand.Rand) span {
		return around("https://discord.com/api/webhooks/"+chars(r, digits, 18)+"/", chars(r, base64u, 68), "\n")
	}},
	{"slack-webhook", func(r *rand.Rand) span {
		return around("https://", "hooks.slack.com/services/T"+chars(r, digits+upper, 10)+"/B"+chars(r, digits+upper, 10)+"/"+chars(r, base62, 24), "\n")
	}},
	{"jwt", func(r *rand.Rand) span { return around("id_token=", jwt(r), "\n") }},
}
