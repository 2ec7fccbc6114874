package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWithoutDataItSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	empty, part := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(part, "dev"), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dir, only, says string }{
		{"", "", "DATA=folder"},
		{empty, "", "handoff_utterances.jsonl"},
		{part, "triggers", "triggers can't be measured without"},
		{filepath.Join(empty, "nowhere"), "triggers", "nowhere"},
		{empty, "speed", `no part "speed"`},
	} {
		var out strings.Builder
		err := run(t.Context(), c.dir, c.only, &out, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q, only %q: %v", c.dir, c.only, err)
		}
		if out.Len() > 0 {
			t.Errorf("%q, only %q: prints %q", c.dir, c.only, out.String())
		}
	}
}
