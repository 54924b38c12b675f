package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// digestLength is that of a SHA-256 in hexadecimal digits.
const digestLength = 64

func (ps *problems) wasm(w *Wasm) {
	for i, m := range w.Modules {
		at := fmt.Sprintf("wasm.modules[%d]", i)
		hex, found := strings.CutPrefix(m, "sha256:")
		switch {
		case !found || len(hex) != digestLength || strings.Trim(hex, "0123456789abcdef") != "":
			ps.add(at, quote(m)+" is not the digest of a module", `write "sha256:" and what sha256sum prints of the file`)
		case slices.Index(w.Modules, m) < i:
			ps.add(at, quote(m)+" is there twice", "remove one")
		}
	}
	if _, err := w.Start(); err != nil {
		ps.add("wasm.clock", quote(w.Clock)+" is not a time that a module can be shown", `write one such as "2026-01-01T00:00:00Z"; it is not before 1970, and before 2262`)
	}
}

// Start is Clock in nanoseconds since 1970; 0 where it is empty. The error says
// that it is no time, or one that WASI, which counts so in 64 bits, cannot tell.
func (w *Wasm) Start() (int64, error) {
	if w.Clock == "" {
		return 0, nil
	}
	at, err := time.Parse(time.RFC3339, w.Clock)
	if err != nil {
		return 0, err
	}
	if at.Unix() < 0 || at.Unix() > math.MaxInt64/int64(time.Second)-1 {
		return 0, fmt.Errorf("%s is out of range", w.Clock)
	}
	return at.UnixNano(), nil
}
