package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

func TestTheStateOfTheSchemaIsToldToOwnerAndServerAlike(t *testing.T) {
	t.Parallel()
	_, server, owner := postgrestest.Alone(t)
	states := func(url string) string {
		t.Helper()
		all, err := postgres.Status(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		last := ""
		for _, m := range all {
			if (m.State == postgres.Pending) != m.AppliedAt.IsZero() {
				t.Errorf("%s: %s at %v", m.Name, m.State, m.AppliedAt)
			}
			if m.State != last {
				out = append(out, m.State)
				last = m.State
			}
		}
		return strings.Join(out, " ")
	}
	for _, url := range []string{server, owner} {
		if got := states(url); got != "applied" {
			t.Errorf("of a migrated database: %s", got)
		}
	}
	admin, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, step := range []struct{ statement, want string }{
		{"delete from migrations where version > 3", "applied pending"},
		{"update migrations set sha256 = 'x' where version = 3", "applied changed pending"},
		{"insert into migrations (version, name, sha256) values (9000, '9000_later.sql', 'x')", "applied changed pending unknown"},
		{"drop table migrations", "applied pending"},
		{"drop schema river cascade", "pending"},
	} {
		if _, err := admin.Exec(t.Context(), step.statement); err != nil {
			t.Fatal(err)
		}
		if got := states(owner); got != step.want {
			t.Errorf("after %q: %s", step.statement, got)
		}
	}
}
