package artifacts

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// No file of ours is larger; a broken index must not fill the disk.
const maxFile = 256 << 20

// unzip extracts the wanted files below to, readable by everybody (Postgres
// runs as another user where we are root) and synced to disk. It refuses names
// that lead out of the folder and anything that is not a plain file.
func unzip(archive, to string, wants func(name string) bool) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer z.Close()
	if err := makeDir(to, "."); err != nil {
		return err
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() || !wants(f.Name) {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) || path.Clean(f.Name) != f.Name || !f.Mode().IsRegular() {
			return fmt.Errorf("the archive has an entry %q (%s) that does not belong there", f.Name, f.Mode())
		}
		if err := makeDir(to, path.Dir(f.Name)); err != nil {
			return err
		}
		if err := extract(f, filepath.Join(to, filepath.FromSlash(f.Name))); err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
	}
	return nil
}

// makeDir makes to/name. It sets each mode itself, whatever the umask is.
func makeDir(to, name string) error {
	if name != "." {
		if err := makeDir(to, path.Dir(name)); err != nil {
			return err
		}
	}
	dir := filepath.Join(to, filepath.FromSlash(name))
	if err := os.Mkdir(dir, 0o755); os.IsExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

func extract(f *zip.File, to string) error {
	// Wheels do not always keep the run bits, so whatever lies in a bin folder gets them.
	mode := os.FileMode(0o644)
	if f.Mode()&0o111 != 0 || path.Base(path.Dir(f.Name)) == "bin" {
		mode = 0o755
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	n, err := io.Copy(out, io.LimitReader(in, maxFile+1))
	if err != nil {
		return err
	}
	if n > maxFile {
		return fmt.Errorf("more than %d bytes", maxFile)
	}
	if err := out.Chmod(mode); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return out.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
