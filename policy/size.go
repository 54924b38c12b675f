package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size. As text it is a whole number and a unit: "512m", "1g".
type Bytes int64

// Duration is a wall time. As text it is what time.ParseDuration reads: "90s",
// "1h30m".
type Duration time.Duration

// unlimitedText is how Unlimited is spelled in files and on command lines.
const unlimitedText = "unlimited"

// maxQuoted is how many bytes of a bad value an error repeats. Enough to find
// it; a value of a megabyte would bury the message.
const maxQuoted = 80

// unitShift has, for each unit, the power of two that it stands for. All are
// binary, as with Docker's --memory: "1kb" is 1024 bytes.
var unitShift = map[string]int{
	"": 0, "b": 0,
	"k": 10, "kb": 10, "kib": 10,
	"m": 20, "mb": 20, "mib": 20,
	"g": 30, "gb": 30, "gib": 30,
	"t": 40, "tb": 40, "tib": 40,
}

// ParseBytes reads a size: a whole number with a unit b, k, m, g or t in any
// case (kb and kib are k, and so on; without a unit, bytes), or "unlimited".
// The error is a *FieldError without a Field.
func ParseBytes(s string) (Bytes, error) {
	if s == unlimitedText {
		return Unlimited, nil
	}
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	number, unit := s[:digits], s[digits:]
	switch {
	case strings.HasPrefix(s, "-"):
		return 0, valueError(s, "is negative", `write "unlimited" for no limit`)
	case number == "":
		return 0, valueError(s, "is not a size", `write a number and a unit, such as 512m, or "unlimited"`)
	case unit[0:min(1, len(unit))] == ".":
		return 0, valueError(s, "is not a whole number", "use a smaller unit: 1536m rather than 1.5g")
	}
	lower := strings.ToLower(unit)
	shift, ok := unitShift[lower]
	if !ok || len(lower) != len(unit) { // the Kelvin sign becomes a k of one byte
		return 0, valueError(s, "has an unknown unit", "use b, k, m, g or t")
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, valueError(s, "is too large", `write "unlimited" for no limit`)
	}
	return Bytes(n << shift), nil
}

// String is b in the largest unit that gives a whole number.
func (b Bytes) String() string {
	if b == Unlimited {
		return unlimitedText
	}
	n, unit := int64(b), ""
	for _, next := range []string{"k", "m", "g", "t"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, next
	}
	return strconv.FormatInt(n, 10) + unit
}

// MarshalText is String, for encoding/json and flag.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText is ParseBytes.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBytes(string(text))
	return err
}

// ParseDuration reads a positive duration, with units ns, us, ms, s, m and h, or
// "unlimited". The error is a *FieldError without a Field.
func ParseDuration(s string) (Duration, error) {
	if s == unlimitedText {
		return Unlimited, nil
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil && strings.Trim(s, "0123456789.") == "" && s != "":
		return 0, valueError(s, "has no unit", fmt.Sprintf("write %ss for seconds", shorten(s)))
	case err != nil:
		return 0, valueError(s, "is not a duration", `write it as 30s, 5m or 1h30m, or "unlimited"`)
	case d <= 0:
		return 0, valueError(s, "is not positive", `leave it out for the default, or write "unlimited"`)
	}
	return Duration(d), nil
}

// String is d without units that are zero: "1h", not "1h0m0s".
func (d Duration) String() string {
	if d == Unlimited {
		return unlimitedText
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is String, for encoding/json and flag.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDuration.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// valueError says what is wrong with a value whose field only the caller knows.
func valueError(value, problem, fix string) *FieldError {
	return &FieldError{Problem: quote(value) + " " + problem, Fix: fix}
}

// quote is s in quotes, on one line.
func quote(s string) string { return strconv.Quote(shorten(s)) }

func shorten(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}
