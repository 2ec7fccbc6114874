package e2e

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ready is the line that dev prints.
type ready struct {
	Ready       bool   `json:"ready"`
	URL         string `json:"url"`
	APIKey      string `json:"api_key"`
	AgencyID    string `json:"agency_id"`
	WorkspaceID string `json:"workspace_id"`
	MemberID    string `json:"member_id"`
}

// dev runs the dev command until its line is there.
func dev(t *testing.T, dir, port string, l launch) (*process, ready) {
	t.Helper()
	l.args, l.env = []string{"dev"}, []string{"RELAYDESK_DATA_DIR=" + dir, "RELAYDESK_LISTEN=127.0.0.1:" + port}
	p := start(t, l)
	began := time.Now()
	p.await(90*time.Second, func() bool { return strings.Contains(p.out.String(), "\n") })
	t.Logf("dev was ready after %.1f s", time.Since(began).Seconds())
	return p, p.line(t)
}

// line reads the only line of standard output.
func (p *process) line(t *testing.T) (r ready) {
	t.Helper()
	read := json.NewDecoder(strings.NewReader(p.out.String()))
	read.DisallowUnknownFields()
	if err := read.Decode(&r); err != nil || strings.Count(p.out.String(), "\n") != 1 {
		t.Fatalf("dev printed %q: %v", p.out.String(), err)
	}
	return r
}

func (r ready) api() *api {
	return (&installation{key: r.APIKey}).api(r.URL)
}

// refused runs a command that must fail, and gives what it said.
func refused(t *testing.T, l launch) string {
	t.Helper()
	p := start(t, l)
	if code := p.ended(time.Minute); code != 1 {
		t.Fatalf("%s ended with %d: %s", p.name, code, p.log.String())
	}
	if p.out.String() != "" {
		t.Errorf("%s printed %q", p.name, p.out.String())
	}
	return p.log.String()
}

func says(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("it does not say %q: %s", w, text)
		}
	}
}

func TestDevPrintsOneLineAndCtrlCEndsAllOfIt(t *testing.T) {
	t.Parallel()
	dir, port := folder(t, true), freePort(t)
	p, line := dev(t, dir, port, launch{})
	if !line.Ready || line.URL != "http://127.0.0.1:"+port || !strings.HasPrefix(line.APIKey, "rd_sk_test_") {
		t.Errorf("the line says %+v", line)
	}
	a := line.api()
	if got := a.want(t, 200, "GET", "/v1/agency", nil).text("id"); got != line.AgencyID {
		t.Errorf("the agency is %s, not %s", got, line.AgencyID)
	}
	a.want(t, 200, "GET", "/v1/workspaces/"+line.WorkspaceID, nil)
	a.want(t, 200, "GET", "/v1/members/"+line.MemberID, nil)
	a.workspace = line.WorkspaceID
	eventually(t, 2*time.Minute, "the guide is learnt", func() bool {
		return a.want(t, 200, "GET", "/v1/sources", nil).text("data.0.status") == "ready"
	})

	same := []string{"RELAYDESK_DATA_DIR=" + dir, "RELAYDESK_LISTEN=127.0.0.1:" + port}
	says(t, refused(t, launch{args: []string{"dev"}, env: same}), "a Relaydesk runs on 127.0.0.1:"+port+" already", "RELAYDESK_LISTEN")
	elsewhere := []string{"RELAYDESK_DATA_DIR=" + dir, "RELAYDESK_LISTEN=127.0.0.1:" + freePort(t)}
	says(t, refused(t, launch{args: []string{"dev"}, env: elsewhere}), "data folder", "already", "RELAYDESK_DATA_DIR")

	all := family(t, p.cmd.Process.Pid, dir)
	if len(all) < 4 {
		t.Errorf("only %v are seen", all)
	}
	began := time.Now()
	p.interrupt()
	if code := p.ended(30 * time.Second); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	gone(t, 5*time.Second, all)
	t.Logf("Ctrl-C took %.1f s", time.Since(began).Seconds())
	p.line(t) // still one line
}

func TestAKilledDevLeavesNothingRunningAndStartsAgainOffline(t *testing.T) {
	t.Parallel()
	dir, port := folder(t, true), freePort(t)
	p, line := dev(t, dir, port, launch{})
	a := line.api()
	a.workspace = line.WorkspaceID
	made := a.want(t, 201, "POST", "/v1/contacts", object{"name": "Kept"})
	all := family(t, p.cmd.Process.Pid, dir)
	began := time.Now()
	p.kill()
	gone(t, 15*time.Second, all)
	t.Logf("nothing ran %.1f s after the kill", time.Since(began).Seconds())

	// Without Python, pip or anything else in PATH, as on a machine without a network.
	p, again := dev(t, dir, port, launch{path: folder(t, false)})
	if again != line {
		t.Errorf("the second start says %+v, the first %+v", again, line)
	}
	if got := a.want(t, 200, "GET", "/v1/contacts/"+made.text("id"), nil).text("name"); got != "Kept" {
		t.Errorf("the contact is called %q", got)
	}
	p.interrupt()
	if code := p.ended(30 * time.Second); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

func TestDevOnTheAddressOfAStrangerSaysWhatToDo(t *testing.T) {
	t.Parallel()
	stranger, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	address := stranger.Addr().String()
	said := refused(t, launch{args: []string{"dev"}, env: []string{"RELAYDESK_DATA_DIR=" + folder(t, true), "RELAYDESK_LISTEN=" + address}})
	says(t, said, "another program uses "+address, "RELAYDESK_LISTEN")
}

func TestDevWithoutPythonOrPipSaysWhatToDo(t *testing.T) {
	t.Parallel()
	tools := folder(t, false)
	env := func() []string {
		return []string{"RELAYDESK_DATA_DIR=" + folder(t, false), "RELAYDESK_LISTEN=127.0.0.1:" + freePort(t)}
	}
	says(t, refused(t, launch{args: []string{"dev"}, env: env(), path: tools}), "python3 is not installed", "apt install", "RELAYDESK_DATABASE_URL")
	script := "#!/bin/sh\necho \"$0: No module named pip\" >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(tools, "python3"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	says(t, refused(t, launch{args: []string{"dev"}, env: env(), path: tools}), "has no pip", "apt install python3-pip", "ensurepip")
}

// As root this test starts the program as nobody; else everything here proves it.
func TestDevNeedsNoRoot(t *testing.T) {
	t.Parallel()
	dir := folder(t, true)
	var as *syscall.Credential
	if os.Geteuid() == 0 {
		as = &syscall.Credential{Uid: 65534, Gid: 65534}
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	p, line := dev(t, dir, freePort(t), launch{as: as})
	line.api().want(t, 200, "GET", "/v1/agency", nil)
	all := family(t, p.cmd.Process.Pid, dir)
	p.interrupt()
	if code := p.ended(30 * time.Second); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	gone(t, 5*time.Second, all)
}

func TestServeRefusesADatabaseThatIsNotMigrated(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.server = located(in.server, "postgres", nil)
	said := refused(t, launch{args: []string{"serve"}, env: in.env("RELAYDESK_DATA_DIR=" + folder(t, true))})
	says(t, said, "migrate")
	if strings.Contains(said, password) {
		t.Error("it tells the password")
	}
}
