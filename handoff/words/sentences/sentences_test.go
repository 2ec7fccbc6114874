package sentences

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestEverySentenceIsLabelledAndNoneHasTwoLabels(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(Files, "*.jsonl")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %d files, %v", len(names), err)
	}
	labels := map[string]string{}
	for _, name := range names {
		content, err := Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			var row struct{ Text, Label, Lang string }
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%s: %v in %q", name, err, line)
			}
			if row.Text == "" || row.Lang == "" || !slices.Contains([]string{"asks_human", "sensitive", "plain"}, row.Label) {
				t.Errorf("%s: %+v", name, row)
			}
			if other, seen := labels[row.Text]; seen && other != row.Label {
				t.Errorf("%s: %q is %s here and %s elsewhere", name, row.Text, row.Label, other)
			}
			labels[row.Text] = row.Label
		}
	}
}
