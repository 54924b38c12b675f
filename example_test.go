package kavach_test

import (
	"context"
	"fmt"
	"log"
	"path"
	"slices"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/workspace"
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

// A command may change a directory, and somebody looks at what it did before it
// is applied.
func ExampleSandbox_Apply() {
	ctx := context.Background()
	p, err := policy.Preset("basic")
	if err != nil {
		log.Fatal(err)
	}
	p.Filesystem.Mounts = []policy.Mount{{Source: "/srv/project", Access: policy.AccessWrite}}
	p.Process.Workdir = "/srv/project"

	rt := &kavach.Runtime{Backends: all.All()}
	sb, err := rt.Create(ctx, kavach.Config{Policy: p})
	if err != nil {
		log.Fatal(err)
	}
	defer sb.Destroy(ctx)
	if _, err := sb.Run(ctx, kavach.Cmd{Args: []string{"make", "docs"}}); err != nil {
		log.Fatal(err)
	}

	if err := sb.Halt(ctx); err != nil { // nothing may change any more
		log.Fatal(err)
	}
	changes, err := sb.Changes(ctx)
	if err != nil {
		log.Fatal(err)
	}
	docs := slices.DeleteFunc(changes, func(c workspace.Change) bool { return path.Ext(c.Path) != ".html" })
	outcomes, err := sb.Apply(ctx, docs)
	if err != nil {
		log.Fatal(err) // nothing was applied
	}
	for _, o := range outcomes {
		fmt.Printf("%s %q: %s %s\n", o.Kind, o.Path, o.State, o.Reason)
	}
}
