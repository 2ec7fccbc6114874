package artifacts_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/internal/artifacts"
	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
)

// Not parallel: PATH is taken away to prove that the second call needs neither
// Python nor a network.
func TestWeightsAreThePinnedOnesAndTheSecondCallIsOffline(t *testing.T) {
	first := artifactstest.Weights(t)
	t.Setenv("PATH", t.TempDir())
	path, err := artifacts.Weights(t.Context(), artifactstest.Dir(t), t.Output())
	if err != nil || path != first {
		t.Fatalf("second call: %q, %v; the first gave %q", path, err, first)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f" {
		t.Errorf("sha256 %s", got)
	}
}

func TestPostgresRunsFromItsFolder(t *testing.T) {
	first := artifactstest.Postgres(t)
	for _, program := range []string{"postgres", "initdb", "pg_ctl", "psql", "pg_dump", "pgbench"} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(first, program), "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), " 16.") {
			t.Errorf("%s: %v %s", program, err, out)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if again, err := artifacts.Postgres(t.Context(), artifactstest.Dir(t), t.Output()); err != nil || again != first {
		t.Errorf("second call: %q, %v", again, err)
	}
}
