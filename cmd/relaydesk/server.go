package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

func serveCommand() *cobra.Command {
	var alone bool
	c := &cobra.Command{
		Use: "serve", Short: "serve the API, with workers unless --no-workers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runNode(cmd.Context(), roles{serve: true, work: !alone})
		},
	}
	c.Flags().BoolVar(&alone, "no-workers", false, "leave answering, crawling and delivering to `relaydesk worker`")
	return c
}

func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "worker", Short: "answer, crawl, embed and deliver, without serving the API", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runNode(cmd.Context(), roles{work: true}) },
	}
}

// runNode runs a process of an installation until ctx ends.
func runNode(ctx context.Context, r roles) error {
	cfg, log, err := configure(config.DatabaseURL, config.EncryptionKey)
	if err != nil {
		return err
	}
	if err := postgres.CheckSchema(ctx, cfg.Direct().Reveal()); err != nil {
		return err
	}
	n, err := newNode(ctx, cfg, options{}, log, os.Stderr)
	if err != nil {
		return err
	}
	defer n.close()
	var listener net.Listener
	if r.serve {
		if listener, err = listen(ctx, cfg.Listen); err != nil {
			return err
		}
	}
	return n.run(ctx, r, listener, func(context.Context) error {
		log.Info("ready", "address", cfg.PublicURL)
		return nil
	})
}

func migrateCommand() *cobra.Command {
	var login string
	c := &cobra.Command{
		Use: "migrate", Short: "bring the database to this program's schema", Args: cobra.NoArgs,
		Long: "Runs as the database's owner (RELAYDESK_DATABASE_URL of a role that may create roles and the extension vector).\n" +
			"With --login it also makes the login that the server should use: it owns nothing and can't bypass the walls between tenants.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := configure(config.DatabaseURL)
			if err != nil {
				return err
			}
			if err := postgres.Migrate(cmd.Context(), cfg.Direct().Reveal(), log); err != nil {
				return err
			}
			if login == "" {
				return nil
			}
			password := os.Getenv(loginPassword)
			if password == "" {
				return fmt.Errorf("set %s to the password that %s shall have", loginPassword, login)
			}
			return ensureLogin(cmd.Context(), cfg.Direct().Reveal(), login, password)
		},
	}
	c.Flags().StringVar(&login, "login", "", "name of the server's login; its password is read from RELAYDESK_LOGIN_PASSWORD")
	c.AddCommand(migrateStatusCommand())
	return c
}

func ensureLogin(ctx context.Context, url, login, password string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return postgres.EnsureLogin(ctx, conn, login, password)
}
