package guest

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/takeout"
)

// ExportMain is the whole life of a program that exports files. It does not
// return. Nobody trusts it: it runs among what else is inside, and what it writes
// to its stdout the host holds against bounds of its own.
func ExportMain() {
	const arguments = 8 // as Args has them
	if len(os.Args) != arguments {
		exportFailed(fmt.Errorf("it was started with %d arguments", len(os.Args)))
	}
	var numbers [4]int64
	for i := range numbers {
		n, err := strconv.ParseInt(os.Args[4+i], 10, 64)
		if err != nil {
			exportFailed(err)
		}
		numbers[i] = n
	}
	unix.Close(ChannelFD) // the program, which is read by way of its mapping by now
	err := takeout.Send(os.Stdout, takeout.Request{
		Path: os.Args[2], Below: os.Args[3],
		Limits: takeout.Limits{FileBytes: numbers[0], TotalBytes: numbers[1], Entries: int(numbers[2]), Depth: int(numbers[3])},
	})
	if err != nil {
		exportFailed(err)
	}
	os.Exit(0)
}

func exportFailed(err error) {
	fmt.Fprintln(os.Stderr, "kavach export:", err)
	os.Exit(1)
}
