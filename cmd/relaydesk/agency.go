package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/tenants"
)

func agencyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "agency NAME", Short: "make an agency, and print its first key", Args: cobra.ExactArgs(1),
		Long: "Makes an agency and a key that may do everything in it, and prints both as one line of JSON.\n" +
			"The key is shown this once. Everything else an agency needs it makes through the API.",
		RunE: func(cmd *cobra.Command, args []string) error { return makeAgency(cmd.Context(), args[0], os.Stdout) },
	}
}

func makeAgency(ctx context.Context, name string, out io.Writer) error {
	cfg, log, err := configure(config.DatabaseURL)
	if err != nil {
		return err
	}
	if err := postgres.CheckSchema(ctx, cfg.Direct().Reveal()); err != nil {
		return err
	}
	db, err := postgres.Open(ctx, cfg.Direct().Reveal(), 2)
	if err != nil {
		return err
	}
	defer db.Close()
	agency, key, err := newAgency(ctx, tenants.New(db, clock.System(), log, tenants.Options{}), name, "First key")
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(struct { //nolint:gosec // to show the key is what the command is for
		AgencyID string `json:"agency_id"`
		APIKey   string `json:"api_key"`
	}{ids.Format(ids.Agency, agency.ID), key.Secret})
}

// newAgency makes an agency and a key that may do everything in it.
func newAgency(ctx context.Context, t *tenants.Tenants, name, keyName string) (tenants.Agency, tenants.MadeKey, error) {
	agency, err := t.CreateAgency(ctx, name)
	if err != nil {
		return agency, tenants.MadeKey{}, fmt.Errorf("make an agency: %w", err)
	}
	maker := tenants.Principal{AgencyID: agency.AgencyID, Agency: agency.ID, Scopes: tenants.Scopes{"*"}}
	key, err := t.CreateKey(ctx, maker, tenants.NewKey{Name: keyName, Scopes: tenants.Scopes{"*"}}, nil)
	if err != nil {
		return agency, key, fmt.Errorf("make its first key: %w", err)
	}
	return agency, key, nil
}
