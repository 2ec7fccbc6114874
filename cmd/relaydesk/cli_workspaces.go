package main

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type cliWorkspace struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Slug      string   `json:"slug"`
	TimeZone  string   `json:"time_zone"`
	Languages []string `json:"languages"`
	Status    string   `json:"status"`
	CreatedAt string   `json:"created_at"`
}

func (w cliWorkspace) fields() [][]string {
	return [][]string{
		{"id", w.ID},
		{"name", w.Name},
		{"slug", w.Slug},
		{"status", w.Status},
		{"time zone", w.TimeZone},
		{"languages", strings.Join(w.Languages, ", ")},
		{"created", w.CreatedAt},
	}
}

func workspacesCommand() *cobra.Command {
	s := &session{}
	var status, slug, zone string
	var languages []string
	listing := s.paged(&cobra.Command{
		Use: "list", Short: "list the agency's workspaces, the newest first", Args: cobra.NoArgs,
		RunE: s.run(func(ctx context.Context, _ []string) error {
			return fetchList(ctx, s, "/v1/workspaces", url.Values{"status": {status}}, []string{"id", "slug", "name", "status", "time zone"},
				func(w cliWorkspace) []string { return []string{w.ID, w.Slug, short(w.Name, 40), w.Status, w.TimeZone} })
		}),
	})
	choice(listing, &status, "status", "", "only with this status", "active", "suspended")
	create := &cobra.Command{
		Use: "create NAME", Short: "make a workspace", Args: cobra.ExactArgs(1),
		RunE: s.run(func(ctx context.Context, args []string) error {
			in := map[string]any{"name": args[0]}
			if slug != "" {
				in["slug"] = slug
			}
			if zone != "" {
				in["time_zone"] = zone
			}
			if len(languages) > 0 {
				in["languages"] = languages
			}
			header, key := once()
			body, err := s.api.raw(ctx, "POST", "/v1/workspaces", in, header, key)
			if err != nil {
				return err
			}
			return show(s, body, cliWorkspace.fields)
		}),
	}
	create.Flags().StringVar(&slug, "slug", "", "its short name; from the name when absent")
	create.Flags().StringVar(&zone, "time-zone", "", "the zone in which its team works, such as Europe/Berlin")
	create.Flags().StringSliceVar(&languages, "language", nil, "a language that it serves, the main one first; may be given several times")
	get := &cobra.Command{
		Use: "get WORKSPACE", Short: "show a workspace, by its id or slug", Args: cobra.ExactArgs(1),
		RunE: s.run(func(ctx context.Context, args []string) error {
			id, err := s.findWorkspace(ctx, args[0])
			if err != nil {
				return err
			}
			body, err := s.api.raw(ctx, "GET", "/v1/workspaces/"+url.PathEscape(id), nil)
			if err != nil {
				return err
			}
			return show(s, body, cliWorkspace.fields)
		}),
	}
	return s.flags(group("workspaces", "list, make and show workspaces", listing, create, get))
}

type cliKey struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Scopes      []string `json:"scopes"`
	WorkspaceID string   `json:"workspace_id"`
	Last4       string   `json:"last4"`
	ExpiresAt   string   `json:"expires_at"`
	LastUsedAt  string   `json:"last_used_at"`
	Secret      string   `json:"secret"`
}

func (k cliKey) fields() [][]string {
	return [][]string{
		{"id", k.ID},
		{"name", k.Name},
		{"scopes", strings.Join(k.Scopes, " ")},
		{"workspace", k.WorkspaceID},
		{"expires", k.ExpiresAt},
		{"secret", k.Secret},
	}
}

func keysCommand() *cobra.Command {
	s := &session{}
	listing := s.paged(&cobra.Command{
		Use: "list", Short: "list the agency's API keys, the newest first", Args: cobra.NoArgs,
		RunE: s.run(func(ctx context.Context, _ []string) error {
			return fetchList(ctx, s, "/v1/api_keys", nil, []string{"id", "name", "ends in", "workspace", "last used", "expires", "scopes"}, func(k cliKey) []string {
				used := "never"
				if k.LastUsedAt != "" {
					used = ago(k.LastUsedAt) + " ago"
				}
				return []string{k.ID, short(k.Name, 30), k.Last4, k.WorkspaceID, used, k.ExpiresAt, short(strings.Join(k.Scopes, " "), 60)}
			})
		}),
	})
	revoke := &cobra.Command{
		Use: "revoke KEY_ID", Short: "revoke a key; it is refused within two seconds", Args: cobra.ExactArgs(1),
		RunE: s.run(func(ctx context.Context, args []string) error {
			return s.api.call(ctx, "DELETE", "/v1/api_keys/"+url.PathEscape(args[0]), nil, nil)
		}),
	}
	return s.flags(group("keys", "list, make, roll and revoke API keys", listing, createKeyCommand(s), rollKeyCommand(s), revoke))
}

func createKeyCommand(s *session) *cobra.Command {
	var scopes []string
	var expires time.Duration
	c := &cobra.Command{
		Use: "create NAME", Short: "make a key; its secret is shown this once", Args: cobra.ExactArgs(1),
		Long: "Makes a key that may do what --scope says. With --workspace it reaches that workspace only.",
		RunE: s.run(func(ctx context.Context, args []string) error {
			in := map[string]any{"name": args[0], "scopes": scopes}
			if s.workspace != "" { // not a profile's: a key for one workspace is asked for in so many words
				in["workspace_id"] = s.api.workspace
			}
			if expires > 0 {
				in["expires_at"] = time.Now().Add(expires).UTC().Format(time.RFC3339)
			}
			header, key := once()
			body, err := s.api.raw(ctx, "POST", "/v1/api_keys", in, header, key)
			if err != nil {
				return err
			}
			return show(s, body, cliKey.fields)
		}),
	}
	c.Flags().StringSliceVar(&scopes, "scope", nil, `what it may do, such as conversations:write; "*" is everything; may be given several times`)
	c.Flags().DurationVar(&expires, "expires-in", 0, "when it ends, such as 720h; never when absent")
	_ = c.MarkFlagRequired("scope") // the flag exists
	return c
}

func rollKeyCommand(s *session) *cobra.Command {
	var overlap time.Duration
	c := &cobra.Command{
		Use: "roll KEY_ID", Short: "replace a key; the old one lives on for the overlap", Args: cobra.ExactArgs(1),
		RunE: s.run(func(ctx context.Context, args []string) error {
			in := map[string]any{"overlap_seconds": int(overlap.Seconds())}
			header, key := once()
			body, err := s.api.raw(ctx, "POST", "/v1/api_keys/"+url.PathEscape(args[0])+"/roll", in, header, key)
			if err != nil {
				return err
			}
			return show(s, body, cliKey.fields)
		}),
	}
	c.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old key lives on, at most 168h")
	return c
}

// choice is a flag that takes one of a few words, which the shell completes.
// The server checks it.
func choice(c *cobra.Command, to *string, name, value, about string, words ...string) {
	c.Flags().StringVar(to, name, value, about+": "+strings.Join(words, ", "))
	_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}
