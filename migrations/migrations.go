// Package migrations holds the database's schema as SQL files that are applied
// in the order of their numbers and never changed once released. Each runs in a
// transaction of its own; internal/postgres applies them.
//
// The rules that every tenant table keeps: its keys begin with the tenant's
// column, foreign keys carry the tenant (they bypass row level security), row
// level security is enabled and forced, and each of the roles that may touch it
// has a policy. A test reads the catalogue to prove the last two.
package migrations

import "embed"

// Files are the migrations, named 0001_subject.sql and so on.
//
//go:embed *.sql
var Files embed.FS
