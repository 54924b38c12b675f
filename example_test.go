package kavach_test

import (
	"context"
	"fmt"
	"log"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/policy"
)

func Example() {
	ctx := context.Background()
	p, err := policy.Preset("basic")
	if err != nil {
		log.Fatal(err)
	}
	p.Require.MinScore = 60

	rt := &kavach.Runtime{Backends: all.All()}
	sb, err := rt.Create(ctx, kavach.Config{Policy: p})
	if err != nil {
		log.Fatal(err) // says which control is missing, and the fix
	}
	defer sb.Destroy(ctx)

	res, err := sb.Run(ctx, kavach.Cmd{Args: []string{"python3", "-c", "print(6*7)"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s%d, score %d\n", res.Stdout, res.ExitCode, sb.Score().Value)
}
