package policyfile

import (
	"regexp"
	"sync"
)

// lazily compiles an expression when it is first used: most commands read no
// policy file, and pay for what is compiled at their start.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
