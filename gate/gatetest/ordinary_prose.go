package gatetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

var (
	subjects = []string{"The committee", "Our async worker", "A reader", "The invoice", "She", "The key speaker", "Nobody", "The password policy", "An access token in general", "This chapter", "The secretary", "Every author", "The API", "A turkey", "The bearer of the letter"}
	verbs    = []string{"explains", "forgot", "wrote down", "awaits", "describes", "recommends", "signed", "cannot find", "authorised", "mounted", "delivers", "discusses", "keeps"}
	objects  = []string{
		"the amount due by Friday", "a token of appreciation", "the key takeaways of the meeting", "how a password reset works",
		"the secret of good bread", "an async function and its callers", "basic authorization in three pages", "the keyboard shortcuts",
		"the public key of the server", "access to the archive", "the credentials that visitors need at the gate", "monkeys and donkeys",
		"what a private key is, and why it stays private", "an API key: a string that is kept secret", "the mount points of the disk",
		"the author's copy", "a bank account without a number", "the password: it must have twelve characters", "the tokens of the grammar",
	}
	endingsOf = []string{"before the deadline.", "in plain words.", "(see section 4.2).", "without any doubt.", "for 12,500 euros.", "on 3 March 2026.", "— or so they say.", "at half past nine.", "as usual."}
)

func sentence(r *rand.Rand) string {
	return strings.Join([]string{pick(r, subjects), pick(r, verbs), pick(r, objects), pick(r, endingsOf)}, " ")
}

var prose = []material{
	{"english", lines(3, 9, sentence)},
	{"markdown", func(r *rand.Rand) string {
		return fmt.Sprintf("## %s\n\n%s %s\n\nSet `API_KEY` to your key and `DB_PASSWORD` to the password:\n\n```sh\nexport API_KEY=<your-api-key>\nexport DB_PASSWORD=${DB_PASSWORD:?}\ncurl -H \"Authorization: Bearer $TOKEN\" https://api.example.com/v1/items/%s\n```\n\n- [ ] %s\n",
			strings.ToUpper(pick(r, objects)), sentence(r), sentence(r), uuid(r), sentence(r))
	}},
	{"about keys", func(r *rand.Rand) string {
		return fmt.Sprintf("%s A key file begins with -----BEGIN RSA PRIVATE KEY----- and a line of base64;\nlook for `-----BEGIN OPENSSH PRIVATE KEY-----`. Tokens begin with ghp_, sk_live_, xoxb- or AKIA (as AKIAIOSFODNN7EXAMPLE).\nUse postgres://user:password@localhost:5432/db or mysql://${USER}:${PASS}@db/app.\n",
			sentence(r))
	}},
}
