package e5

var hasAVX2, hasVNNI = useAVX2, useVNNI

// setKernel picks a kernel and says whether the processor has it.
func setKernel(name string) bool {
	useAVX2, useVNNI = hasAVX2 && name != "go", hasVNNI && name == "vnni"
	return useVNNI == (name == "vnni") && useAVX2 == (name != "go")
}

func fastest() string {
	switch {
	case hasVNNI:
		return "vnni"
	case hasAVX2:
		return "avx2"
	}
	return "go"
}
