//go:build !amd64

package e5

func setKernel(name string) bool { return name == "go" }

func fastest() string { return "go" }
