package canary_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/kavach-dev/kavach/internal/testbin"
)

// cacheDir keeps what is compiled of modules.
var cacheDir string

// TestMain plays Kavach where it is told to.
func TestMain(m *testing.M) {
	testbin.Main(runner(func() int {
		if text := os.Getenv(envPart); text != "" {
			return play(text)
		}
		var err error
		if cacheDir, err = os.MkdirTemp("", "kavach-canary-cache-"); err != nil {
			fmt.Println(err)
			return 1
		}
		defer os.RemoveAll(cacheDir)
		return m.Run()
	}))
}

type runner func() int

func (r runner) Run() int { return r() }
