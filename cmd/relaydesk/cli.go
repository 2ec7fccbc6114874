package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// apiCommands are the commands that use the API as any program does. None of
// them knows anything that the API's document doesn't say.
func apiCommands() []*cobra.Command {
	return []*cobra.Command{
		loginCommand(), logoutCommand(), profilesCommand(),
		workspacesCommand(), conversationsCommand(), askCommand(), inboxCommand(), keysCommand(),
	}
}

// session is what the flags of a command say about the server to talk to, and
// how to print what it answers.
type session struct {
	server, key, profile, workspace string
	json                            bool
	limit                           int
	cursor                          string

	api *client
	out io.Writer
	err io.Writer
}

// flags gives a command, and those below it, the flags that all of them have.
func (s *session) flags(c *cobra.Command) *cobra.Command {
	f := c.PersistentFlags()
	f.StringVar(&s.profile, "profile", "", `a profile of "relaydesk login", or "dev" for the server of "relaydesk dev"`)
	f.StringVar(&s.server, "server", "", "the server's address, instead of the profile's")
	f.StringVar(&s.key, "key", "", `"-" reads an API key from standard input, instead of the profile's`)
	f.StringVar(&s.workspace, "workspace", "", "the workspace, by its id or slug")
	f.BoolVar(&s.json, "json", false, "print the API's own JSON")
	_ = c.RegisterFlagCompletionFunc("profile", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return append(profileNames(), devProfile), cobra.ShellCompDirectiveNoFileComp
	}) // the flag exists
	return c
}

// paged gives a command that lists the flags of a list.
func (s *session) paged(c *cobra.Command) *cobra.Command {
	c.Flags().IntVar(&s.limit, "limit", 50, "how many to list, at most 100")
	c.Flags().StringVar(&s.cursor, "cursor", "", "go on where another list ended")
	return c
}

// run opens the session and does what the command is for.
func (s *session) run(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s.out, s.err = cmd.OutOrStdout(), cmd.ErrOrStderr()
		access, err := s.access(cmd.InOrStdin())
		if err != nil {
			return err
		}
		s.api = &client{base: access.Server, key: access.Key, http: newHTTP()}
		if s.api.workspace, err = s.findWorkspace(cmd.Context(), cmp.Or(s.workspace, access.Workspace)); err != nil {
			return err
		}
		return do(cmd.Context(), args)
	}
}

// access finds server and key. What is said explicitly goes first: flags, the
// environment, the profile that was logged in to last, the dev command's folder.
// A profile's key is sent to that profile's server only.
func (s *session) access(in io.Reader) (profile, error) {
	given := os.Getenv("RELAYDESK_API_KEY")
	if s.key != "" {
		if s.key != "-" {
			return profile{}, errors.New("a key in a command line can be read by others; give it with --key - on standard input, or in RELAYDESK_API_KEY")
		}
		text, err := readSecret(in)
		if err != nil {
			return profile{}, err
		}
		given = text
	}
	found, err := s.stored(given != "" && s.profile == "")
	if err != nil {
		return profile{}, err
	}
	server := strings.TrimRight(cmp.Or(s.server, found.Server), "/")
	switch {
	case given != "":
		found = profile{Key: given}
	case found.Key == "":
		return profile{}, errors.New(`no key: run "relaydesk login", or set RELAYDESK_API_KEY, or start "relaydesk dev" in this folder`)
	case server != found.Server:
		return profile{}, fmt.Errorf("the key of this profile is for %s; give another one for %s with --key - or RELAYDESK_API_KEY", found.Server, server)
	}
	found.Server = server
	return found, checkServer(server)
}

// stored gives the profile to use. Without a key of its own the command takes
// the one that was logged in to last; with one only the address is wanted.
func (s *session) stored(addressOnly bool) (profile, error) {
	if s.profile == devProfile {
		return devAccess()
	}
	all, err := readProfiles()
	if err != nil {
		return profile{}, err
	}
	if s.profile != "" {
		p, ok := all.Profiles[s.profile]
		if !ok {
			return profile{}, fmt.Errorf("there is no profile %q; relaydesk profiles lists them", s.profile)
		}
		return p, nil
	}
	if p, ok := all.Profiles[all.Current]; ok && !addressOnly {
		return p, nil
	}
	return devAccess()
}

// devAccess is how the server of the dev command is reached.
func devAccess() (profile, error) {
	cfg, _, err := configure()
	if err != nil {
		return profile{}, err
	}
	seeded, err := readSeed(filepath.Join(cfg.DataDir, "dev.json"))
	if err != nil {
		return profile{}, err
	}
	return profile{Server: cfg.PublicURL, Key: seeded.APIKey, fallback: seeded.WorkspaceID}, nil
}

// findWorkspace gives a workspace's id; a slug is looked up.
func (s *session) findWorkspace(ctx context.Context, named string) (string, error) {
	if named == "" || strings.HasPrefix(named, "ws_") {
		return named, nil
	}
	var found list[cliWorkspace]
	if err := s.api.call(ctx, "GET", "/v1/workspaces?slug="+url.QueryEscape(named), nil, &found); err != nil {
		return "", err
	}
	if len(found.Data) == 0 {
		return "", fmt.Errorf("there is no workspace with the slug %q", named)
	}
	return found.Data[0].ID, nil
}

// needWorkspace is for what is done in one workspace: the dev server's own is
// taken where none was named.
func (s *session) needWorkspace() error {
	if s.api.workspace != "" || os.Getenv("RELAYDESK_API_KEY") != "" || s.key != "" {
		return nil // a key may be a workspace's own; else the server says what is missing
	}
	if p, err := s.stored(false); err == nil && p.Key == s.api.key {
		s.api.workspace = p.fallback
	}
	return nil
}

// list is one part of a list of the API's.
type list[T any] struct {
	Data       []T    `json:"data"`
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor"`
}

// fetchList gets a part of a list and prints it: the JSON as it came, or a
// table. row writes the cells of an entry.
func fetchList[T any](ctx context.Context, s *session, path string, query url.Values, head []string, row func(T) []string) error {
	if query == nil {
		query = url.Values{}
	}
	for name, values := range query {
		if len(values) == 0 || values[0] == "" {
			query.Del(name)
		}
	}
	query.Set("limit", strconv.Itoa(s.limit))
	if s.cursor != "" {
		query.Set("cursor", s.cursor)
	}
	body, err := s.api.raw(ctx, "GET", path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	if s.json {
		return s.print(body)
	}
	var part list[T]
	if err := json.Unmarshal(body, &part); err != nil {
		return fmt.Errorf("read the list: %w", err)
	}
	rows := make([][]string, len(part.Data))
	for i, entry := range part.Data {
		rows[i] = row(entry)
	}
	s.table(head, rows)
	if part.HasMore {
		fmt.Fprintf(s.err, "There are more: add --cursor %s\n", part.NextCursor)
	}
	return nil
}

// print prints what the API answered, unchanged but for its line's end.
func (s *session) print(body []byte) error {
	if _, err := s.out.Write(append(bytes.TrimRight(body, "\n"), '\n')); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// show prints one object: the JSON as it came, or its fields.
func show[T any](s *session, body []byte, fields func(T) [][]string) error {
	if s.json {
		return s.print(body)
	}
	var object T
	if err := json.Unmarshal(body, &object); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	s.table(nil, fields(object))
	return nil
}

// table prints rows in columns. Cells without content show a hyphen, so that a
// column can be cut out by position.
func (s *session) table(head []string, rows [][]string) {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if head != nil {
		fmt.Fprintln(w, strings.ToUpper(strings.Join(head, "\t")))
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cmp.Or(oneLine(cell), "-")
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // as with every print to a terminal: whoever closed it knows
}

// oneLine makes what somebody wrote fit for a terminal's line. A visitor's
// words must not move the cursor, change colours or hide anything.
func oneLine(text string) string {
	return strings.Join(strings.Fields(clean(text)), " ")
}

// clean takes out what a terminal would obey instead of show.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u200c':
			return ' '
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

// short cuts a text to a number of characters.
func short(text string, most int) string {
	runes := []rune(oneLine(text))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most-1]) + "…"
}

// ago says how long ago a moment of the API's was.
func ago(moment string) string {
	at, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		return moment
	}
	past := time.Since(at)
	switch {
	case past < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(past.Seconds())))
	case past < time.Hour:
		return fmt.Sprintf("%d min", int(past.Minutes()))
	case past < 48*time.Hour:
		return fmt.Sprintf("%d h", int(past.Hours()))
	}
	return fmt.Sprintf("%d days", int(past.Hours()/24))
}

// once is a key by which the server knows a repeated request.
func once() (header, key string) { return "Idempotency-Key", "cli-" + rand.Text() }

// group is a command that has only commands below it.
func group(use, about string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: about, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(below...)
	return c
}
