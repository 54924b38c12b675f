package gate

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"testing"
)

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // to a buffer
	_ = w.Close()
	return b.Bytes()
}

func TestViewsSmoke(t *testing.T) {
	x := "gh" + "p_" + "k3Wq9zXv7LmN2pRt5YbC8dFg1HjA4sQeUoMh"
	b64 := base64.StdEncoding.EncodeToString([]byte("the token is " + x + " ok"))
	for _, text := range []string{
		b64, base64.StdEncoding.EncodeToString([]byte(b64)), hex.EncodeToString([]byte(x)), string(gzipped("it is " + x)),
		base64.StdEncoding.EncodeToString(gzipped(x)), "a=%67hp_" + x[4:],
	} {
		list := findings(text)
		for _, f := range list {
			t.Logf("%.40q: %+v", text, f)
		}
		if len(list) != 1 {
			t.Errorf("%.40q: %+v", text, list)
		}
	}
}
