//go:build !linux

package testbin

func refuse() {}
