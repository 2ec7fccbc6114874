// Package pgserver runs a Postgres of our own for development and tests, from
// the programs that internal/artifacts downloads.
//
// A data folder holds four things:
//
//	lock          held (flock) while a process of ours runs the server; has its pid
//	password      of the superuser, readable by us alone
//	cluster       Postgres' own folder, owned by the user that Postgres runs as
//	cluster.new-* a cluster that is being made; it is renamed when complete
//
// Postgres refuses to run as root. Where we are root it runs as "postgres" or,
// where there is no such user, "nobody", and what that user can't reach (a
// repository below /root) is kept elsewhere, see place.go.
//
// The server must not outlive us, however we end. It is started by a shell that
// leaves a watcher behind and then becomes Postgres; the watcher reads a pipe
// of which we hold the other end, and sends Postgres a fast shutdown when the
// kernel closes it (start.go). That works on every Unix and for every way to
// die, and needs no thread to be kept. Should the watcher be killed as well,
// the next Start finds the orphan by its pid file and stops it.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Options say what to run.
type Options struct {
	DataDir  string            // where everything is kept; made if it is missing
	BinDir   string            // Postgres' programs, from artifacts.Postgres
	Port     int               // on 127.0.0.1; 0 takes a free one
	Log      io.Writer         // what Postgres prints; nil drops it
	Settings map[string]string // of postgresql.conf, such as fsync=off in tests
	Progress io.Writer         // what takes long or is worth knowing; nil drops it
}

// ErrRunning is what Start's error is (errors.Is) when another process runs the
// server of that data folder. errors.As with a *RunningError gives its pid.
var ErrRunning = errors.New("the data folder's Postgres is already running")

// RunningError names the process that runs the server of a data folder.
type RunningError struct {
	DataDir string
	PID     int // of the process that called Start, 0 if it could not be read
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("the Postgres of %s is already run by process %d", e.DataDir, e.PID)
}

// Is makes errors.Is(err, ErrRunning) hold.
func (e *RunningError) Is(target error) bool { return target == ErrRunning }

// Server is a running Postgres.
type Server struct {
	dir      string
	port     int
	password string
	process  *process
	lock     *os.File
	stopping sync.Mutex
}

// Start starts the server and returns when it takes connections. The first
// start in a data folder makes the cluster, which takes a few seconds. ctx
// bounds starting, not running.
//
// A server that a killed process left behind in the data folder is stopped
// first. If a process that lives runs it, the error is ErrRunning.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	s, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, o Options) (_ *Server, err error) {
	if err := checkSettings(o.Settings); err != nil {
		return nil, err
	}
	p, err := settle(o.DataDir, o.BinDir, o.Progress)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: p.dir}
	if s.lock, err = takeLock(p.dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.lock.Close()
		}
	}()
	if s.password, err = p.secret(); err != nil {
		return nil, err
	}
	if err := p.stopLeftover(ctx, o.Progress); err != nil {
		return nil, err
	}
	if err := p.makeCluster(ctx, s.password, o); err != nil {
		return nil, err
	}
	if s.process, s.port, err = p.run(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

// URL is the superuser's connection URL, for the database postgres.
func (s *Server) URL() string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, s.password),
		Host: "127.0.0.1:" + strconv.Itoa(s.port), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port is the TCP port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// DataDir is where the data really is: as root, perhaps not where Options said.
func (s *Server) DataDir() string { return s.dir }

// Done is closed when Postgres has ended, by Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Stop shuts the server down: it ends all sessions and writes a checkpoint.
// When ctx ends first, Postgres is told to drop everything; it recovers from
// its log on the next start. Stopping twice is harmless.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Lock()
	defer s.stopping.Unlock()
	err := s.process.stop(ctx)
	s.lock.Close() // closing again is harmless
	if err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	return nil
}

var settingName = regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)?$`)

// checkSettings refuses settings that Start decides itself.
func checkSettings(settings map[string]string) error {
	for name := range settings {
		switch name {
		case "port", "listen_addresses", "unix_socket_directories", "data_directory", "hba_file", "logging_collector":
			return fmt.Errorf("setting %s can't be changed", name)
		}
		if !settingName.MatchString(name) {
			return fmt.Errorf("%q is no setting's name", name)
		}
	}
	return nil
}

// takeLock takes the data folder for this process. The kernel releases it when
// the process ends in whatever way.
func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		defer f.Close()
		return nil, &RunningError{DataDir: dir, PID: holder(f)}
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// holder reads the pid from the lock file. The holder writes it just after it
// has taken the lock, so an empty file is looked at again.
func holder(f *os.File) int {
	for range 20 {
		var b [20]byte
		n, _ := f.ReadAt(b[:], 0)
		if pid, err := strconv.Atoi(string(b[:n])); err == nil {
			return pid
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0
}
