// Package cache is the folder of what can be made or fetched again, and the digests of large
// files that are remembered there.
package cache

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir returns the folder of everything that can be made or fetched again: the environment
// variable ELIGEN_CACHE_DIR, else eligen in the user's cache folder.
func Dir() (string, error) {
	if d := os.Getenv("ELIGEN_CACHE_DIR"); d != "" {
		return filepath.Abs(d)
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w. Set ELIGEN_CACHE_DIR", err)
	}
	return filepath.Join(d, "eligen"), nil
}
