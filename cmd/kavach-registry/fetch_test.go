package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type spoiler = func(try int, w http.ResponseWriter, r *http.Request) bool

// answers always answers with that, and a header perhaps.
func answers(code int, header ...string) spoiler {
	return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		if len(header) == 2 {
			w.Header().Set(header[0], header[1])
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"errors":[{"code":"BAD","message":"as told"}]}`)
		return true
	}
}

// before does so for the first tries only.
func before(try int, s spoiler) spoiler {
	return func(n int, w http.ResponseWriter, r *http.Request) bool { return n < try && s(n, w, r) }
}

// endless sends bytes for as long as anybody takes them.
func endless(_ int, w http.ResponseWriter, _ *http.Request) bool {
	chunk := []byte(strings.Repeat(" ", 64<<10))
	for {
		if _, err := w.Write(chunk); err != nil {
			return true
		}
	}
}

// hangs says nothing until the client goes away.
func hangs(_ int, _ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

const manifestPath = "manifests/latest"

func TestAnswersThatAreNone(t *testing.T) {
	tests := []struct {
		path   string
		spoil  spoiler
		kind   kind
		status int
		tries  int
		says   string
		why    string
	}{
		{"*", answers(401), kindAuth, 401, 1, "", "no way in, and no word how"},
		{"", answers(403), kindAuth, 403, 1, "", "forbidden at the door"},
		{"", answers(404), kindNotFound, 404, 1, "", "no registry at all"},
		{"", answers(500), kindServer, 500, tries, "3 times", "broken at the door"},
		{"", endless, kindServer, 0, 1, "", "a greeting without end"},
		{manifestPath, answers(401), kindAuth, 401, 1, "as told (without credentials", "not without logging in"},
		{manifestPath, answers(403), kindAuth, 403, 1, "as told", "not for us"},
		{manifestPath, answers(404), kindNotFound, 404, 1, "as told", "there is none"},
		{manifestPath, answers(418), kindServer, 418, 1, "as told", "something else"},
		{manifestPath, answers(429, "Retry-After", "0"), kindRateLimited, 429, tries, "3 times", "too often, each time"},
		{manifestPath, answers(429, "Retry-After", "7200"), kindRateLimited, 429, 1, "as told", "to come back in hours"},
		{manifestPath, answers(503), kindServer, 503, tries, "3 times: bad as told", "down"},
		{manifestPath, answers(302, "Location", "/v2/app/manifests/latest"), kindServer, 0, maxRedirects + 1, "redirected", "a loop"},
		{manifestPath, answers(302, "Location", "http://example.test/"), kindTLS, 0, 1, "plain HTTP with example.test", "out of TLS"},
		{manifestPath, endless, kindServer, 0, 1, "more than", "a manifest of any number of bytes"},
		{"blobs", answers(401), kindAuth, 401, 1, "as told", "a layer that others may have"},
		{"blobs", answers(404), kindNotFound, 404, 1, "as told", "a layer that is gone"},
		{"blobs", answers(500), kindServer, 500, tries, "3 times", "a layer that cannot be read"},
		{"blobs", endless, kindDigest, 0, 1, "bytes or more instead of", "a layer of any number of bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			f := newFake(t, "the layer")
			if tt.path == "blobs" {
				tt.path = "blobs/" + digestOf([]byte("the layer")).String()
			}
			f.spoil[tt.path] = tt.spoil
			j := f.job()
			if tt.status == 0 && tt.path == "" { // the greeting is cut, and what follows is fetched
				fetched(t, j)
				return
			}
			got := refused(t, j)
			if got.Kind != tt.kind || got.Status != tt.status || !strings.Contains(got.Message, tt.says) {
				t.Errorf("got %+v, want %s, %d and %q", got, tt.kind, tt.status, tt.says)
			}
			if got.Fix == "" {
				t.Errorf("%q does not say what to do", got.Message)
			}
			if tt.path != "" && tt.path != "*" && f.times(tt.path) != tt.tries {
				t.Errorf("it was asked for %d times, want %d", f.times(tt.path), tt.tries)
			}
		})
	}
}

func TestWaitsAsLongAsItIsTold(t *testing.T) {
	f := newFake(t)
	f.spoil[manifestPath] = answers(429, "Retry-After", "7200")
	if got := refused(t, f.job()); !strings.Contains(got.Fix, "in 2h0m0s") {
		t.Errorf("the fix does not say when: %q", got.Fix)
	}
	if d := retryAfter(time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)); d <= 0 || d > time.Hour {
		t.Errorf("a date in an hour is %s", d)
	}
	for _, never := range []string{"", "-1", "soon", "99999999999999999999"} {
		if d := retryAfter(never); d != 0 {
			t.Errorf("Retry-After %q is %s", never, d)
		}
	}
}

// What passes is tried again, and does well then.
func TestFaultsThatPass(t *testing.T) {
	layer := strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB
	blob := "blobs/" + digestOf([]byte(layer)).String()
	half := func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(layer)))
		_, _ = io.WriteString(w, layer[:len(layer)/2])
		panic(http.ErrAbortHandler)
	}
	tests := []struct {
		path  string
		spoil spoiler
		tries int
		why   string
	}{
		{manifestPath, before(3, answers(429, "Retry-After", "0")), 3, "asked too often, twice"},
		{manifestPath, before(3, answers(500)), 3, "a fault, twice"},
		{"", before(3, answers(502)), 3, "a fault at the door, twice"},
		{blob, before(3, answers(503)), 3, "a fault before a layer, twice"},
		{blob, before(2, half), 2, "half a layer, and the rest"},
		{blob, func(n int, w http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Range")
			return n < 2 && half(n, w, r)
		}, 2, "half a layer, and then all of it: no ranges are known there"},
		{blob, func(n int, w http.ResponseWriter, r *http.Request) bool {
			switch n {
			case 1:
				return half(n, w, r)
			case 2: // another part than was asked for
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(layer)-1, len(layer)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = io.WriteString(w, layer)
				return true
			}
			return false
		}, 3, "half a layer, another part, and then all of it"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			f := newFake(t, layer)
			f.spoil[tt.path] = tt.spoil
			fetched(t, f.job())
			if tt.path != "" && tt.path != "*" && f.times(tt.path) != tt.tries {
				t.Errorf("it was asked for %d times, want %d", f.times(tt.path), tt.tries)
			}
		})
	}

	t.Run("a layer in pieces", func(t *testing.T) {
		big := strings.Repeat(layer, 5)
		path := "blobs/" + digestOf([]byte(big)).String()
		for piece, well := range map[int]bool{earned: true, earned / 4: false} {
			f := newFake(t, big)
			f.spoil[path] = func(_ int, w http.ResponseWriter, r *http.Request) bool {
				from := 0
				_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from) // none: from the beginning
				if from > 0 {
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(big)-1, len(big)))
					w.WriteHeader(http.StatusPartialContent)
				}
				if _, _ = io.WriteString(w, big[from:min(from+piece, len(big))]); from+piece < len(big) {
					_ = http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
				return true
			}
			if j := f.job(); well {
				fetched(t, j)
			} else if got := refused(t, j); got.Kind != kindNetwork {
				t.Errorf("got %+v", got)
			}
		}
	})
	t.Run("half a layer, each time", func(t *testing.T) {
		f := newFake(t, layer)
		f.spoil[blob] = func(n int, w http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Range")
			return half(n, w, r)
		}
		if got := refused(t, f.job()); got.Kind != kindNetwork || !strings.Contains(got.Message, "broke") {
			t.Errorf("got %+v", got)
		}
		if f.times(blob) != tries {
			t.Errorf("it was asked for %d times, want %d", f.times(blob), tries)
		}
	})
}

func TestSilence(t *testing.T) {
	layer := strings.Repeat("0123456789abcdef", 64<<10)
	blob := "blobs/" + digestOf([]byte(layer)).String()
	part := func(n int, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(layer)))
		_, _ = io.WriteString(w, layer[:len(layer)/2])
		_ = http.NewResponseController(w).Flush()
		return hangs(n, w, r)
	}
	trickles := func(_ int, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(layer)))
		for i := 0; r.Context().Err() == nil; i++ {
			_, _ = io.WriteString(w, layer[i:i+1])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
		return true
	}
	for why, spoil := range map[string]map[string]spoiler{
		"a door that hangs":              {"": hangs},
		"a manifest that hangs":          {manifestPath: hangs},
		"a layer that hangs":             {blob: hangs},
		"a layer that hangs half-way":    {blob: func(n int, w http.ResponseWriter, r *http.Request) bool { r.Header.Del("Range"); return part(n, w, r) }},
		"a layer that comes in trickles": {blob: trickles},
	} {
		t.Run(why, func(t *testing.T) {
			f := newFake(t, layer)
			f.spoil = spoil
			j := f.job()
			j.patience = 200 * time.Millisecond
			if got := refused(t, j); got.Kind != kindNetwork || !strings.Contains(got.Message, "next to nothing") {
				t.Errorf("got %+v", got)
			}
		})
	}
	t.Run("a layer that hangs half-way, once", func(t *testing.T) {
		f := newFake(t, layer)
		f.spoil[blob] = before(2, part)
		j := f.job()
		j.patience = time.Second
		fetched(t, j)
		if got := f.heads[blob].Get("Range"); got != fmt.Sprintf("bytes=%d-", len(layer)/2) {
			t.Errorf("it went on with the range %q", got)
		}
	})
}

func TestBytesThatAreNotThose(t *testing.T) {
	blob := "blobs/" + digestOf([]byte("the layer")).String()
	sends := func(text string, length int) spoiler {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			if length >= 0 {
				w.Header().Set("Content-Length", fmt.Sprint(length))
			}
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush() // no length is added
			return true
		}
	}
	tests := []struct {
		spoil spoiler
		kind  kind
		why   string
	}{
		{sends("the LAYER", -1), kindDigest, "as many bytes, and others"},
		{sends("the LAYER", 9), kindDigest, "the same, with a length"},
		{sends("the layer and more", -1), kindDigest, "more bytes"},
		{sends("the layer and more", 18), kindDigest, "more bytes, as announced"},
		{sends("the", 3), kindDigest, "fewer, as announced"},
		{sends("the", -1), kindNetwork, "fewer, and no word: it may have broken off"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			f := newFake(t, "the layer")
			f.spoil[blob] = tt.spoil
			if got := refused(t, f.job()); got.Kind != tt.kind {
				t.Errorf("got %+v, want %s", got, tt.kind)
			}
		})
	}
	t.Run("another configuration", func(t *testing.T) {
		f := newFake(t)
		for path, data := range f.things {
			if strings.HasPrefix(path, "blobs/") && strings.Contains(string(data), "rootfs") {
				f.things[path] = []byte(strings.Replace(string(data), "layers", "LAYERS", 1))
			}
		}
		if got := refused(t, f.job()); got.Kind != kindDigest || !strings.Contains(got.Message, "the configuration") {
			t.Errorf("got %+v", got)
		}
	})
}

func TestPinnedDigest(t *testing.T) {
	f := newFake(t)
	right, other := digestOf(f.things[manifestPath]), digestOf([]byte("other"))
	for _, ref := range []string{"/app@" + right.String(), "/app:latest@" + right.String()} {
		j := f.job()
		j.ref = f.host() + ref
		if s := fetched(t, j); s.Digest != right.String() {
			t.Errorf("got %s", s.Digest)
		}
	}
	// The registry has something else under that digest.
	f.things["manifests/"+other.String()] = f.things[manifestPath]
	f.types["manifests/"+other.String()] = f.types[manifestPath]
	j := f.job()
	j.ref = f.host() + "/app:latest@" + other.String()
	if got := refused(t, j); got.Kind != kindDigest {
		t.Errorf("got %+v", got)
	}
}

func TestFetchesOnceAndNotWhatIsThere(t *testing.T) {
	f := newFake(t, "a", "b", "a", "c", "a")
	a, b := digestOf([]byte("a")), digestOf([]byte("b"))
	j := f.job()
	if s := fetched(t, j); s.Fetched != 4 || f.times("blobs/"+a.String()) != 1 {
		t.Errorf("%+v, and a was asked for %d times", s, f.times("blobs/"+a.String()))
	}
	j = f.job()
	j.haveFile = filepath.Join(t.TempDir(), "have")
	if err := os.WriteFile(j.haveFile, []byte(a.String()+"\n\n "+digestOf([]byte("none")).String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s := fetched(t, j); s.Fetched != 3 || s.Skipped != 3 || f.times("blobs/"+a.String()) != 1 || f.times("blobs/"+b.String()) != 2 {
		t.Errorf("%+v, and a was asked for %d times, b %d times", s, f.times("blobs/"+a.String()), f.times("blobs/"+b.String()))
	}
}

func TestSeveralAtOnceAndNotMore(t *testing.T) {
	var layers []string
	for i := range 30 {
		layers = append(layers, fmt.Sprint("layer ", i))
	}
	f := newFake(t, layers...)
	f.spoil["*"] = func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		time.Sleep(10 * time.Millisecond) // so that they meet
		return false
	}
	fetched(t, f.job())
	if f.most < 2 || f.most > atOnce {
		t.Errorf("%d at once, want 2 to %d", f.most, atOnce)
	}
}
