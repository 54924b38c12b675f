package gatetest

import "math/rand/v2"

// format is one form of secret, written from what its issuer or its specification
// says of it, and from no rule: what is measured with it is whether rules know the
// world, not whether an engine knows its rules.
type format struct {
	name string

	// write is a text with the secret in it.
	write func(*rand.Rand) span
}

// Formats writes n samples of each form of secret that is known here.
func Formats(seed uint64, n int) []Sample {
	var samples []Sample
	for _, list := range formats() {
		for _, f := range list {
			r := random(seed, "format "+f.name)
			for range n {
				s := f.write(r)
				text, shift := framed(r, s.text)
				samples = append(samples, Sample{Kind: f.name, How: "format", Text: []byte(text), Start: s.start + shift, End: s.end + shift})
			}
		}
	}
	return samples
}

func formats() [][]format {
	return [][]format{urls, headers, clouds, models, hosts, services, files, keys}
}

// token is a secret that is known by itself, in any context.
func token(vendor string, write func(*rand.Rand) string) func(*rand.Rand) span {
	return func(r *rand.Rand) span {
		c := pick(r, contexts)
		secret := write(r)
		text, start := c.fill(vendor+pick(r, endings), secret)
		return span{text, start, start + len(secret)}
	}
}

// named is a secret that only its name gives away.
func named(name string, write func(*rand.Rand) string) func(*rand.Rand) span {
	return func(r *rand.Rand) span {
		c := pick(r, assignments)
		secret := write(r)
		text, start := c.fill(name, secret)
		return span{text, start, start + len(secret)}
	}
}

// assignments are the contexts that name what stands there.
var assignments = contexts[:12]

// prefixed is a prefix and so many characters of an alphabet.
func prefixed(prefix, alphabet string, n int) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return prefix + chars(r, alphabet, n) }
}
