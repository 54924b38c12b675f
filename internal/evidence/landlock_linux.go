package evidence

import "fmt"

// LandlockLacks lists, in words, what the default domain is for and Landlock of
// this ABI cannot restrict.
func LandlockLacks(abi int, net bool) (lacks []string) {
	for _, l := range []struct {
		abi         int
		linux, what string
		asked       bool
	}{
		{3, "6.2", "truncation", true},
		{4, "6.7", "TCP", net},
		{5, "6.10", "ioctl on devices", true},
		{6, "6.12", "abstract sockets and signals", true},
	} {
		if abi < l.abi && l.asked {
			lacks = append(lacks, fmt.Sprintf("%s (Linux %s)", l.what, l.linux))
		}
	}
	return lacks
}
