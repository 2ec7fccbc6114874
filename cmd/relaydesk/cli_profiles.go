package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// devProfile is the name under which the dev command's server is always known.
const devProfile = "dev"

// profile is a server with a key for it.
type profile struct {
	Server    string `json:"server"`
	Key       string `json:"key"`
	Workspace string `json:"workspace,omitempty"` // the one that is meant where none is named

	fallback string // likewise, only where an operation needs one
}

// profiles is the file that keeps them. Only its owner may read it.
type profiles struct {
	Current  string             `json:"current"`
	Profiles map[string]profile `json:"profiles"`
}

func profilesPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder for profiles: %w", err)
	}
	return filepath.Join(dir, "relaydesk", "profiles.json"), nil
}

func readProfiles() (all profiles, err error) {
	all.Profiles = map[string]profile{}
	path, err := profilesPath()
	if err != nil {
		return all, nil //nolint:nilerr // who has no such folder has no profiles
	}
	text, err := os.ReadFile(path) //nolint:gosec // a file of the user's own
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, fmt.Errorf("read the profiles: %w", err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return all, fmt.Errorf("read the profiles in %s: %w", path, err)
	}
	if all.Profiles == nil {
		all.Profiles = map[string]profile{}
	}
	return all, nil
}

func (all profiles) write() error {
	path, err := profilesPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder for profiles: %w", err)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("write the profiles: %w", err)
	}
	return replaceFile(path, append(text, '\n'))
}

func profileNames() []string {
	all, err := readProfiles()
	if err != nil {
		return nil // only for completion
	}
	return slices.Sorted(maps.Keys(all.Profiles))
}

var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func loginCommand() *cobra.Command {
	var name, server, key, workspace string
	c := &cobra.Command{
		Use: "login", Short: "keep a server and a key for it as a profile", Args: cobra.NoArgs,
		Long: "Reads an API key from standard input, tries it, and keeps it in a file of yours that only you may read.\n" +
			"The profile becomes the one that other commands use without --profile.",
		Example: "  relaydesk login --name acme --server https://support.example.com --key - <key.txt",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if key != "-" {
				return errors.New("a key in a command line can be read by others; give --key - and the key on standard input")
			}
			if !profileName.MatchString(name) || name == devProfile {
				return fmt.Errorf("%q can't be a profile's name: letters, digits, dots and hyphens, and not %q", name, devProfile)
			}
			server = strings.TrimRight(server, "/")
			if err := checkServer(server); err != nil {
				return err
			}
			secret, err := readSecret(cmd.InOrStdin())
			if err != nil {
				return err
			}
			s := &session{api: &client{base: server, key: secret, http: newHTTP()}}
			if workspace, err = s.findWorkspace(cmd.Context(), workspace); err != nil {
				return err
			}
			var agency struct{ Name string }
			err = s.api.call(cmd.Context(), "GET", "/v1/agency", nil, &agency)
			// A key of few scopes may not read the agency; it is a key all the same.
			if p, ok := errors.AsType[*problem](err); err != nil && (!ok || p.Code != "scope_missing") {
				return err
			}
			all, err := readProfiles()
			if err != nil {
				return err
			}
			all.Current, all.Profiles[name] = name, profile{Server: server, Key: secret, Workspace: workspace}
			if err := all.write(); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Logged in to %s as %s (%s).\n", server, name, cmp.Or(oneLine(agency.Name), "a key of few scopes"))
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "default", "what to call the profile")
	c.Flags().StringVar(&server, "server", "", "the server's address")
	c.Flags().StringVar(&key, "key", "-", `where the key comes from: "-" is standard input`)
	c.Flags().StringVar(&workspace, "workspace", "", "the workspace that is meant where none is named, by its id or slug")
	_ = c.MarkFlagRequired("server") // the flag exists
	return c
}

func logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout NAME", Short: "forget a profile; its key stays valid until it is revoked", Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return profileNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			all, err := readProfiles()
			if err != nil {
				return err
			}
			if _, ok := all.Profiles[args[0]]; !ok {
				return fmt.Errorf("there is no profile %q; relaydesk profiles lists them", args[0])
			}
			delete(all.Profiles, args[0])
			if all.Current == args[0] {
				all.Current = ""
			}
			return all.write()
		},
	}
}

func profilesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "profiles", Short: "list the profiles; the one in use has a star", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := readProfiles()
			if err != nil {
				return err
			}
			var rows [][]string
			for _, name := range slices.Sorted(maps.Keys(all.Profiles)) {
				star := " "
				if name == all.Current {
					star = "*"
				}
				p := all.Profiles[name]
				rows = append(rows, []string{name, p.Server, p.Workspace, last4(p.Key), star})
			}
			(&session{out: cmd.OutOrStdout()}).table([]string{"name", "server", "workspace", "key", "in use"}, rows)
			return nil
		},
	}
}

// last4 is how a key is recognised without being shown.
func last4(key string) string { return "…" + key[max(0, len(key)-4):] }

// readSecret reads a line.
func readSecret(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	line = strings.TrimSpace(line)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the key: %w", err)
	}
	if line == "" {
		return "", errors.New("there is no key on standard input")
	}
	return line, nil
}

func checkServer(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("the server's address must begin with http:// or https://, without user, query or fragment")
	}
	return nil
}
