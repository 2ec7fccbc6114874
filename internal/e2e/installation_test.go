package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/pgserver"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

const (
	login    = "relaydesk_server"
	password = "only-for-tests" // the server is local and ends with the test
	template = "e2e_template"
)

// settings of the Postgres that nodes share: nothing survives a power cut.
var settings = map[string]string{"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "max_connections": "400"}

// installation is a database with an agency, for nodes to work on.
type installation struct {
	t         *testing.T
	owner     string // URL of the superuser
	server    string // URL of the nodes' login
	secret    string
	key       string
	workspace string
	member    string
}

// install makes an installation, by the program's own commands.
func install(t *testing.T) *installation {
	t.Helper()
	program := binary(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		ctx := context.WithoutCancel(t.Context()) // other tests use it, too
		server, err := pgserver.Start(ctx, pgserver.Options{DataDir: place(t) + "/postgres", BinDir: artifactstest.Postgres(t), Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		shared.server = server
	}
	admin := shared.server.URL()
	if !shared.migrated {
		run(t, admin, "create database "+template)
		migrate(t, program, located(admin, template, nil))
		shared.migrated = true
	}
	shared.databases++
	name := fmt.Sprintf("e2e_%d", shared.databases)
	run(t, admin, "create database "+name+" template "+template)
	return newInstallation(t, program, located(admin, name, nil))
}

func migrate(t *testing.T, program, owner string) {
	t.Helper()
	p := startProgram(t, program, launch{
		args: []string{"migrate", "--login", login},
		env:  []string{"RELAYDESK_DATABASE_URL=" + owner, "RELAYDESK_LOGIN_PASSWORD=" + password},
	})
	if code := p.ended(time.Minute); code != 0 {
		t.Fatalf("migrate ended with %d: %s", code, p.log.String())
	}
}

func newInstallation(t *testing.T, program, owner string) *installation {
	t.Helper()
	in := &installation{t: t, owner: owner, server: located(owner, "", url.UserPassword(login, password)), secret: secrets.NewEncryptionKey()}
	p := startProgram(t, program, launch{args: []string{"agency", "E2E agency"}, env: in.env()})
	if code := p.ended(time.Minute); code != 0 {
		t.Fatalf("agency ended with %d: %s", code, p.log.String())
	}
	var made struct {
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(p.out.String()), &made); err != nil || made.APIKey == "" {
		t.Fatalf("agency printed %q: %v", p.out.String(), err)
	}
	in.key = made.APIKey
	return in
}

func (in *installation) env(more ...string) []string {
	return append([]string{
		"RELAYDESK_DATABASE_URL=" + in.server, "RELAYDESK_ENCRYPTION_KEY=" + in.secret,
		"RELAYDESK_DATABASE_CONNECTIONS=12", "RELAYDESK_ALLOW_LOOPBACK=true",
	}, more...)
}

// node is a process that serves.
type node struct {
	*process
	*api
}

// serve starts a node, with workers unless args say otherwise.
func (in *installation) serve(t *testing.T, env []string, args ...string) *node {
	t.Helper()
	address := "127.0.0.1:" + freePort(t)
	p := start(t, launch{
		args: append([]string{"serve"}, args...),
		env:  in.env(append([]string{"RELAYDESK_LISTEN=" + address, "RELAYDESK_DATA_DIR=" + folder(t, true)}, env...)...),
	})
	n := &node{process: p, api: in.api("http://" + address)}
	p.await(time.Minute, func() bool {
		r, err := n.send(t.Context(), "GET", "/readyz", nil)
		return err == nil && r.status == http.StatusOK
	})
	if in.workspace == "" {
		in.member = n.want(t, 201, "POST", "/v1/members", object{"name": "Ada Moreau", "email": "ada@example.com", "role": "agent", "status": "active"}).text("id")
		in.workspace = in.newWorkspace(t, n)
	}
	n.workspace = in.workspace
	return n
}

// worker starts a node that only works.
func (in *installation) worker(t *testing.T, env ...string) *process {
	t.Helper()
	p := start(t, launch{args: []string{"worker"}, env: in.env(append(env, "RELAYDESK_DATA_DIR="+folder(t, true))...)})
	p.await(time.Minute, func() bool { return strings.Contains(p.log.String(), "msg=ready") })
	return p
}

func (in *installation) api(base string) *api {
	return &api{base: base, key: in.key, http: &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 30}}}
}

func (in *installation) newWorkspace(t *testing.T, n *node) string {
	t.Helper()
	return n.want(t, 201, "POST", "/v1/workspaces", object{"name": "E2E " + t.Name(), "languages": []string{"en"}}).text("id")
}

// in gives the node's API for another workspace.
func (n *node) in(workspace string) *api {
	a := *n.api
	a.workspace = workspace
	return &a
}

// teach lets the workspace learn what the visitors of these tests ask.
func teach(t *testing.T, a *api) {
	t.Helper()
	src := a.want(t, 201, "POST", "/v1/sources", object{"type": "text", "title": "Delivery and returns", "text": deliveryText}).text("id")
	eventually(t, time.Minute, "the text is learnt", func() bool {
		return a.want(t, 200, "GET", "/v1/sources/"+src, nil).text("status") == "ready"
	})
}

const deliveryText = "# Delivery\n\nWe deliver within three working days. Delivery to an island takes five working days.\n\n" +
	"# Returns\n\nYou can return a lamp within 30 days of delivery. The return label is in the box."

// query reads one value as the database's owner.
func (in *installation) query(t *testing.T, sql string, args ...any) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), in.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func run(t *testing.T, at, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// located changes database and user of a connection URL, where they are given.
func located(server, database string, who *url.Userinfo) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // pgserver made it
	}
	if database != "" {
		u.Path = "/" + database
	}
	if who != nil {
		u.User = who
	}
	return u.String()
}
