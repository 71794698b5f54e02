//go:build !linux

package catalog

import (
	"errors"
	"fmt"
)

// exchange swaps two folders in one step: not on this system.
func exchange(_, _ string) error {
	return fmt.Errorf("exchange folders: %w", errors.ErrUnsupported)
}
