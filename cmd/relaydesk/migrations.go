package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// migrateStatusCommand shows what `relaydesk migrate` would do.
func migrateStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "status", Short: "list the migrations: which are applied, which are not", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := configure(config.DatabaseURL)
			if err != nil {
				return err
			}
			all, err := postgres.Status(cmd.Context(), cfg.Direct().Reveal())
			if err != nil {
				return err
			}
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(all); err != nil {
					return fmt.Errorf("print the migrations: %w", err)
				}
				return nil
			}
			rows := make([][]string, len(all))
			for i, m := range all {
				at := ""
				if !m.AppliedAt.IsZero() {
					at = m.AppliedAt.UTC().Format(time.RFC3339)
				}
				rows[i] = []string{strconv.Itoa(m.Version), m.Name, m.State, at}
			}
			(&session{out: cmd.OutOrStdout()}).table([]string{"version", "name", "state", "applied at"}, rows)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
