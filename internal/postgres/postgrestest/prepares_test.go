package postgrestest

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStatementsAreReadFromThePackagesSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, source string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("store.go", "package x\n\nconst (\n\tcolumns = `id, name`\n\treadSQL = `select ` + columns + ` from things`\n\tlimit = 5\n)\n\nconst lockSQL = (readSQL + \" for update\")\n")
	write("store_test.go", "package x\n\nconst testSQL = `select 1`\n")
	got, err := statements(dir)
	if want := map[string]string{"readSQL": "select id, name from things", "lockSQL": "select id, name from things for update"}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	write("more.go", "package x\n\nconst otherSQL = y.Elsewhere + `x`\n")
	if _, err := statements(dir); err == nil || !strings.Contains(err.Error(), "otherSQL") {
		t.Errorf("%v", err)
	}
}
