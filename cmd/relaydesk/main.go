// Command relaydesk is the whole product in one binary: the server, its
// workers, and the tools around them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/relaydesk/relaydesk/internal/config"
)

// Variables that only one command reads.
const (
	loginPassword = "RELAYDESK_LOGIN_PASSWORD" // migrate
	apiKey        = "RELAYDESK_API_KEY"        // demo
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	err := root().ExecuteContext(ctx)
	if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return
	}
	fmt.Fprintln(os.Stderr, "relaydesk:", err)
	os.Exit(1)
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "relaydesk",
		Short:         "AI-to-human support handoff: an API-first server on Postgres",
		SilenceErrors: true, SilenceUsage: true,
	}
	c.AddCommand(devCommand(), demoCommand(), serveCommand(), workerCommand(), migrateCommand(), agencyCommand(), openapiCommand(), doctorCommand())
	c.AddCommand(apiCommands()...)
	return c
}

// configure reads the configuration of a command, and makes its log.
func configure(needs ...string) (config.Config, *slog.Logger, error) {
	cfg, err := config.Load(os.LookupEnv, needs...)
	if err != nil {
		return cfg, nil, err
	}
	log := newLog(cfg, os.Stderr)
	for _, name := range config.Unknown(os.Environ()) {
		if name != loginPassword && name != apiKey { // read by one command alone
			log.Warn("there is no such variable; it has no effect", "name", name)
		}
	}
	return cfg, log, nil
}

func newLog(cfg config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
