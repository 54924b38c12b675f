package gatetest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	mathrand "math/rand/v2"
	"strings"
	"sync"
)

// rsaKey is generated once: that takes a good part of a second. Keys of the other
// kinds are new each time.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	const bits = 2048
	key, err := rsa.GenerateKey(rand.Reader, bits)
	must(err)
	return key
})

// must is for what fails only where the machine has no randomness.
func must(err error) {
	if err != nil {
		panic("make a key: " + err.Error())
	}
}

// privateKey is a key of one of the usual kinds, in PEM.
func privateKey(r *mathrand.Rand) string {
	kinds := []func(*mathrand.Rand) *pem.Block{pkcs1, pkcs8, sec1, edKey, opensshKey, encryptedKey, pgpKey}
	return strings.TrimSuffix(string(pem.EncodeToMemory(pick(r, kinds)(r))), "\n")
}

func pkcs1(*mathrand.Rand) *pem.Block {
	return &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey())}
}

func pkcs8(*mathrand.Rand) *pem.Block {
	der, err := x509.MarshalPKCS8PrivateKey(rsaKey())
	must(err)
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}
}

func sec1(*mathrand.Rand) *pem.Block {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.MarshalECPrivateKey(key)
	must(err)
	return &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
}

func edKey(*mathrand.Rand) *pem.Block {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}
}

// encryptedKey has the form of PKCS #8 under a passphrase; what is inside is
// random, as ciphertext looks.
func encryptedKey(r *mathrand.Rand) *pem.Block {
	return &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: bytesOf(r, 1200)}
}

// pgpKey has the form of RFC 9580, section 6.2.
func pgpKey(r *mathrand.Rand) *pem.Block {
	return &pem.Block{Type: "PGP PRIVATE KEY BLOCK", Bytes: bytesOf(r, 700)}
}

// opensshKey is an ed25519 key as in OpenSSH's PROTOCOL.key, without a passphrase.
func opensshKey(r *mathrand.Rand) *pem.Block {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	check := string(bytesOf(r, 4))
	pub := fields("ssh-ed25519", string(public))
	inner := check + check + pub + fields(string(private), "deploy@example.com")
	for i := byte(1); len(inner)%8 != 0; i++ {
		inner += string(rune(i))
	}
	body := "openssh-key-v1\x00" + fields("none", "none", "") + "\x00\x00\x00\x01" + fields(pub, inner)
	return &pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte(body)}
}

// fields are strings with their lengths, as SSH writes them (RFC 4251, section 5).
func fields(of ...string) string {
	var b []byte
	for _, s := range of {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return string(b)
}

// publicKey is the half that may leave, as PEM or as a line of authorized_keys.
func publicKey(r *mathrand.Rand) string {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	if r.IntN(2) == 0 {
		return "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte(fields("ssh-ed25519", string(public)))) + " user@example.com\n"
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
