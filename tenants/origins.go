package tenants

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

const maxOrigins = 50

// checkOrigins takes origins as browsers write them, so that they can be
// compared byte by byte.
func checkOrigins(all *[]string) error {
	if all == nil {
		return nil
	}
	if len(*all) > maxOrigins {
		return invalid("/allowed_origins", "At most %d origins.", maxOrigins)
	}
	for i, origin := range *all {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(origin) > 300 || origin != u.Scheme+"://"+strings.ToLower(u.Host) ||
			strings.Contains(u.Host, "*") || u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme] || strings.HasSuffix(u.Host, ":") {
			return invalid("/allowed_origins/"+strconv.Itoa(i), "An origin is written as in https://shop.example, without a path and in lower case.")
		}
	}
	return nil
}

// AllowsOrigin tells whether a workspace's visitors may come from an origin.
// Like a key's revocation, a change takes effect within two seconds.
func (t *Tenants) AllowsOrigin(ctx context.Context, w postgres.Workspace, origin string) (bool, error) {
	all, _, err := t.origins.get(ctx, w.ID, func(ctx context.Context) ([]string, bool, error) {
		s, err := t.Settings(ctx, w)
		if err != nil && fault.Of(err).Kind == fault.NotFound {
			return nil, false, nil
		}
		return s.AllowedOrigins, err == nil, err
	})
	if err != nil {
		return false, fmt.Errorf("look up allowed origins: %w", err)
	}
	return slices.Contains(all, origin), nil
}

const knownOriginSQL = `select origin_is_known(@origin)`

// KnowsOrigin tells whether any workspace allows an origin: all that can be
// asked before a key is shown.
func (t *Tenants) KnowsOrigin(ctx context.Context, origin string) (bool, error) {
	if len(origin) > 300 {
		return false, nil
	}
	_, known, err := t.known.get(ctx, origin, func(ctx context.Context) (_, known bool, err error) {
		err = t.db.InSystem(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, knownOriginSQL, pgx.StrictNamedArgs{"origin": origin}).Scan(&known)
		})
		return known, known, err
	})
	if err != nil {
		return false, fmt.Errorf("look up an origin: %w", err)
	}
	return known, nil
}

func (t *Tenants) forgetOrigins(w postgres.Workspace) {
	t.origins.forget(func(id int64, _ []string) bool { return id == w.ID })
	t.known.forget(func(string, bool) bool { return true })
}
