package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/bench/internal/cost"
	"github.com/relaydesk/relaydesk/internal/artifacts"
	"github.com/relaydesk/relaydesk/internal/pgserver"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// world is what a run makes and takes away again.
type world struct {
	settings settings
	progress io.Writer
	began    time.Time
	loads    string
	bench    string
	figures  []Figure
	remarks  []string

	dir        string
	dataDir    string // of the artifacts
	binary     string // relaydesk
	postgres   *pgserver.Server
	postmaster int // its process
	key        string
}

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(w.progress, "%5.0f s  "+format+"\n", append([]any{time.Since(w.began).Seconds()}, args...)...)
}

func (w *world) remark(format string, args ...any) {
	w.remarks = append(w.remarks, w.bench+": "+fmt.Sprintf(format, args...))
}

// scaled is a count of data, or less where the bench itself is tried.
func (w *world) scaled(n int) int { return max(n*w.settings.scale/100, 1) }

func (w *world) folder() (err error) {
	if w.dir != "" {
		return nil
	}
	w.loads, w.key = loadAverage(), secrets.NewEncryptionKey()
	if w.dataDir, err = filepath.Abs(w.settings.dataDir); err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	w.dir, err = temporary()
	return err
}

func (w *world) close() (err error) {
	if w.postgres != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err = w.postgres.Stop(ctx)
	}
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return err
}

// weights is the path of the embedder's weights.
func (w *world) weights(ctx context.Context) (string, error) {
	if err := w.folder(); err != nil {
		return "", err
	}
	return artifacts.Weights(ctx, w.dataDir, w.progress)
}

// program builds relaydesk.
func (w *world) program(ctx context.Context) (string, error) {
	if w.binary != "" {
		return w.binary, nil
	}
	path := within(w.dir, "relaydesk")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/relaydesk/relaydesk/cmd/relaydesk")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build relaydesk: %w\n%s", err, out)
	}
	w.binary = path
	return path, nil
}

// database is one that a bench has for itself.
type database struct {
	owner  string // URL of the superuser
	server string // URL of the login that servers use
	admin  *pgx.Conn
}

const (
	login    = "relaydesk_bench"
	password = "only-for-this-run" // the server is local and ends with the run
)

// database starts Postgres if need be, with the settings that `relaydesk dev`
// gives it, and makes a migrated database.
func (w *world) database(ctx context.Context) (*database, error) {
	if err := w.folder(); err != nil {
		return nil, err
	}
	if w.postgres == nil {
		programs, err := artifacts.Postgres(ctx, w.dataDir, w.progress)
		if err != nil {
			return nil, err
		}
		w.postgres, err = pgserver.Start(ctx, pgserver.Options{DataDir: within(w.dir, "postgres"), BinDir: programs})
		if err != nil {
			return nil, err
		}
	}
	admin, err := pgx.Connect(ctx, w.postgres.URL())
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer admin.Close(ctx)
	if w.postmaster == 0 {
		var backend int
		if err := admin.QueryRow(ctx, "select pg_backend_pid()").Scan(&backend); err != nil {
			return nil, err
		}
		w.postmaster, _ = cost.Parent(backend) // 0 where there is no /proc
	}
	name := "bench_" + w.bench
	if _, err := admin.Exec(ctx, "create database "+name); err != nil {
		return nil, fmt.Errorf("make a database: %w", err)
	}
	d := &database{owner: changed(w.postgres.URL(), name, "", nil), server: changed(w.postgres.URL(), name, "", url.UserPassword(login, password))}
	if err := postgres.Migrate(ctx, d.owner, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	if err := postgres.EnsureLogin(ctx, admin, login, password); err != nil {
		return nil, err
	}
	d.admin, err = pgx.Connect(ctx, d.owner)
	return d, err
}

// drop ends what is connected to the database and removes it.
func (d *database) drop(w *world) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	name := d.admin.Config().Database
	_ = d.admin.Close(ctx)
	admin, err := pgx.Connect(ctx, w.postgres.URL())
	if err != nil {
		return
	}
	defer admin.Close(ctx)
	_, _ = admin.Exec(ctx, "drop database if exists "+name+" with (force)") // the folder goes anyway
}

// execute runs statements as the owner.
func (d *database) execute(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := d.admin.Exec(ctx, s); err != nil {
			return fmt.Errorf("%.80s: %w", strings.Join(strings.Fields(s), " "), err)
		}
	}
	return nil
}

// changed is a connection URL with another database, address or user; empty or
// nil leaves each as it is.
func changed(from, database, address string, who *url.Userinfo) string {
	u, err := url.Parse(from)
	if err != nil {
		panic(err) // pgserver made it
	}
	if database != "" {
		u.Path = "/" + database
	}
	if address != "" {
		u.Host = address
	}
	if who != nil {
		u.User = who
	}
	return u.String()
}

// server is a process that serves HTTP.
type server struct {
	address string
	process *os.Process
	ended   chan struct{}
	stopped sync.Once
	log     string
}

// serve starts `relaydesk serve` on a database.
func (w *world) serve(ctx context.Context, databaseURL string, args ...string) (*server, error) {
	program, err := w.program(ctx)
	if err != nil {
		return nil, err
	}
	return w.start(ctx, program, append([]string{"serve"}, args...), databaseURL)
}

// start runs a program that serves, and waits until it does. What it logs goes
// to a file, as in production.
func (w *world) start(ctx context.Context, program string, args []string, databaseURL string) (*server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(within(w.dir, "log-"+strings.ToLower(rand.Text()[:8])))
	if err != nil {
		return nil, fmt.Errorf("make a log: %w", err)
	}
	defer log.Close()
	c := exec.Command(program, append(args, "-listen="+address)...) //nolint:noctx // stop ends it, in order
	if program == w.binary {
		c = exec.Command(program, args...) //nolint:noctx // stop ends it, in order
	}
	c.Stdout, c.Stderr = log, log
	if w.settings.profile != "" && strings.HasSuffix(w.settings.contests, strings.TrimPrefix(args[0], "-role=")) {
		c.Env = append(c.Env, "BENCH_PROFILE="+w.settings.profile)
		w.settings.profile = "" // a later start would write over it
	}
	c.Env = append(append(c.Env, environment()...),
		"RELAYDESK_DATABASE_URL="+databaseURL, "RELAYDESK_LISTEN="+address, "RELAYDESK_DATA_DIR="+w.dataDir, "RELAYDESK_ENCRYPTION_KEY="+w.key)
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	s := &server{address: address, process: c.Process, ended: make(chan struct{}), log: log.Name()}
	go func() {
		_ = c.Wait() // that it ended is what matters
		close(s.ended)
	}()
	if err := s.ready(ctx); err != nil {
		s.stop()
		text, _ := os.ReadFile(s.log)
		return nil, fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
	}
	return s, nil
}

// environment is ours without what is set for some Relaydesk.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RELAYDESK_") {
			kept = append(kept, v)
		}
	}
	return kept
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", nil)
		if err != nil {
			return err
		}
		if answer, err := client.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return errors.New("the server ended while it started")
		case <-ctx.Done():
			return errors.New("the server did not become ready in half a minute")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the server as an operator does; what does not end is killed.
func (s *server) stop() {
	s.stopped.Do(func() {
		_ = s.process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(10 * time.Second):
			_ = s.process.Kill()
			<-s.ended
		}
	})
}
