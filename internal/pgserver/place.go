package pgserver

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A place is where the server's files are and as whom it runs.
type place struct {
	dir  string              // data folder
	bin  string              // programs
	cred *syscall.Credential // nil: as ourselves
}

func (p place) cluster() string { return filepath.Join(p.dir, "cluster") }

// Where data and programs go that an unprivileged Postgres can't reach where
// they were wanted, in this order.
var fallbacks = []string{"/var/lib/relaydesk", filepath.Join(os.TempDir(), "relaydesk-root")}

// settle makes the data folder. As root it picks the user to run as, and moves
// out of folders that this user can't enter; it says so on progress.
func settle(dataDir, binDir string, progress io.Writer) (place, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return place{}, err
	}
	bin, err := filepath.Abs(binDir)
	if err != nil {
		return place{}, err
	}
	p := place{dir: dir, bin: bin}
	if _, err := os.Stat(filepath.Join(bin, "postgres")); err != nil {
		return place{}, fmt.Errorf("no Postgres programs: %w", err)
	}
	if os.Geteuid() != 0 {
		return p, p.checkOwner()
	}
	if p.cred, err = unprivileged(); err != nil {
		return place{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return place{}, err
	}
	if blocked := p.blockedAt(dir); blocked != "" {
		if p.dir, err = p.elsewhere("data", dir); err != nil {
			return place{}, err
		}
		fmt.Fprintf(progress, "Postgres can't run as root, and user %d can't enter %s: its data is in %s\n", p.cred.Uid, blocked, p.dir)
	}
	if blocked := p.blockedAt(bin); blocked != "" {
		if p.bin, err = p.copyPrograms(); err != nil {
			return place{}, err
		}
		fmt.Fprintf(progress, "Postgres can't run as root, and user %d can't enter %s: its programs are in %s\n", p.cred.Uid, blocked, p.bin)
	}
	return p, p.adopt()
}

// checkOwner makes the data folder and explains the one mistake that is easy to make.
func (p place) checkOwner() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	info, err := os.Stat(p.cluster())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; int(uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, who started it before: start as that user (or as root), or choose another data folder", p.cluster(), uid)
	}
	return nil
}

// adopt lets root run a cluster as the user whose it already is, so that
// starting once with sudo doesn't take a developer's data away.
func (p place) adopt() error {
	info, err := os.Stat(p.cluster())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 0 {
		p.cred.Uid, p.cred.Gid = owner.Uid, owner.Gid
	}
	return nil
}

func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseInt(u.Uid, 10, 64)
		gid, err2 := strconv.ParseInt(u.Gid, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil // #nosec G115 -- ids have 32 bits
	}
	return nil, errors.New("postgres can't run as root, and there is neither a user postgres nor nobody")
}

// blockedAt returns the first folder on the way to dir that the user we run
// Postgres as may not enter, or nothing.
func (p place) blockedAt(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return at
		}
		owner, bit := info.Sys().(*syscall.Stat_t), fs.FileMode(0o001)
		switch {
		case owner.Uid == p.cred.Uid:
			bit = 0o100
		case owner.Gid == p.cred.Gid:
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return at
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// elsewhere makes a folder that everybody can enter. Its name depends on the
// path it stands for, so that the next start finds it again.
func (p place) elsewhere(kind, instead string) (string, error) {
	sum := sha256.Sum256([]byte(instead))
	var failed error
	for _, base := range fallbacks {
		dir := filepath.Join(base, kind+"-"+hex.EncodeToString(sum[:6]))
		err := func() error {
			for _, d := range []string{base, dir} {
				if err := os.Mkdir(d, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
					return err
				}
				// In a folder where others may write, somebody could have put a link there.
				info, err := os.Lstat(d)
				if err != nil {
					return err
				}
				if !info.IsDir() || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
					return fmt.Errorf("%s is not a folder of ours", d)
				}
				if err := os.Chmod(d, 0o755); err != nil { // whatever the umask is
					return err
				}
			}
			if blocked := p.blockedAt(dir); blocked != "" {
				return fmt.Errorf("user %d can't enter %s", p.cred.Uid, blocked)
			}
			return nil
		}()
		if err == nil {
			return dir, nil
		}
		failed = errors.Join(failed, err)
	}
	return "", fmt.Errorf("no folder for Postgres as an unprivileged user in place of %s: %w", instead, failed)
}

// copyPrograms copies the installation that bin belongs to. What is copied is
// bin's parent (lib and share lie beside bin) and, where there is one, the
// folder of shared libraries of the wheel, two levels further up.
func (p place) copyPrograms() (string, error) {
	home, err := p.elsewhere("programs", p.bin)
	if err != nil {
		return "", err
	}
	install := filepath.Dir(p.bin)
	wheel := filepath.Dir(filepath.Dir(install))
	parts := []string{install}
	libs, err := filepath.Glob(filepath.Join(wheel, "*.libs"))
	if err != nil {
		return "", err
	}
	parts = append(parts, libs...)
	tree := filepath.Join(home, "tree")
	inTree := func(path string) (string, error) {
		rel, err := filepath.Rel(wheel, path)
		return filepath.Join(tree, rel), err
	}
	bin, err := inTree(p.bin)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(bin, "postgres")); err == nil {
		return bin, nil
	}
	work, err := os.MkdirTemp(home, "incomplete-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil {
		return "", err
	}
	for _, part := range parts {
		rel, err := filepath.Rel(wheel, part)
		if err != nil {
			return "", err
		}
		to := filepath.Join(work, rel)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return "", err
		}
		if err := os.CopyFS(to, os.DirFS(part)); err != nil {
			return "", fmt.Errorf("copy %s: %w", part, err)
		}
	}
	// CopyFS takes modes through the umask; and another process may have been faster.
	err = filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if d.IsDir() || filepath.Base(filepath.Dir(path)) == "bin" {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		return "", err
	}
	if err := os.Rename(work, tree); err != nil {
		if _, there := os.Stat(filepath.Join(bin, "postgres")); there != nil {
			return "", err
		}
	}
	return bin, nil
}

// secret reads the superuser's password, or makes one. There is a password,
// though only 127.0.0.1 is listened on, because a superuser of Postgres can run
// programs as the user that Postgres runs as, and a machine may have other users.
func (p place) secret() (string, error) {
	path := filepath.Join(p.dir, "password")
	b, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(b))) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if _, err := os.Stat(p.cluster()); err == nil {
		return "", fmt.Errorf("%s is gone, but %s was made with it: put it back, or remove both", path, p.cluster())
	}
	password := rand.Text()
	if err := os.WriteFile(path+".new", []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	return password, os.Rename(path+".new", path)
}
