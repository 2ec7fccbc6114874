//go:build !unix

package e5

import (
	"fmt"
	"os"
)

// mapFile reads the whole file where it can't be mapped.
func mapFile(path string) (image []byte, unmap func() error, err error) {
	image, err = os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("e5: open weights: %w", err)
	}
	return image, func() error { return nil }, nil
}

func forget([]byte) {}
