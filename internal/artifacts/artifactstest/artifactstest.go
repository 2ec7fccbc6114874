// Package artifactstest gives tests the downloaded artifacts. A test that needs
// one fails without it; it never skips.
package artifactstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/relaydesk/relaydesk/internal/artifacts"
)

// Dir is the data folder of tests: RELAYDESK_DATA_DIR if set, else .relaydesk
// beside go.mod.
func Dir(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("RELAYDESK_DATA_DIR"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".relaydesk")
		}
		if dir == filepath.Dir(dir) {
			tb.Fatal("no go.mod above the working directory: set RELAYDESK_DATA_DIR")
		}
		dir = filepath.Dir(dir)
	}
}

// Weights is the path of the embedder's weights, downloaded if need be.
func Weights(tb testing.TB) string {
	tb.Helper()
	path, err := artifacts.Weights(tb.Context(), Dir(tb), tb.Output())
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// Postgres is the folder of Postgres' programs, downloaded if need be.
func Postgres(tb testing.TB) string {
	tb.Helper()
	dir, err := artifacts.Postgres(tb.Context(), Dir(tb), tb.Output())
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}
