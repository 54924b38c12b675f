package zstd

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// texts are what compresses in different ways.
func texts(t testing.TB) map[string][]byte {
	program, err := os.ReadFile("/bin/busybox")
	must(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 300000)
	skewed := make([]byte, 500000)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	for i := range skewed {
		skewed[i] = byte(r.ExpFloat64() * 3)
	}
	return map[string][]byte{
		"empty": nil, "one byte": {'x'}, "short": []byte("some text, some text"), "zeros": make([]byte, 1<<20),
		"random": random, "skewed": skewed, "program": program, "far back": bytes.Repeat(random, 40), "lines": []byte(strings.Repeat("a line\n", 50000)),
	}
}

func compress(t testing.TB, b []byte, options ...zstd.EOption) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, append(options, zstd.WithEncoderConcurrency(1))...)
	must(t, err)
	_, err = w.Write(b)
	must(t, err)
	must(t, w.Close())
	return buf.Bytes()
}

// TestAgrees uncompresses what another's library compressed.
func TestAgrees(t *testing.T) {
	for name, b := range texts(t) {
		for level := zstd.SpeedFastest; level <= zstd.SpeedBestCompression; level++ {
			for _, window := range []int{1 << 10, 1 << 16, 8 << 20} {
				z := compress(t, b, zstd.WithEncoderLevel(level), zstd.WithWindowSize(window))
				have, err := io.ReadAll(NewReader(bytes.NewReader(z)))
				if err != nil || !bytes.Equal(have, b) {
					t.Errorf("%s, level %v, window %d: %d bytes of %d, %v", name, level, window, len(have), len(b), err)
				}
			}
		}
	}
}

// TestFrames: several frames are one text, and those to be skipped are.
func TestFrames(t *testing.T) {
	skip := []byte{0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'}
	b := append(compress(t, []byte("one ")), skip...)
	b = append(b, compress(t, []byte("two"))...)
	have, err := io.ReadAll(NewReader(bytes.NewReader(b)))
	if err != nil || string(have) != "one two" {
		t.Errorf("%q, %v", have, err)
	}
}

// TestCutAndDamaged: what is cut is an error; what is damaged is one, or comes
// out as something, which a digest refuses.
func TestCutAndDamaged(t *testing.T) {
	text := texts(t)["skewed"][:5000]
	z := compress(t, text)
	for cut := 1; cut < len(z); cut++ {
		if _, err := io.ReadAll(NewReader(bytes.NewReader(z[:cut]))); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	noticed := 0
	for i := range z {
		damaged := bytes.Clone(z)
		damaged[i] ^= 0x55
		if _, err := io.ReadAll(NewReader(bytes.NewReader(damaged))); errors.Is(err, ErrFormat) {
			noticed++
		} else if err != nil {
			t.Fatalf("damaged at %d: %v does not match ErrFormat", i, err)
		}
	}
	if noticed == 0 {
		t.Error("no damage was noticed")
	}
	for _, bad := range []string{"garbage", "\x28\xb5\x2f\xfd\x00\xff", "\x28\xb5\x2f\xfd\x03\x58\x01\x00\x00\x00"} {
		if _, err := io.ReadAll(NewReader(strings.NewReader(bad))); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := io.ReadAll(NewReader(bytes.NewReader(append(bytes.Clone(z), "garbage"...)))); !errors.Is(err, ErrFormat) {
		t.Errorf("something after a frame: %v", err)
	}
}

// FuzzReader: what we and another's library both uncompress is the same.
func FuzzReader(f *testing.F) {
	for _, b := range texts(f) {
		for level := zstd.SpeedFastest; level <= zstd.SpeedBestCompression; level++ {
			f.Add(compress(f, b[:min(len(b), 2000)], zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(false)))
		}
	}
	theirs, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20))
	must(f, err)
	f.Fuzz(func(t *testing.T, z []byte) {
		const most = 8 << 20
		have, err := io.ReadAll(io.LimitReader(NewReader(bytes.NewReader(z)), most+1))
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("%v does not match ErrFormat", err)
		}
		want, theirErr := theirs.DecodeAll(z, nil)
		if err != nil || theirErr != nil || len(have) > most {
			return
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%d bytes, and theirs are %d, or others", len(have), len(want))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := bytes.Repeat(texts(b)["program"], 8)
	z := compress(b, text)
	b.SetBytes(int64(len(text)))
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			_, err := io.Copy(io.Discard, NewReader(bytes.NewReader(z)))
			must(b, err)
		}
	})
	b.Run("klauspost", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			r, err := zstd.NewReader(bytes.NewReader(z), zstd.WithDecoderConcurrency(1))
			must(b, err)
			_, err = io.Copy(io.Discard, r)
			must(b, err)
			r.Close()
		}
	})
}
