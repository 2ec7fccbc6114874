// Package postgrestest gives tests a real database: the product's schema on the
// Postgres of internal/pgserver, used through the login that the server uses.
// Without Postgres a test fails; it never skips.
//
// Each test process runs a server of its own, out of a few data folders that
// are kept between runs, so a start takes milliseconds and packages don't wait
// for each other. The server ends with the process.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/pgserver"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// folders bounds how many test processes can run a server at once.
const folders = 64

const (
	login    = "relaydesk_server"
	password = "only-for-tests" // the server is local and ends with the test
)

type instance struct {
	// Kept although nothing reads it: a server whose keeper is collected as
	// garbage loses the pipe that it lives by.
	running *pgserver.Server
	db      *postgres.DB
	server  string // URL of the server's login
	owner   string // URL of the superuser, for the same database
}

var shared = struct {
	sync.Mutex
	*instance
}{}

// New gives the database that all tests of this process share. Each test makes
// a tenant of its own in it.
func New(tb testing.TB) *postgres.DB {
	tb.Helper()
	return get(tb).db
}

// Alone gives a database that no other test shares, for tests of what works on
// all tenants: relay, sweeps, queues. Its URLs are those of the server's login
// and of the superuser.
func Alone(tb testing.TB) (db *postgres.DB, server, owner string) {
	tb.Helper()
	made := get(tb)
	ctx := context.WithoutCancel(tb.Context())
	name := "alone_" + strconv.FormatInt(alone.Add(1), 10)
	admin, err := pgx.Connect(ctx, at(made.owner, "postgres", nil))
	if err != nil {
		tb.Fatal(err)
	}
	defer admin.Close(ctx)
	template, err := makeTemplate(ctx, admin, made.owner)
	if err != nil {
		tb.Fatal(err)
	}
	for _, statement := range []string{"drop database if exists " + name + " with (force)", "create database " + name + " template " + template} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
	server, owner = at(made.server, name, nil), at(made.owner, name, nil)
	db, err = postgres.Open(ctx, server, 20)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db, server, owner
}

var alone atomic.Int64

// URL is the connection URL of the server's login, for a pool of a test's own.
func URL(tb testing.TB) string {
	tb.Helper()
	return get(tb).server
}

// Owner connects to the same database as its superuser, to look at the
// catalogue or to break something that the product can't.
func Owner(tb testing.TB) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), get(tb).owner)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) })
	return conn
}

func get(tb testing.TB) *instance {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.instance == nil {
		made, err := start(tb)
		if err != nil {
			tb.Fatalf("a database for tests: %v", err)
		}
		shared.instance = made
	}
	return shared.instance
}

func start(tb testing.TB) (*instance, error) {
	// The server outlives the test that starts it first.
	ctx := context.WithoutCancel(tb.Context())
	server, err := startServer(ctx, artifactstest.Dir(tb), artifactstest.Postgres(tb))
	if err != nil {
		return nil, err
	}
	admin, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return nil, err
	}
	defer admin.Close(ctx)
	template, err := makeTemplate(ctx, admin, server.URL())
	if err != nil {
		return nil, err
	}
	const name = "relaydesk_test"
	for _, statement := range []string{
		"drop database if exists " + name + " with (force)",
		"create database " + name + " template " + template,
	} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	if err := postgres.EnsureLogin(ctx, admin, login, password); err != nil {
		return nil, err
	}
	made := &instance{running: server, server: at(server.URL(), name, url.UserPassword(login, password)), owner: at(server.URL(), name, nil)}
	made.db, err = postgres.Open(ctx, made.server, 20)
	return made, err
}

func startServer(ctx context.Context, dir, programs string) (*pgserver.Server, error) {
	for i := range folders {
		server, err := pgserver.Start(ctx, pgserver.Options{
			DataDir: filepath.Join(dir, "test", strconv.Itoa(i)), BinDir: programs,
			// Nothing here needs to survive a power cut.
			Settings: map[string]string{"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"},
		})
		if !errors.Is(err, pgserver.ErrRunning) {
			return server, err
		}
	}
	return nil, fmt.Errorf("all %d folders are in use", folders)
}

// makeTemplate makes the migrated database that test databases are copied from,
// unless this data folder has it already. It gets its name when it is complete.
func makeTemplate(ctx context.Context, admin *pgx.Conn, server string) (string, error) {
	key, err := postgres.SchemaKey()
	if err != nil {
		return "", err
	}
	name, unfinished := "template_"+key, "template_unfinished"
	var exists bool
	if err := admin.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&exists); err != nil || exists {
		return name, err
	}
	for _, statement := range []string{"drop database if exists " + unfinished + " with (force)", "create database " + unfinished} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return "", fmt.Errorf("%s: %w", statement, err)
		}
	}
	if err := postgres.Migrate(ctx, at(server, unfinished, nil), slog.New(slog.DiscardHandler)); err != nil {
		return "", err
	}
	_, err = admin.Exec(ctx, "alter database "+unfinished+" rename to "+name)
	return name, err
}

// at changes the database of a connection URL, and who connects unless nil.
func at(server, database string, who *url.Userinfo) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // pgserver made it
	}
	u.Path = "/" + database
	if who != nil {
		u.User = who
	}
	return u.String()
}
