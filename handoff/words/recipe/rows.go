// Package recipe trains the weights of package words, and trains them again
// with a source left out, so that they can be measured on what they have never
// seen.
//
// What it learns from are sentences written for this project (the folder
// sentences) and the rows of a data folder whose licence allows it. Texts of
// others do not enter the repository: only the weights do.
package recipe

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/relaydesk/relaydesk/handoff/words/sentences"
)

// A Row is one sentence of a visitor and what it is.
type Row struct {
	Text    string `json:"text"`
	Label   string `json:"label"` // asks_human, sensitive, plain, oos, contact_info
	Topic   string `json:"topic"`
	Lang    string `json:"lang"`
	Hard    bool   `json:"hard"` // looks like the real thing and is not
	Source  string `json:"source"`
	Licence string `json:"licence"`
}

// Asks tells whether the visitor asks for a person.
func (r *Row) Asks() bool { return r.Label == "asks_human" }

// Ordinary tells whether the row is nothing special: neither asks for a person
// nor touches a sensitive topic.
func (r *Row) Ordinary() bool { return r.Label == "plain" || r.Label == "oos" }

// Family groups sources that are parts of one collection: leaving one out
// means leaving out all of them.
func (r *Row) Family() string {
	for _, family := range []string{"multidogo", "nlupp", "own"} {
		if strings.HasPrefix(r.Source, family) {
			return family
		}
	}
	return r.Source
}

// Trainable tells whether the row's licence lets us learn from it.
func (r *Row) Trainable() bool {
	switch l := r.Licence; l {
	case "own", "MIT", "Apache-2.0":
		return true
	default:
		version, ok := strings.CutPrefix(l, "CC-BY-") // not -SA, -NC, -ND
		return ok && version != "" && version[0] >= '0' && version[0] <= '9' || strings.HasPrefix(l, "CDLA-")
	}
}

// Own gives the sentences of this project. Each language is a source.
func Own() ([]Row, error) { return ownRows(sentences.Files) }

func ownRows(files embed.FS) ([]Row, error) {
	names, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list own sentences: %w", err)
	}
	var rows []Row
	for _, name := range names {
		data, err := files.ReadFile(name.Name())
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name.Name(), err)
		}
		more, err := parse(name.Name(), data)
		if err != nil {
			return nil, err
		}
		for i := range more {
			more[i].Source, more[i].Licence = "own-"+more[i].Lang, "own"
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// Read gives the rows of a data folder, those that may not be learnt from too.
func Read(dir string) ([]Row, error) {
	path := filepath.Join(dir, "dev", "handoff_utterances.jsonl")
	data, err := os.ReadFile(path) //nolint:gosec // the folder is the caller's choice
	if err != nil {
		return nil, fmt.Errorf("read utterances: %w", err)
	}
	return parse(path, data)
}

func parse(name string, data []byte) ([]Row, error) {
	var rows []Row
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var row Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", name, n, err)
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return rows, nil
}
