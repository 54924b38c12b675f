package quarantine

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/gate"
)

// aligned refuses output that may not begin where the command's output began: of
// live output what was let out is not kept, so that findings would have the wrong
// bytes masked. Previews prove where it begins, as far as they are of its own bytes.
// Files and memory are always whole.
func (d *disk) aligned(ctx context.Context, rec *Record, part string, ids Identities) error {
	if part != "stdout" && part != "stderr" {
		return nil
	}
	content, err := d.content(ctx, rec, part, ids)
	if err != nil {
		return err
	}
	defer content.Close()
	var own []gate.Finding
	for _, f := range rec.Held.Findings {
		if f.Stream == part {
			own = append(own, f)
		}
	}
	proven, err := fits(withContext{ctx, content}, own)
	if err == nil && !proven && len(own) > 0 {
		err = unmasked(rec.ID, part, "what is kept may not begin where the output began, and no preview says where")
	}
	return err
}

// fits reports whether the previews of findings are those of the content. One that
// is not says that all of them are elsewhere.
func fits(content io.Reader, list []gate.Finding) (proven bool, err error) {
	list = slices.SortedFunc(slices.Values(list), func(a, b gate.Finding) int { return cmp.Compare(a.Offset, b.Offset) })
	r, at := bufio.NewReader(content), int64(0)
	for _, f := range list {
		tail := fmt.Sprintf("… (%d bytes)", f.Length)
		head, own := strings.CutSuffix(f.Preview, tail)
		if !own || head == "" || f.View != "" {
			continue // it is of something else
		}
		if _, err := io.CopyN(io.Discard, r, f.Offset-at); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		at = f.Offset
		text, err := r.Peek(int(min(f.Length, previewed)))
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if got, _, _ := strings.Cut(gate.Mask(text), "…"); got != head {
			return false, nil
		}
		proven = true
	}
	return proven, nil
}

// previewed is how many bytes of a match decide how its preview begins: a fourth of
// them is the most that is shown.
const previewed = 16
