package policy

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseBytes(t *testing.T) {
	tests := []struct {
		text string
		want Bytes
		why  string
	}{
		{"0", 0, "zero, for the default"},
		{"17", 17, "no unit: bytes"},
		{"17b", 17, "bytes"},
		{"1k", 1 << 10, "binary"},
		{"1kb", 1 << 10, "binary, as with Docker"},
		{"1KiB", 1 << 10, "any case"},
		{"512M", 512 << 20, "any case"},
		{"2Gb", 2 << 30, "any case"},
		{"3tib", 3 << 40, "the largest unit"},
		{"007", 7, "leading zeros are not octal"},
		{"9223372036854775807", math.MaxInt64, "the largest"},
		{"8388607t", 8388607 << 40, "the largest in t"},
		{"unlimited", Unlimited, "no limit"},
	}
	for _, test := range tests {
		if got, err := ParseBytes(test.text); err != nil || got != test.want {
			t.Errorf("%s: %q is %d, %v, want %d", test.why, test.text, got, err, test.want)
		}
	}
}

func TestParseBytesRefuses(t *testing.T) {
	tests := []struct{ text, want, why string }{
		{"", `"" is not a size; write a number and a unit, such as 512m, or "unlimited"`, "nothing"},
		{"m", `"m" is not a size; write a number and a unit, such as 512m, or "unlimited"`, "a unit only"},
		{"+1m", `"+1m" is not a size; write a number and a unit, such as 512m, or "unlimited"`, "a sign"},
		{" 1m", `" 1m" is not a size; write a number and a unit, such as 512m, or "unlimited"`, "a space before"},
		{"Unlimited", `"Unlimited" is not a size; write a number and a unit, such as 512m, or "unlimited"`, "one spelling"},
		{"-1", `"-1" is negative; write "unlimited" for no limit`, "unlimited is spelled out"},
		{"-5m", `"-5m" is negative; write "unlimited" for no limit`, "negative"},
		{"1.5g", `"1.5g" is not a whole number; use a smaller unit: 1536m rather than 1.5g`, "a fraction"},
		{"1 m", `"1 m" has an unknown unit; use b, k, m, g or t`, "a space between"},
		{"1p", `"1p" has an unknown unit; use b, k, m, g or t`, "a unit that there is not"},
		{"1\u212a", "\"1\u212a\" has an unknown unit; use b, k, m, g or t", "the Kelvin sign, whose lower case is k"},
		{"0x10", `"0x10" has an unknown unit; use b, k, m, g or t`, "hexadecimal"},
		{"1e3", `"1e3" has an unknown unit; use b, k, m, g or t`, "scientific"},
		{"8388608t", `"8388608t" is too large; write "unlimited" for no limit`, "2^63 by the unit"},
		{"9223372036854775808", `"9223372036854775808" is too large; write "unlimited" for no limit`, "2^63 by the number"},
	}
	for _, test := range tests {
		_, err := ParseBytes(test.text)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: %q: got %v, want %s", test.why, test.text, err, test.want)
		}
		if field := (*FieldError)(nil); !errors.As(err, &field) {
			t.Errorf("%s: %T is not a FieldError", test.why, err)
		}
	}
	if _, err := ParseBytes(strings.Repeat("é", 1000)); err == nil || len(err.Error()) > 300 {
		t.Errorf("a long value is repeated: %v", err)
	}
}

func TestBytesString(t *testing.T) {
	tests := []struct {
		b    Bytes
		want string
	}{
		{0, "0"}, {1, "1"}, {1023, "1023"}, {1024, "1k"}, {1536 << 10, "1536k"}, {256 << 20, "256m"},
		{1 << 30, "1g"}, {5 << 40, "5t"}, {1 << 50, "1024t"}, {Unlimited, "unlimited"}, {-2, "-2"},
	}
	for _, test := range tests {
		if got := test.b.String(); got != test.want {
			t.Errorf("%d is %s, want %s", int64(test.b), got, test.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	tests := []struct{ text, want, why string }{
		{"30s", "30s", "seconds"},
		{"90m", "1h30m", "carried over"},
		{"1h", "1h", "no zeros behind"},
		{"10m", "10m", "a zero that belongs to the number"},
		{"20h", "20h", "a zero that belongs to the number"},
		{"1h0m1s", "1h0m1s", "a zero between"},
		{"1.5s", "1.5s", "a fraction"},
		{"1ns", "1ns", "the least"},
		{"unlimited", "unlimited", "no limit"},
		{"", `"" is not a duration; write it as 30s, 5m or 1h30m, or "unlimited"`, "nothing"},
		{"soon", `"soon" is not a duration; write it as 30s, 5m or 1h30m, or "unlimited"`, "a word"},
		{"1d", `"1d" is not a duration; write it as 30s, 5m or 1h30m, or "unlimited"`, "a unit that Go has not"},
		{"9999999h", `"9999999h" is not a duration; write it as 30s, 5m or 1h30m, or "unlimited"`, "too long for Go"},
		{"30", `"30" has no unit; write 30s for seconds`, "no unit"},
		{"0", `"0" is not positive; leave it out for the default, or write "unlimited"`, "zero"},
		{"0s", `"0s" is not positive; leave it out for the default, or write "unlimited"`, "zero"},
		{"-1ns", `"-1ns" is not positive; leave it out for the default, or write "unlimited"`, "what Unlimited is in Go"},
	}
	for _, test := range tests {
		d, err := ParseDuration(test.text)
		got := d.String()
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q is %s, want %s", test.why, test.text, got, test.want)
		}
	}
}

func TestTextForms(t *testing.T) {
	var b Bytes
	var d Duration
	if err := errors.Join(b.UnmarshalText([]byte("2k")), d.UnmarshalText([]byte("2m"))); err != nil {
		t.Fatal(err)
	}
	if b != 2048 || d != Duration(2*time.Minute) {
		t.Errorf("got %v, %v", b, d)
	}
	bt, _ := b.MarshalText()
	dt, _ := d.MarshalText()
	if string(bt) != "2k" || string(dt) != "2m" {
		t.Errorf("got %s, %s", bt, dt)
	}
}

// FuzzParseBytes looks for sizes that are negative, or that change when they
// are written and read.
func FuzzParseBytes(f *testing.F) {
	for _, seed := range []string{"0", "17", "1kib", "512M", "1.5g", "-1", "unlimited", "8388608t", "9223372036854775807b", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseBytes(s)
		if err != nil {
			if b != 0 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%d, %q", b, err)
			}
			return
		}
		if b < 0 && s != "unlimited" {
			t.Fatalf("%q is %d", s, int64(b))
		}
		if again, err := ParseBytes(b.String()); err != nil || again != b {
			t.Fatalf("%q is %d, then %d, %v", s, int64(b), int64(again), err)
		}
	})
}
