package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
)

// Where a child process, which is this test binary again, finds its orders.
const (
	childData = "PGSERVER_TEST_DATA"
	childBin  = "PGSERVER_TEST_BIN"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childData); dir != "" && os.Getenv("PGSERVER_TEST_SERVE") != "" {
		serve(dir, os.Getenv(childBin))
	}
	os.Exit(m.Run())
}

// serve is the child that gets killed: it starts a server, says so and stays.
func serve(dir, bin string) {
	s, err := Start(context.Background(), Options{DataDir: dir, BinDir: bin, Settings: quick, Progress: os.Stderr})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	select {}
}

var quick = map[string]string{"fsync": "off", "shared_buffers": "16MB"}

// folder is a temporary folder that other users can enter, unlike t.TempDir.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgserver") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func programs(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv(childBin); bin != "" {
		return bin
	}
	return artifactstest.Postgres(t)
}

func startServer(t *testing.T, dir string) *Server {
	t.Helper()
	var log bytes.Buffer
	s, err := Start(t.Context(), Options{DataDir: dir, BinDir: programs(t), Settings: quick, Log: &log, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop(t, s)
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// leave runs SQL on a connection of its own.
func leave(t *testing.T, url, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

const keep = "create table kept as select 'still here' as it"

// ask runs a query on a connection of its own and gives its only value.
func ask(t *testing.T, url, sql string) (value string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	if err := c.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if poll(ctx, done) != nil {
		t.Fatalf("waited in vain until %s", what)
	}
}

func TestDataIsKeptBetweenStartsAndASecondStartIsRefused(t *testing.T) {
	dir := folder(t)
	began := time.Now()
	s := startServer(t, dir)
	t.Logf("first start: %v", time.Since(began))
	if s.DataDir() != dir {
		t.Errorf("the data is in %s", s.DataDir())
	}
	leave(t, s.URL(), keep)
	leave(t, s.URL(), "create extension vector")
	if got := ask(t, s.URL(), "select ('[3,4]'::vector <-> '[0,0]')::text"); got != "5" {
		t.Errorf("pgvector says %s", got)
	}
	if got := ask(t, s.URL(), "select current_setting('fsync') || lower('ÄÉ') || ('a' < 'B')"); got != "offäéfalse" {
		t.Errorf("settings, letters and order: %s", got)
	}

	_, err := Start(t.Context(), Options{DataDir: dir, BinDir: programs(t)})
	var running *RunningError
	if !errors.Is(err, ErrRunning) || !errors.As(err, &running) || running.PID != os.Getpid() {
		t.Errorf("second start: %v", err)
	}

	url := s.URL()
	stop(t, s)
	stop(t, s) // harmless
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Error("it still answers")
	}
	select {
	case <-s.Done():
	default:
		t.Error("not done")
	}

	began = time.Now()
	s = startServer(t, dir)
	t.Logf("second start: %v", time.Since(began))
	if got := ask(t, s.URL(), "select it from kept"); got != "still here" {
		t.Errorf("kept: %q", got)
	}
}

func TestOnlyThePasswordOpensItAndOnlyTheLoopbackHasIt(t *testing.T) {
	s := startServer(t, folder(t))
	wrong := strings.Replace(s.URL(), s.password, "guess", 1)
	if c, err := pgx.Connect(t.Context(), wrong); err == nil {
		c.Close(t.Context())
		t.Error("a guessed password was taken")
	}
	info, err := os.Stat(filepath.Join(s.DataDir(), "password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v %v", info.Mode(), err)
	}
	if got := ask(t, s.URL(), "select current_setting('listen_addresses') || current_setting('unix_socket_directories')"); got != "127.0.0.1" {
		t.Errorf("it listens on %s", got)
	}
	if n, err := filepath.Glob(filepath.Join(s.DataDir(), "*.initdb")); err != nil || len(n) != 0 {
		t.Errorf("left behind: %v %v", n, err)
	}
}

func TestAWrongStartSaysWhy(t *testing.T) {
	dir := folder(t)
	bin := programs(t)
	for name, o := range map[string]Options{
		"no programs":     {DataDir: dir, BinDir: filepath.Join(dir, "none")},
		"reserved":        {DataDir: dir, BinDir: bin, Settings: map[string]string{"listen_addresses": "*"}},
		"not a name":      {DataDir: dir, BinDir: bin, Settings: map[string]string{"fsync=off -c x": "y"}},
		"unknown setting": {DataDir: dir, BinDir: bin, Settings: map[string]string{"fsync": "off", "no_such_thing": "1"}},
	} {
		s, err := Start(t.Context(), o)
		if err == nil {
			stop(t, s)
			t.Errorf("%s: started", name)
		}
		t.Log(err)
	}
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = Start(t.Context(), Options{DataDir: dir, BinDir: bin, Settings: quick, Port: taken.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("on a taken port: %v", err)
	}
	startServer(t, dir) // after all these failures the folder is free
}

// keeper starts this binary as a child that runs a server in dir.
func keeper(t *testing.T, dir string) (child *exec.Cmd, url string) {
	t.Helper()
	child = exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childData+"="+dir, childBin+"="+programs(t), "PGSERVER_TEST_SERVE=1")
	child.Stderr = t.Output()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 500)
	n, err := out.Read(line)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	url = strings.TrimSpace(string(line[:n]))
	if !strings.HasPrefix(url, "postgres://") {
		t.Fatalf("the child said %q", url)
	}
	return child, url
}

func TestPostgresEndsWhenItsKeeperIsKilled(t *testing.T) {
	dir := folder(t)
	child, url := keeper(t, dir)
	p := place{dir: dir}
	pid := p.postmaster()
	if !p.serves(pid) {
		t.Fatalf("process %d does not serve %s", pid, dir)
	}
	leave(t, url, keep)
	_, err := Start(t.Context(), Options{DataDir: dir, BinDir: programs(t)})
	var running *RunningError
	if !errors.As(err, &running) || running.PID != child.Process.Pid {
		t.Errorf("beside a living keeper: %v", err)
	}
	began := time.Now()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	wait(t, "Postgres has ended", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH || !p.serves(pid) })
	wait(t, "nothing of it runs", func() bool { return len(processes(t, dir)) == 0 })
	t.Logf("gone after %v", time.Since(began))
	if got := ask(t, startServer(t, dir).URL(), "select it from kept"); got != "still here" {
		t.Errorf("kept: %q", got)
	}
}

// processes lists what has the data folder in its command line.
func processes(t *testing.T, dir string) (pids []int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-A", "-ww", "-o", "pid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) {
			pid, err := strconv.Atoi(strings.Fields(line)[0])
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestAnOrphanIsStoppedBeforeStartingAgain(t *testing.T) {
	dir := folder(t)
	child, url := keeper(t, dir)
	p := place{dir: dir}
	pid := p.postmaster()
	leave(t, url, keep)
	for _, other := range processes(t, dir) { // the watcher, lest it does its work
		if other != pid {
			if err := syscall.Kill(other, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if err := pause(t.Context(), 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if !p.serves(pid) {
		t.Fatal("there is no orphan")
	}
	s := startServer(t, dir)
	if p.serves(pid) {
		t.Error("the orphan runs on")
	}
	if got := ask(t, s.URL(), "select it from kept"); got != "still here" {
		t.Errorf("kept: %q", got)
	}
}

func TestAStalePidFileDoesNotHurtWhoeverHasThePidNow(t *testing.T) {
	dir := folder(t)
	s := startServer(t, dir)
	stop(t, s)
	// Of the same user: another's pid does not confuse Postgres.
	bystander := exec.CommandContext(t.Context(), "sleep", "60")
	if os.Geteuid() == 0 {
		cred, err := unprivileged()
		if err != nil {
			t.Fatal(err)
		}
		bystander.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	}
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = bystander.Process.Kill()
		if err := bystander.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the bystander ended: %v", err)
		}
	}()
	stale := fmt.Sprintf("%d\n%s\n0\n5432\n\n127.0.0.1\n\nready\n", bystander.Process.Pid, filepath.Join(dir, "cluster"))
	if err := os.WriteFile(filepath.Join(dir, "cluster", "postmaster.pid"), []byte(stale), 0o644); err != nil {
		t.Fatal(err)
	}
	startServer(t, dir)
}

func TestPostgresCrashingIsSeen(t *testing.T) {
	s := startServer(t, folder(t))
	if err := syscall.Kill(s.process.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	case <-time.After(10 * time.Second):
		t.Error("nobody noticed")
	}
	stop(t, s)
	startServer(t, s.DataDir()) // its children may have to end first
}
