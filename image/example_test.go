package image_test

import (
	"context"
	"fmt"

	"github.com/kavach-dev/kavach/image"
)

// A directory needs no store. What comes from elsewhere is named as
// "oci-layout:DIR", "docker-archive:FILE", or, with a Fetcher, by its name in a
// registry.
func ExampleStore_Open() {
	store := &image.Store{}
	im, err := store.Open(context.Background(), "rootfs:/usr")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(im.Layers)
	// Output: [/usr]
}

func ExampleParseReference() {
	ref, err := image.ParseReference("busybox")
	fmt.Println(ref, err)
	_, err = image.ParseReference("busyBox")
	fmt.Println(err)
	// Output:
	// docker.io/library/busybox:latest <nil>
	// image "busyBox": the name "library/busyBox" has upper-case letters; write it as [HOST[:PORT]/]NAME[:TAG][@sha256:HEX]
}
