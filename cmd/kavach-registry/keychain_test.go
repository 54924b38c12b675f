package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secret is the password in these tests. No output may have it in any form.
const secret = "s3cret/pass word"

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// writeFile writes a file below a new directory, and returns the directory.
func writeFile(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantsBasic lets nobody in but a user with a password, and tells whoever comes
// what they said.
func (f *fake) wantsBasic(user, password string) {
	f.spoil["*"] = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		got := r.Header.Get("Authorization")
		if got == "Basic "+basic(user, password) {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		w.WriteHeader(http.StatusUnauthorized)
		gotUser, gotPassword, _ := r.BasicAuth()
		answer, _ := json.Marshal(map[string]any{"errors": []any{map[string]string{"code": "UNAUTHORIZED", "message": "not with " + got + " " + gotUser + " " + gotPassword}}})
		_, _ = w.Write(answer)
		return true
	}
}

// checkHidden sees that nothing of what is printed is a secret.
func checkHidden(t *testing.T, what any, secrets ...string) {
	t.Helper()
	text, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(secrets, secret, basic("me", secret), basic("me", "wrong"+secret)) {
		if strings.Contains(string(text), s) {
			t.Errorf("%q is in %s", s, text)
		}
	}
}

func TestCredentials(t *testing.T) {
	entry := func(host, password string) string {
		return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, basic("me", password))
	}
	helperScript := func(body string) string { return "#!/bin/sh\nread server\n" + body + "\n" }
	answer := fmt.Sprintf(`echo '{"ServerURL":"x","Username":"me","Secret":%q}'`, secret)
	tests := []struct {
		variable, file, text string // an environment variable, and a file below it
		also                 string // ~/.docker/config.json
		helper               string // docker-credential-test in PATH
		says                 string // of the error; empty: it goes well
		why                  string
	}{
		{variable: "HOME", file: ".docker/config.json", text: entry("HOST", secret), why: "docker's file"},
		{variable: "DOCKER_CONFIG", file: "config.json", text: entry("HOST", secret), why: "docker's file, elsewhere"},
		{variable: "DOCKER_CONFIG", file: "config.json", text: entry("https://HOST/v1/", secret), why: "as docker wrote hosts once"},
		{variable: "XDG_RUNTIME_DIR", file: "containers/auth.json", text: entry("HOST", secret), why: "podman's file"},
		{variable: "XDG_CONFIG_HOME", file: "containers/auth.json", text: entry("HOST/app", secret), why: "podman's file, for one repository"},
		{variable: "HOME", file: ".config/containers/auth.json", text: entry("HOST", secret), why: "podman's file, at home"},
		{variable: "REGISTRY_AUTH_FILE", file: "auth.json", text: entry("HOST", secret), also: entry("HOST", "wrong"+secret), why: "a file that was named comes first"},
		{variable: "REGISTRY_AUTH_FILE", file: "auth.json", text: entry("else.test", "wrong"), also: entry("HOST", secret), why: "the first that has some for this registry"},
		{variable: "HOME", file: ".docker/config.json", text: `{"credsStore":"test"}`, helper: helperScript(answer), why: "a store of credentials"},
		{variable: "HOME", file: ".docker/config.json", text: `{"credHelpers":{"HOST":"test"},"credsStore":"none"}`, helper: helperScript(`[ "$server" = HOST ] || exit 1; ` + answer), why: "a helper for this registry, which is asked for it"},
		{variable: "XDG_RUNTIME_DIR", file: "containers/auth.json", text: entry("HOST", secret), also: `{"credsStore":"test"}`, helper: helperScript(`echo credentials not found in native keychain; exit 1`), why: "a helper that has none, and a file that has"},

		{variable: "HOME", file: "other", text: "", says: "without credentials, which were looked for in", why: "none"},
		{variable: "HOME", file: ".docker/config.json", text: entry("HOST", "wrong"+secret), says: "[hidden] me [hidden] (with the credentials of", why: "wrong ones, which the registry says back"},
		{variable: "HOME", file: ".docker/config.json", text: `{"auths":{`, says: "is no file of credentials", why: "a broken file"},
		{variable: "HOME", file: ".docker/config.json", text: `{"credsStore":"missing"}`, says: "docker-credential-missing, which has the credentials, is not in PATH", why: "a helper that is not there"},
		{variable: "HOME", file: ".docker/config.json", text: `{"credsStore":"../test"}`, helper: helperScript(answer), says: "no name of a credential helper", why: "a helper that is a path"},
		{variable: "HOME", file: ".docker/config.json", text: `{"credsStore":"test"}`, helper: helperScript("echo " + secret + "; echo " + secret + " >&2; exit 1"), says: "docker-credential-test failed", why: "a helper that fails, and talks"},
		{variable: "HOME", file: ".docker/config.json", text: `{"credsStore":"test"}`, helper: helperScript("echo " + secret), says: "docker-credential-test failed", why: "a helper that does not speak JSON"},
		{variable: "HOME", file: ".docker/config.json", text: `{"credsStore":"test"}`, helper: helperScript("exec cat /dev/zero"), says: "docker-credential-test failed", why: "a helper that does not stop"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			f := newFake(t)
			f.wantsBasic("me", secret)
			j := f.job()
			forHost := func(s string) string { return strings.ReplaceAll(s, "HOST", f.host()) }
			if tt.also != "" {
				t.Setenv("HOME", writeFile(t, ".docker/config.json", forHost(tt.also), 0o600))
				t.Setenv("DOCKER_CONFIG", "")
			}
			value := writeFile(t, tt.file, forHost(tt.text), 0o600)
			if tt.variable == "REGISTRY_AUTH_FILE" {
				value = filepath.Join(value, tt.file)
			}
			if tt.variable == "HOME" {
				t.Setenv("DOCKER_CONFIG", "")
				t.Setenv("XDG_CONFIG_HOME", "")
			}
			t.Setenv(tt.variable, value)
			if tt.helper != "" {
				bin := writeFile(t, "docker-credential-test", forHost(tt.helper), 0o755)
				t.Setenv("PATH", bin+":/usr/bin:/bin")
			}
			if tt.says == "" {
				checkHidden(t, fetched(t, j))
				return
			}
			got := refused(t, j)
			if got.Kind != kindAuth || !strings.Contains(got.Message, tt.says) {
				t.Errorf("got %+v, want %q", got, tt.says)
			}
			checkHidden(t, got)
		})
	}
}

func TestUnreadableCredentials(t *testing.T) {
	f := newFake(t)
	j := f.job()
	t.Setenv("DOCKER_CONFIG", writeFile(t, "config.json/x", "", 0o600)) // a directory: root can read all files
	if got := refused(t, j); got.Kind != kindAuth || !strings.Contains(got.Message, "cannot read credentials") {
		t.Errorf("got %+v", got)
	}
}

// tokens is a token server beside a registry (distribution, "Token Authentication").
func (f *fake) tokens(answer func(w http.ResponseWriter, r *http.Request)) *httptest.Server {
	f.things["token"] = nil
	f.spoil["token"] = func(_ int, w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true }
	f.spoil["*"] = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		got := r.Header.Get("Authorization")
		if got == "Bearer the-right-token" {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/v2/token",service="here",scope="repository:app:pull"`, f.srv.URL))
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":"not with %s"}]}`, got)
		return true
	}
	return f.srv
}

func TestTokens(t *testing.T) {
	config := func(t *testing.T, f *fake, entry string) {
		t.Setenv("DOCKER_CONFIG", writeFile(t, "config.json", fmt.Sprintf(`{"auths":{%q:%s}}`, f.host(), entry), 0o600))
	}
	right := func(w http.ResponseWriter) { fmt.Fprint(w, `{"token":"the-right-token"}`) }

	t.Run("for a password", func(t *testing.T) {
		f := newFake(t)
		f.tokens(func(w http.ResponseWriter, r *http.Request) {
			if _, password, _ := r.BasicAuth(); password != secret || r.URL.Query().Get("scope") != "repository:app:pull" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			right(w)
		})
		j := f.job()
		config(t, f, fmt.Sprintf(`{"auth":%q}`, basic("me", secret)))
		fetched(t, j)
	})
	t.Run("for an identity token", func(t *testing.T) {
		f := newFake(t)
		f.tokens(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.FormValue("refresh_token") != "the-identity" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, `{"access_token":"the-right-token"}`)
		})
		j := f.job()
		config(t, f, `{"identitytoken":"the-identity"}`)
		fetched(t, j)
	})
	t.Run("for anybody", func(t *testing.T) {
		f := newFake(t)
		f.tokens(func(w http.ResponseWriter, _ *http.Request) { right(w) })
		fetched(t, f.job())
	})
	refusals := map[string]func(w http.ResponseWriter, r *http.Request){
		"no token for this password": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, password, _ := r.BasicAuth()
			fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":%q}]}`, password+r.Header.Get("Authorization"))
		},
		"a token that is not good enough, and is told to everybody": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"token":"the-wrong-token"}`)
		},
		"an answer without a token": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"refresh_token":"the-wrong-token"}`)
		},
	}
	for why, answer := range refusals {
		t.Run(why, func(t *testing.T) {
			f := newFake(t)
			f.tokens(answer)
			j := f.job()
			config(t, f, fmt.Sprintf(`{"auth":%q}`, basic("me", secret)))
			checkHidden(t, refused(t, j), "the-wrong-token")
		})
	}
}

// A registry may send us elsewhere for a layer, and what is there is not told
// our password.
func TestCredentialsStayWithTheRegistry(t *testing.T) {
	f := newFake(t, "the layer")
	f.wantsBasic("me", secret)
	told := "nothing was asked for"
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = r.Header.Get("Authorization") + r.Header.Get("Cookie")
		_, _ = w.Write([]byte("the layer"))
	}))
	defer elsewhere.Close()
	blob := "blobs/" + digestOf([]byte("the layer")).String()
	f.spoil[blob] = answers(http.StatusTemporaryRedirect, "Location", elsewhere.URL+"/somewhere")
	j := f.job()
	t.Setenv("DOCKER_CONFIG", writeFile(t, "config.json", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, f.host(), basic("me", secret)), 0o600))
	fetched(t, j)
	if told != "" {
		t.Errorf("the other server was told %q", told)
	}
	if got := f.heads[blob].Get("Authorization"); got != "Basic "+basic("me", secret) {
		t.Errorf("the registry was told %q", got)
	}
}

func TestHide(t *testing.T) {
	long := strings.Repeat("é", maxMessage)
	for text, want := range map[string]string{
		"plain":                   "plain",
		"a\x1b[31m\nb\u202ec\xff": "a [31m b c?",
		"the key, dGhlIGtleQ==":   "[hidden], [hidden]",
		"with the+key":            "with [hidden]",
		long:                      long[:maxMessage] + "…",
	} {
		if got := hide(text, []string{"the key"}); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
