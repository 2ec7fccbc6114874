package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/pgserver"
)

// shared is what the tests of a run have in common, made by the first that
// needs it.
var shared struct {
	sync.Mutex
	dir       string // everybody may enter it: Postgres is not run by root
	binary    string
	server    *pgserver.Server
	migrated  bool
	databases int
}

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait most of their time.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	if shared.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		_ = shared.server.Stop(ctx) // it ends with this process anyway
		cancel()
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// binary builds the program, once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.binary == "" {
		path := filepath.Join(place(t), "relaydesk")
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/relaydesk/relaydesk/cmd/relaydesk").CombinedOutput()
		if err != nil {
			t.Fatalf("build the program: %v\n%s", err, out)
		}
		shared.binary = path
	}
	return shared.binary
}

// place is the folder of the run, with the downloaded artifacts in it. The lock
// is held.
func place(t *testing.T) string {
	t.Helper()
	if shared.dir != "" {
		return shared.dir
	}
	dir, err := os.MkdirTemp("", "relaydesk-e2e-") //nolint:usetesting // one for all tests, which Postgres can enter
	if err == nil {
		shared.dir = dir
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	artifactstest.Weights(t)
	artifactstest.Postgres(t)
	duplicate(t, filepath.Join(artifactstest.Dir(t), "artifacts"), filepath.Join(dir, "artifacts"))
	return dir
}

// duplicate links or copies a tree, so that others can read it wherever the
// first one lies.
func duplicate(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.Mkdir(target, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		if os.Link(path, target) == nil {
			return nil
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(target, body, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// folder makes a data folder; with the artifacts unless a test wants none.
func folder(t *testing.T, withArtifacts bool) string {
	t.Helper()
	shared.Lock()
	run := place(t)
	shared.Unlock()
	dir, err := os.MkdirTemp(run, "data-") //nolint:usetesting // Postgres can enter it
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if withArtifacts {
		if err := os.Symlink(filepath.Join(run, "artifacts"), filepath.Join(dir, "artifacts")); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// output keeps what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is a running program of ours.
type process struct {
	t        *testing.T
	name     string
	cmd      *exec.Cmd
	out, log output
	done     chan struct{}
}

// launch says what to run.
type launch struct {
	args []string
	env  []string
	path string              // PATH; a usual one when empty
	as   *syscall.Credential // nil: as ourselves
}

// watched becomes the program ("$@"), having left somebody behind who kills it
// when this test process is gone, in whatever way.
const watched = `
exec 3<&0 </dev/null
( ( read -r _ <&3 || kill -KILL $$ ) >/dev/null 2>&1 & )
exec 3<&-
exec "$@"
`

// start runs the program. It is killed when the test ends; what it logged is
// shown if the test failed.
func start(t *testing.T, l launch) *process {
	t.Helper()
	return startProgram(t, binary(t), l)
}

func startProgram(t *testing.T, program string, l launch) *process {
	t.Helper()
	p := &process{t: t, name: strings.Join(l.args, " "), done: make(chan struct{})}
	if l.path == "" {
		l.path = os.Getenv("PATH")
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command("/bin/sh", slices.Concat([]string{"-c", watched, "relaydesk-e2e", program}, l.args)...)
	p.cmd.Dir = "/"
	p.cmd.Env = append([]string{"PATH=" + l.path, "HOME=/nonexistent", "TMPDIR=" + os.TempDir()}, l.env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs, &p.out, &p.log
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: l.as}
	err = p.cmd.Start()
	theirs.Close()
	if err != nil {
		ours.Close()
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		_, _ = ours.WriteString("ended\n") // so that nobody kills who has its number next
		ours.Close()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s (%d) logged:\n%s", p.name, p.cmd.Process.Pid, interesting(p.log.String()))
		}
	})
	return p
}

// interesting is the end of a log, without the requests that went well.
func interesting(log string) string {
	var kept []string
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "msg=request ") || strings.Contains(line, "status=5") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-40):], "")
}

// kill ends the process without giving it a chance.
func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// interrupt is what Ctrl-C in a terminal does: all of the group gets it.
func (p *process) interrupt() {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
}

// ended waits for the end and gives the exit code.
func (p *process) ended(atMost time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(atMost):
		p.t.Fatalf("%s did not end within %v", p.name, atMost)
		return -1
	}
}

// await polls until the process said something by which it is ready.
func (p *process) await(atMost time.Duration, said func() bool) {
	p.t.Helper()
	eventually(p.t, atMost, p.name+" is ready", func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("%s ended: %v\n%s", p.name, p.cmd.ProcessState, p.log.String())
		default:
		}
		return said()
	})
}

// family lists the process with all that descend from it, and whatever has the
// folder in its command line.
func family(t *testing.T, pid int, dir string) []int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-A", "-ww", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	members := map[int]bool{pid: true}
	for range 5 { // parents are not always listed before their children
		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			if len(words) < 3 {
				continue
			}
			id, err1 := strconv.Atoi(words[0])
			parent, err2 := strconv.Atoi(words[1])
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if members[parent] || dir != "" && strings.Contains(line, dir) {
				members[id] = true
			}
		}
	}
	var all []int
	for id := range members {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

// gone waits until none of the processes runs.
func gone(t *testing.T, atMost time.Duration, pids []int) {
	t.Helper()
	eventually(t, atMost, fmt.Sprintf("none of %v runs", pids), func() bool {
		return !slices.ContainsFunc(pids, runs)
	})
}

// runs tells whether a process runs; one that ended and that nobody waited for
// does not.
func runs(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return false
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

// eventually polls until the condition holds, and fails the test when it does
// not in time.
func eventually(t *testing.T, atMost time.Duration, what string, holds func() bool) {
	t.Helper()
	if !poll(t.Context(), atMost, holds) {
		t.Fatalf("not within %v: %s", atMost, what)
	}
}

func poll(ctx context.Context, atMost time.Duration, holds func() bool) bool {
	late := time.After(atMost)
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return false
		case <-late:
			return holds()
		case <-tick.C:
		}
	}
	return true
}
