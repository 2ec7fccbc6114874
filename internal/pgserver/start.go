package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const superuser = "postgres"

// makeCluster runs initdb if there is no cluster yet.
func (p place) makeCluster(ctx context.Context, password string, o Options) error {
	if _, err := os.Stat(p.cluster()); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fmt.Fprintf(o.Progress, "making a Postgres cluster in %s\n", p.cluster())
	const pattern = "cluster.new-*"
	leftovers, err := filepath.Glob(filepath.Join(p.dir, pattern))
	if err != nil {
		return err
	}
	for _, dir := range leftovers {
		_ = os.RemoveAll(dir) // an initdb whose starter was killed may still write there for a second
	}
	fresh, err := os.MkdirTemp(p.dir, pattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	passwordFile := filepath.Join(p.dir, "password.initdb")
	defer os.Remove(passwordFile)
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return err
	}
	if p.cred != nil {
		for _, path := range []string{fresh, passwordFile} {
			if err := os.Chown(path, int(p.cred.Uid), int(p.cred.Gid)); err != nil {
				return err
			}
		}
	}
	// Texts compare by bytes, the same everywhere; letters are Unicode's, so
	// that full text search knows their cases.
	ctype := "C.UTF-8"
	if runtime.GOOS == "darwin" {
		ctype = "UTF-8"
	}
	args := []string{
		"-D", fresh, "-U", superuser, "--pwfile=" + passwordFile, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--lc-ctype=" + ctype,
	}
	if o.Settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "initdb"), args...)
	p.prepare(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out)), ctx.Err())
	}
	return os.Rename(fresh, p.cluster())
}

// prepare sets user, folder and environment of a program of Postgres. It gets
// a process group of its own: a terminal's Ctrl-C must reach us only, so that
// we stop it in our order.
func (p place) prepare(cmd *exec.Cmd) {
	cmd.Dir = "/" // one that the user can enter
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.cred}
	cmd.WaitDelay = time.Second
}

// stopLeftover stops a Postgres that runs on the cluster though we have the
// lock: its keeper, and the watcher, were killed. Or it is just on its way down.
func (p place) stopLeftover(ctx context.Context, progress io.Writer) error {
	pid := p.postmaster()
	if pid == 0 {
		return nil
	}
	if !p.serves(pid) {
		return p.disown(pid)
	}
	fmt.Fprintf(progress, "stopping Postgres process %d, left by a process that was killed\n", pid)
	for _, attempt := range []struct {
		signal syscall.Signal // fast, then immediate shutdown; never SIGKILL, which leaves its children
		wait   time.Duration
	}{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 10 * time.Second}} {
		if err := syscall.Kill(pid, attempt.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop Postgres process %d: %w", pid, err)
		}
		limit, cancel := context.WithTimeout(ctx, attempt.wait)
		err := poll(limit, func() bool { return !p.serves(pid) })
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("process %d serves %s and does not stop", pid, p.cluster())
}

// disown deals with a pid file whose number belongs to a stranger by now, as
// happens after a restart of the machine or a container. Postgres would take the
// stranger for itself and refuse to start. It ignores its parent's pid, ours,
// and then still looks for children of its former self that use the cluster;
// without the file it would not.
func (p place) disown(pid int) error {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return nil // nobody's: Postgres sees that itself
	}
	lines := p.pidFile()
	if len(lines) == 0 {
		return nil
	}
	lines[0] = strconv.Itoa(os.Getpid())
	// Written in place, so that it stays the property of Postgres' user.
	return os.WriteFile(filepath.Join(p.cluster(), "postmaster.pid"), []byte(strings.Join(lines, "\n")), 0o600)
}

// pidFile returns the lines of postmaster.pid: pid, folder, start, port, socket,
// address, shared memory, status.
func (p place) pidFile() []string {
	b, err := os.ReadFile(filepath.Join(p.cluster(), "postmaster.pid"))
	if err != nil {
		return nil
	}
	return strings.Split(string(b), "\n")
}

func (p place) postmaster() int {
	lines := p.pidFile()
	if len(lines) == 0 {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid < 2 {
		return 0
	}
	return pid
}

// serves says whether a process is a Postgres that was started on this
// cluster. A pid alone proves nothing: after a restart of the machine it may
// be anybody's.
func (p place) serves(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return false
	}
	var command string
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		command = strings.ReplaceAll(string(b), "\x00", " ")
	} else {
		out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output() //nolint:noctx // instant
		if err != nil {
			return false
		}
		command = string(out)
	}
	return strings.Contains(command, "postgres") && strings.Contains(command, " -D "+p.cluster()+" ")
}

// poll waits until done says so.
func poll(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// A process is a Postgres that we started, and the pipe its watcher reads.
type process struct {
	cmd  *exec.Cmd
	pipe *os.File
	tail *tail
	done chan struct{}
}

// watched becomes Postgres ("$@"), having left a watcher behind. The watcher's
// read ends either with a line, which we write when Postgres has ended, or
// with the end of the pipe, when we have. It is forked twice, so that it is no
// child of Postgres, which takes the death of an unknown child for a crash;
// and it keeps none of our pipes open.
const watched = `
exec 3<&0 </dev/null
( ( read -r _ <&3 || kill -INT $$ ) >/dev/null 2>&1 & )
exec 3<&-
exec "$@"
`

// run starts Postgres on the port asked for, or on a free one.
func (p place) run(ctx context.Context, o Options) (*process, int, error) {
	for attempt := 1; ; attempt++ {
		port, err := o.Port, error(nil)
		if port == 0 {
			if port, err = freePort(ctx); err != nil {
				return nil, 0, err
			}
		}
		proc, err := p.launch(port, o)
		if err != nil {
			return nil, 0, err
		}
		err = proc.ready(ctx, p)
		if err == nil {
			return proc, port, nil
		}
		proc.abort()
		said := proc.tail.String()
		// Somebody was faster at the free port; or the children of a killed
		// Postgres, which end by themselves, have not ended yet.
		again := o.Port == 0 && strings.Contains(said, "Address already in use") || strings.Contains(said, "still in use")
		if ctx.Err() != nil || !again || attempt == 20 {
			return nil, 0, fmt.Errorf("%w: %s", err, said)
		}
		if err := pause(ctx, 250*time.Millisecond); err != nil {
			return nil, 0, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (p place) launch(port int, o Options) (*process, error) {
	args := []string{
		"-c", watched, "relaydesk-postgres", filepath.Join(p.bin, "postgres"), "-D", p.cluster(),
		"-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(port), "-c", "unix_socket_directories=",
		"-c", "logging_collector=off", "-c", "log_destination=stderr",
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		args = append(args, "-c", name+"="+o.Settings[name])
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	proc := &process{pipe: ours, tail: &tail{to: o.Log}, done: make(chan struct{})}
	proc.cmd = exec.Command("/bin/sh", args...) //nolint:noctx // it runs until Stop
	p.prepare(proc.cmd)
	proc.cmd.Stdin, proc.cmd.Stdout, proc.cmd.Stderr = theirs, proc.tail, proc.tail
	err = proc.cmd.Start()
	theirs.Close()
	if err != nil {
		ours.Close()
		return nil, err
	}
	go func() {
		_ = proc.cmd.Wait()
		_, _ = ours.WriteString("ended\n") // so the watcher doesn't signal a pid that is free again
		ours.Close()
		close(proc.done)
	}()
	return proc, nil
}

// ready waits until the pid file says so. Postgres ends when it can't start.
func (proc *process) ready(ctx context.Context, p place) error {
	pid := strconv.Itoa(proc.cmd.Process.Pid)
	ended := false
	err := poll(ctx, func() bool {
		select {
		case <-proc.done:
			ended = true
			return true
		default:
		}
		lines := p.pidFile()
		return len(lines) > 7 && strings.TrimSpace(lines[0]) == pid && strings.TrimSpace(lines[7]) == "ready"
	})
	if ended {
		return fmt.Errorf("postgres ended: %s", proc.cmd.ProcessState)
	}
	return err
}

// stop asks for a fast shutdown, and when ctx ends for an immediate one.
func (proc *process) stop(ctx context.Context) error {
	select {
	case <-proc.done:
		return nil
	default:
	}
	_ = proc.cmd.Process.Signal(syscall.SIGINT) // fails only if it has ended
	select {
	case <-proc.done:
		return nil
	case <-ctx.Done():
		proc.abort()
		return ctx.Err()
	}
}

// abort ends Postgres at once. It answers an immediate shutdown within five
// seconds, the time it gives its children.
func (proc *process) abort() {
	_ = proc.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-proc.done:
		return
	case <-time.After(10 * time.Second):
	}
	_ = proc.cmd.Process.Kill() // its children see that and end
	<-proc.done
}

// tail hands on what Postgres prints and keeps the last of it for errors.
type tail struct {
	mu   sync.Mutex
	to   io.Writer
	last []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	if over := len(t.last) - 2000; over > 0 {
		t.last = slices.Delete(t.last, 0, over)
	}
	_, _ = t.to.Write(b) // a log that can't be written must not stop Postgres
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}
