package gate

import (
	"strings"
	"testing"
)

func findings(text string, scanners ...Scanner) []Finding {
	if scanners == nil {
		scanners = []Scanner{Secrets()}
	}
	return Whole(Subject{Name: "stdout"}, []byte(text), scanners...)
}

func TestSecretsSmoke(t *testing.T) {
	x := strings.Repeat("aB3dE5", 20)
	for _, text := range []string{
		"token ghp_" + x[:36] + "\n",
		"AKIA" + "Q3EGZ7PLDK4WX2MN" + " ",
		"postgres://app:s3cr3tPassw0rd@db.internal/x",
		`{"key": "sk-ant-api03-` + strings.Repeat("aB3-_dE5xQ", 10)[:93] + `AA"}`,
	} {
		for _, f := range findings(text) {
			t.Logf("%q: %+v", text, f)
		}
	}
}
