package backendtest

import "github.com/kavach-dev/kavach/policy"

// fileRows are CONTAINMENT 1 to 16.
var fileRows = []Row{
	{
		Number: 1, Name: "read a file of the host by its path",
		Why:    "no host path but what was named is visible",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("read", e.Secret, e.SecretText)
		},
	},
}
