// Package sentences holds sentences of visitors, written for this project, in
// the eight languages that the triggers on words are made for. The weights of
// the triggers are to be trained on them; nothing of them belongs into a binary.
package sentences

import "embed"

// Files are lists of JSON objects, one a line: text, label, lang, topic, hard.
//
//go:embed *.jsonl
var Files embed.FS
