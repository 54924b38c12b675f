package gatetest

import (
	"encoding/base64"
	"encoding/pem"
	"math/rand/v2"
	"strings"
)

// escaped is PEM as JSON writes it.
func escaped(b *pem.Block) string {
	return strings.ReplaceAll(strings.TrimSuffix(string(pem.EncodeToMemory(b)), "\n"), "\n", `\n`)
}

// wrapped is base64 in lines of 64, as keys are written.
func wrapped(b []byte) string {
	var lines []string
	for s := base64.StdEncoding.EncodeToString(b); s != ""; {
		n := min(64, len(s))
		lines = append(lines, s[:n])
		s = s[n:]
	}
	return strings.Join(lines, "\n")
}

var files = []format{
	{"netrc", func(r *rand.Rand) span {
		return around("machine git.example.com\n  login deploy\n  password ", password(r), "\n")
	}},
	{"netrc-line", func(r *rand.Rand) span {
		return around("machine api.example.com login deploy password ", chars(r, base62, 20), "\n")
	}},
	{"pypirc", func(r *rand.Rand) span {
		return around("[internal]\nrepository = https://pypi.example.com/\nusername = deploy\npassword = ", password(r), "\n")
	}},
	{"npmrc-token", func(r *rand.Rand) span { return around("//npm.example.com/:_authToken=", uuid(r), "\n") }},
	{"npmrc-auth", func(r *rand.Rand) span { return around("//npm.example.com/:_auth=", basic(r), "\n") }},
	{"docker-config", func(r *rand.Rand) span {
		return around("{\n\t\"auths\": {\n\t\t\"registry.example.com\": {\n\t\t\t\"auth\": \"", basic(r), "\"\n\t\t}\n\t}\n}\n")
	}},
	{"kubernetes-yaml", func(r *rand.Rand) span {
		return around("apiVersion: v1\ndata:\n  password: ", base64.StdEncoding.EncodeToString([]byte(password(r))), "\nkind: Secret\nmetadata:\n  name: db\n")
	}},
	{"kubernetes-json", func(r *rand.Rand) span {
		return around("{\n    \"apiVersion\": \"v1\",\n    \"data\": {\n        \"password\": \"", base64.StdEncoding.EncodeToString([]byte(password(r))), "\"\n    },\n    \"kind\": \"Secret\"\n}\n")
	}},
	{"kubeconfig", func(r *rand.Rand) span {
		return around("users:\n- name: admin\n  user:\n    client-key-data: ", base64.StdEncoding.EncodeToString(pem.EncodeToMemory(sec1(r))), "\n")
	}},
	{"kubeadm", func(r *rand.Rand) span {
		return around("kubeadm join 10.0.0.1:6443 --token ", chars(r, base36, 6)+"."+chars(r, base36, 16), " --discovery-token-ca-cert-hash sha256:"+chars(r, hexLower, 64)+"\n")
	}},
	{"htpasswd", func(r *rand.Rand) span {
		return around("alice:", "$apr1$"+chars(r, base62, 8)+"$"+chars(r, base62+"./", 22), "\n")
	}},
	{"bcrypt", func(r *rand.Rand) span { return around("bob:", "$2y$10$"+chars(r, base62+"./", 53), "\n") }},
	{"shadow", func(r *rand.Rand) span {
		return around("root:", "$6$"+chars(r, base62+"./", 16)+"$"+chars(r, base62+"./", 86), ":19700:0:99999:7:::\n")
	}},
	{"shadow-yescrypt", func(r *rand.Rand) span {
		return around("alice:", "$y$j9T$"+chars(r, base62+"./", 22)+"$"+chars(r, base62+"./", 43), ":19700:0:99999:7:::\n")
	}},
	{"terraform-state", func(r *rand.Rand) span {
		return around("            \"identifier\": \"db\",\n            \"password\": \"", password(r), "\",\n            \"port\": 5432,\n")
	}},
	{"django", func(r *rand.Rand) span {
		return around("SECRET_KEY = 'django-insecure-", chars(r, base36+"!@#$%^&*(-_=+)", 50), "'\n")
	}},
	{"rails", named("secret_key_base", prefixed("", hexLower, 128))},
	{"sshpass", func(r *rand.Rand) span {
		return around("sshpass -p '", password(r), "' ssh root@10.0.0.2 uptime\n")
	}},
	{"mysql-command", func(r *rand.Rand) span { return around("mysql -u root -p", chars(r, base62, 14), " app <dump.sql\n") }},
	{"docker-login", func(r *rand.Rand) span {
		return around("docker login -u deploy -p ", chars(r, base62, 20), " registry.example.com\n")
	}},
	{"curl-user", func(r *rand.Rand) span {
		return around("curl -u deploy:", chars(r, base62, 16), " https://ci.example.com/\n")
	}},
	{"env-password", func(r *rand.Rand) span { return around("DB_PASSWORD=", chars(r, base62, 18), "\n") }},
	{"env-secret", func(r *rand.Rand) span { return around("export CLIENT_SECRET=\"", chars(r, base64u, 40), "\"\n") }},
}

func pemOf(block func(*rand.Rand) *pem.Block) func(*rand.Rand) span {
	return func(r *rand.Rand) span {
		return around("", strings.TrimSuffix(string(pem.EncodeToMemory(block(r))), "\n"), "\n")
	}
}

var keys = []format{
	{"rsa-pem", pemOf(pkcs1)},
	{"pkcs8-pem", pemOf(pkcs8)},
	{"ec-pem", pemOf(sec1)},
	{"ed25519-pem", pemOf(edKey)},
	{"openssh", pemOf(opensshKey)},
	{"encrypted-pem", pemOf(encryptedKey)},
	{"pgp-private", pemOf(pgpKey)},
	{"pem-in-env", func(r *rand.Rand) span { return around("TLS_KEY=\"", escaped(sec1(r)), "\"\n") }},
	{"pem-indented", func(r *rand.Rand) span {
		block := strings.TrimSuffix(string(pem.EncodeToMemory(sec1(r))), "\n")
		return around("tls:\n  key: |\n    ", strings.ReplaceAll(block, "\n", "\n    "), "\n")
	}},
	{"putty", func(r *rand.Rand) span {
		head := "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: deploy\nPublic-Lines: 2\n" + wrapped(bytesOf(r, 51)) + "\nPrivate-Lines: 1\n"
		return around(head, wrapped(bytesOf(r, 36)), "\nPrivate-MAC: "+chars(r, hexLower, 64)+"\n")
	}},
	{"wireguard", func(r *rand.Rand) span {
		return around("[Interface]\nAddress = 10.1.0.2/24\nPrivateKey = ", base64.StdEncoding.EncodeToString(bytesOf(r, 32)), "\n")
	}},
	{"age", func(r *rand.Rand) span {
		return around("# public key: age1"+chars(r, bech32, 58)+"\n", "AGE-SECRET-KEY-1"+strings.ToUpper(chars(r, bech32, 58)), "\n")
	}},
	{"jwk", func(r *rand.Rand) span {
		return around(`{"kty":"OKP","crv":"Ed25519","x":"`+chars(r, base64u, 43)+`","d":"`, base64.RawURLEncoding.EncodeToString(bytesOf(r, 32)), "\"}\n")
	}},
	{"wallet", func(r *rand.Rand) span { return around("", "xprv9s21ZrQH143K"+chars(r, base58, 95), "\n") }},
}
