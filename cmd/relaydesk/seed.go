package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/tenants"
)

// readyLine is what `relaydesk dev` prints on standard output, alone, when
// everything answers. Programs that start a server for themselves read it.
type readyLine struct {
	Ready       bool   `json:"ready"`
	URL         string `json:"url"`
	APIKey      string `json:"api_key"`
	AgencyID    string `json:"agency_id"`
	WorkspaceID string `json:"workspace_id"`
	MemberID    string `json:"member_id"`
}

// seed gives a developer something to begin with: an agency, a key that may do
// everything, a member, and a workspace that learns from the guide. It is kept
// in a file, because a key can't be read again.
func (n *node) seed(ctx context.Context, path string) (readyLine, error) {
	line, err := readSeed(path)
	if err != nil {
		return readyLine{}, err
	}
	principal, err := n.tenants.Authenticate(ctx, line.APIKey)
	if err != nil || ids.Format(ids.Agency, principal.Agency) != line.AgencyID {
		// No file yet, or one that belongs to another database.
		if line, err = n.newSeed(ctx); err != nil {
			return readyLine{}, err
		}
		text, err := json.MarshalIndent(line, "", "  ") //nolint:gosec // into a file that only we may read
		if err != nil {
			return readyLine{}, fmt.Errorf("write what was seeded: %w", err)
		}
		if err := replaceFile(path, append(text, '\n')); err != nil {
			return readyLine{}, err
		}
		if principal, err = n.tenants.Authenticate(ctx, line.APIKey); err != nil {
			return readyLine{}, fmt.Errorf("use the seeded key: %w", err)
		}
	}
	line.Ready, line.URL = true, n.cfg.PublicURL
	return line, n.learnGuide(ctx, principal.AgencyID, line.WorkspaceID)
}

func readSeed(path string) (line readyLine, err error) {
	text, err := os.ReadFile(path) //nolint:gosec // in the data folder
	if errors.Is(err, fs.ErrNotExist) {
		return line, nil
	}
	if err != nil {
		return line, fmt.Errorf("read what was seeded: %w", err)
	}
	if err := json.Unmarshal(text, &line); err != nil {
		return readyLine{}, nil //nolint:nilerr // an unreadable file is made anew
	}
	return line, nil
}

func (n *node) newSeed(ctx context.Context) (line readyLine, err error) {
	agency, key, err := newAgency(ctx, n.tenants, "My agency", "Development")
	if err != nil {
		return line, err
	}
	member, err := n.tenants.CreateMember(ctx, agency.AgencyID, tenants.NewMember{
		Name: "Team member", Email: "team@example.com", Role: "owner", Status: "active",
	}, nil)
	if err != nil {
		return line, fmt.Errorf("seed a member: %w", err)
	}
	workspace, err := n.tenants.CreateWorkspace(ctx, agency.AgencyID, tenants.NewWorkspace{Name: "Relaydesk guide", Languages: []string{"en"}}, nil)
	if err != nil {
		return line, fmt.Errorf("seed a workspace: %w", err)
	}
	return readyLine{
		APIKey: key.Secret, AgencyID: ids.Format(ids.Agency, agency.ID),
		WorkspaceID: ids.Format(ids.Workspace, workspace.UUID), MemberID: ids.Format(ids.Member, member.ID),
	}, nil
}

// learnGuide lets the seeded workspace learn from this server's own guide, and
// once more after a new version of the program.
func (n *node) learnGuide(ctx context.Context, agencyID int64, workspaceID string) error {
	id, err := ids.Parse(ids.Workspace, workspaceID)
	if err != nil {
		return fmt.Errorf("find the seeded workspace: %w", err)
	}
	w, err := n.tenants.Workspace(ctx, agencyID, id)
	if err != nil {
		return nil //nolint:nilerr // the developer deleted it
	}
	guide := n.cfg.PublicURL + "/guide"
	sources, _, err := n.knowledge.Sources(ctx, w.Workspace, tenants.Page{Limit: 100})
	if err != nil {
		return fmt.Errorf("look for the guide: %w", err)
	}
	for _, s := range sources {
		if s.URL != guide {
			continue
		}
		if s.Status == knowledge.Ready && s.CrawledAt != nil && n.started.Sub(*s.CrawledAt) < time.Hour {
			return nil
		}
		_, err := n.knowledge.Crawl(ctx, w.Workspace, s.ID, nil)
		return err
	}
	_, err = n.knowledge.CreateSource(ctx, w.Workspace, knowledge.NewSource{
		Type: knowledge.Website, URL: guide, Include: []string{n.cfg.PublicURL + "/guide", n.cfg.PublicURL + "/guide/**"},
	}, nil)
	if err != nil {
		return fmt.Errorf("learn the guide: %w", err)
	}
	return nil
}
