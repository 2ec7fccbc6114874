//go:build unix

package e5

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps a file into memory, read only.
func mapFile(path string) (image []byte, unmap func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("e5: open weights: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("e5: open weights: %w", err)
	}
	if info.Size() < 1 || info.Size() > 1<<30 {
		return nil, nil, fmt.Errorf("e5: weights %s have %d bytes", path, info.Size())
	}
	image, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("e5: map weights %s: %w", path, err)
	}
	return image, func() error { return unix.Munmap(image) }, nil
}

// forget lets the kernel drop the pages from our share; a later use fetches
// them again. Only a hint: that it fails changes nothing.
func forget(image []byte) { _ = unix.Madvise(image, unix.MADV_DONTNEED) }
