package image

import (
	"os"
	"strings"
)

// runs reports whether a process is there, and is no zombie (proc(5), stat).
func runs(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ") && !strings.Contains(string(stat), ") X ")
}
