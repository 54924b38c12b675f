package policy_test

import (
	"fmt"

	"github.com/kavach-dev/kavach/policy"
)

func ExampleMerge() {
	site := policy.Policy{
		Filesystem: policy.Filesystem{Root: policy.RootHost, TmpSize: 64 << 20},
		Resources:  policy.Resources{Memory: 512 << 20},
	}
	project := policy.Policy{
		Filesystem: policy.Filesystem{Root: policy.RootHost, TmpSize: 1 << 30},
		Resources:  policy.Resources{Memory: 4 << 30},
		Network:    policy.Network{Loopback: true},
	}
	both, err := policy.Merge(site, project)
	if err != nil {
		fmt.Println(err) // which field has two values of which neither is the stricter
		return
	}
	fmt.Println(both.Resources.Memory, both.Filesystem.TmpSize, both.Network.Loopback)
	for _, d := range policy.Diff(project, both) {
		fmt.Printf("%s: %s becomes %s\n", d.Field, d.From, d.To)
	}
	// Output:
	// 512m 64m false
	// filesystem.tmp_size: 1g becomes 64m
	// network.loopback: true becomes false
	// resources.memory: 4g becomes 512m
}
