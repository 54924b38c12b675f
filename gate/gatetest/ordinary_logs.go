package gatetest

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
)

func ip(r *rand.Rand) string {
	return fmt.Sprintf("10.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256))
}

func clock(r *rand.Rand) string {
	return fmt.Sprintf("2026-%02d-%02dT%02d:%02d:%02d.%03dZ", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000))
}

func sha(r *rand.Rand, n int) string { return chars(r, hexLower, n) }

func sri(r *rand.Rand) string {
	const size = 64 // of a SHA-512
	return "sha512-" + base64.StdEncoding.EncodeToString(bytesOf(r, size))
}

var packages = []string{"left-pad", "async", "react-dom", "tokenize", "keyv", "secretary", "@babel/core", "passport", "authy-utils", "apidoc", "mount-point", "access-control"}

func version(r *rand.Rand) string { return fmt.Sprintf("%d.%d.%d", r.IntN(9), r.IntN(30), r.IntN(40)) }

var logs = []material{
	{"nginx log", lines(5, 20, func(r *rand.Rand) string {
		return fmt.Sprintf(`%s - - [03/Mar/2026:12:%02d:%02d +0000] "GET /api/v1/items/%s?page=%d&sort=key HTTP/1.1" %d %d "https://www.example.com/login" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"`,
			ip(r), r.IntN(60), r.IntN(60), uuid(r), r.IntN(90), pick(r, []int{200, 204, 304, 401, 404, 500}), r.IntN(90000))
	})},
	{"json log", lines(5, 20, func(r *rand.Rand) string {
		return fmt.Sprintf(`{"time":%q,"level":"INFO","msg":"request done","request_id":%q,"trace_id":%q,"span_id":%q,"user":"u%d","path":"/token/refresh","auth":"ok","key_count":%d,"etag":"\"%s\"","ms":%d}`,
			clock(r), uuid(r), sha(r, 32), sha(r, 16), r.IntN(9999), r.IntN(50), sha(r, 32), r.IntN(2000))
	})},
	{"systemd log", lines(5, 20, func(r *rand.Rand) string {
		return fmt.Sprintf("Mar %02d %02d:%02d:%02d host%d %s[%d]: %s", 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(9), pick(r, []string{"systemd", "sshd", "kernel", "cron"}), r.IntN(60000), pick(r, []string{
			"Accepted publickey for deploy from " + ip(r) + " port 51234 ssh2: ED25519 SHA256:" + chars(r, base64s, 43),
			"Started Session 42 of User root.", "Failed password for invalid user admin from " + ip(r) + " port 4022 ssh2",
			"EXT4-fs (sda1): mounted filesystem " + uuid(r) + " r/w with ordered data mode.", "Reached target Local File Systems.",
		}))
	})},
	{"git log", func(r *rand.Rand) string {
		return fmt.Sprintf("commit %s\nMerge: %s %s\nAuthor: A. Writer <a.writer@example.com>\nDate:   Tue Mar 3 12:00:00 2026 +0000\n\n    %s\n\n    Change-Id: I%s\n\nindex %s..%s 100644\n",
			sha(r, 40), sha(r, 7), sha(r, 7), sentence(r), sha(r, 40), sha(r, 10), sha(r, 10))
	}},
}

var tools = []material{
	{"go test", lines(5, 20, func(r *rand.Rand) string {
		return fmt.Sprintf(pick(r, []string{"=== RUN   TestTokenExpiry/key_%02d", "--- PASS: TestAuthHeader (0.%02ds)", "ok  \tgithub.com/acme/auth/token\t0.%02ds", "    key_test.go:%d: password policy: got 12, want 12", "?   \tgithub.com/acme/secretary/v%d\t[no test files]", "goroutine %d [running]:"}), r.IntN(99))
	})},
	{"npm install", lines(5, 15, func(r *rand.Rand) string {
		return fmt.Sprintf("npm http fetch GET 200 https://registry.npmjs.org/%s/-/%s-%s.tgz %dms (cache hit) %s", pick(r, packages), pick(r, packages), version(r), r.IntN(900), sri(r))
	})},
	{"pip install", lines(5, 15, func(r *rand.Rand) string {
		p := pick(r, packages)
		return fmt.Sprintf("Collecting %s==%s\n  Downloading https://files.pythonhosted.org/packages/%s/%s/%s/%s-%s-py3-none-any.whl (%d kB)\n    --hash=sha256:%s", p, version(r), sha(r, 2), sha(r, 2), sha(r, 60), p, version(r), r.IntN(900), sha(r, 64))
	})},
	{"cargo build", lines(5, 15, func(r *rand.Rand) string {
		return fmt.Sprintf("   Compiling %s v%s (https://github.com/acme/%s?rev=%s#%s)", pick(r, packages), version(r), pick(r, packages), sha(r, 40), sha(r, 8))
	})},
	{"terraform plan", func(r *rand.Rand) string {
		return fmt.Sprintf("  # aws_iam_role.worker will be created\n  + resource \"aws_iam_role\" \"worker\" {\n      + arn                = (known after apply)\n      + password           = (sensitive value)\n      + access_key         = (known after apply)\n      + kms_key_id         = \"arn:aws:kms:eu-west-1:%s:key/%s\"\n      + ami                = \"ami-%s\"\n      + vpc_id             = \"vpc-%s\"\n      + source_code_hash   = %q\n    }\n",
			chars(r, digits, 12), uuid(r), sha(r, 17), sha(r, 17), base64.StdEncoding.EncodeToString(bytesOf(r, 32)))
	}},
	{"kubectl", lines(5, 15, func(r *rand.Rand) string {
		return fmt.Sprintf("auth-api-%s-%s   1/1   Running   %d   %dh   %s   node-%s   sha256:%s", chars(r, "bcdfghjklmnpqrstvwxz2456789", 10), chars(r, "bcdfghjklmnpqrstvwxz2456789", 5), r.IntN(9), r.IntN(99), ip(r), sha(r, 8), sha(r, 64))
	})},
	{"docker", lines(5, 15, func(r *rand.Rand) string {
		return fmt.Sprintf("#%d [stage-1 %d/9] COPY --from=build /app/secret-service /usr/bin/\n#%d sha256:%s 3.1MB / 12.4MB 0.9s\n%s: Pull complete", r.IntN(30), r.IntN(9), r.IntN(30), sha(r, 64), sha(r, 12))
	})},
	{"ls and sums", lines(5, 15, func(r *rand.Rand) string {
		return fmt.Sprintf("%s  dist/%s-%s.tar.gz\n%s *keys/id_ed25519.pub", sha(r, 64), pick(r, packages), version(r), sha(r, 32))
	})},
}
