package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/bench/internal/cost"
	"github.com/relaydesk/relaydesk/bench/internal/words"
	"github.com/relaydesk/relaydesk/internal/e5"
)

// embedTask is what both embedders are given.
type embedTask struct {
	Query, Passage string
	Milliseconds   int
}

// embedTook is the processor time of one text, in milliseconds.
type embedTook struct{ Query, Passage float64 }

const embedRounds = 5

// benchEmbed measures the processor time that the embedder takes for a question
// of 16 tokens and a passage of 149, on one core; with -prototype in turns with
// another package of the same interface.
func benchEmbed(ctx context.Context, w *world) error {
	weights, err := w.weights(ctx)
	if err != nil {
		return err
	}
	model, err := e5.Load(weights)
	if err != nil {
		return err
	}
	defer model.Close()
	// Tokens counts without the prefix and the two marks at the ends.
	task := embedTask{Query: ofTokens(model, 16-2-2), Passage: ofTokens(model, 149-2-3), Milliseconds: 700}
	var other string
	if w.settings.prototype != "" {
		if other, err = buildOther(ctx, w); err != nil {
			return err
		}
	}
	var queries, passages, queryRatios, passageRatios []float64
	for range embedRounds {
		ours := embedTook{spend(task, func() { model.Query(task.Query) }), spend(task, func() { model.Passage(task.Passage) })}
		queries, passages = append(queries, ours.Query), append(passages, ours.Passage)
		if other == "" {
			continue
		}
		theirs, err := askOther(ctx, other, weights, task)
		if err != nil {
			return err
		}
		queryRatios, passageRatios = append(queryRatios, ours.Query/theirs.Query), append(passageRatios, ours.Passage/theirs.Passage)
	}
	w.note("question of 16 tokens, CPU", median(queries), "ms")
	w.note("passage of 149 tokens, CPU", median(passages), "ms")
	if other != "" {
		w.atMost("question, times the prototype's CPU", median(queryRatios), "×", 1.2)
		w.atMost("passage, times the prototype's CPU", median(passageRatios), "×", 1.2)
	}
	return nil
}

// ofTokens writes a text of so many tokens.
func ofTokens(model *e5.Model, n int) string {
	writer, text := words.New(2, guideText()), ""
	for model.Tokens(text) < n {
		text = strings.TrimSpace(text + " " + strings.ToLower(strings.Trim(writer.Text(1), ". ")))
	}
	for model.Tokens(text) > n { // the last word brought several
		text = text[:len(text)-1]
	}
	return text
}

// spend does something over and over and tells what one time costs.
func spend(task embedTask, do func()) float64 {
	do()
	runtime.GC()
	began, before, n := time.Now(), cost.Own(), 0
	for time.Since(began) < time.Duration(task.Milliseconds)*time.Millisecond {
		do()
		n++
	}
	return float64((cost.Own() - before).Microseconds()) / 1000 / float64(n)
}

// otherMain runs the other package, which is named e5 and has Load of a file's
// bytes, Query and Passage.
const otherMain = `package main

import (
	"encoding/json"
	"os"
	"runtime"
	"syscall"
	"time"

	"e5"
)

func own() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func main() {
	var task struct {
		Query, Passage string
		Milliseconds   int
	}
	if err := json.NewDecoder(os.Stdin).Decode(&task); err != nil {
		panic(err)
	}
	image, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	model, err := e5.Load(image)
	if err != nil {
		panic(err)
	}
	spend := func(do func()) float64 {
		do()
		runtime.GC()
		began, before, n := time.Now(), own(), 0
		for time.Since(began) < time.Duration(task.Milliseconds)*time.Millisecond {
			do()
			n++
		}
		return float64((own() - before).Microseconds()) / 1000 / float64(n)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"Query":   spend(func() { model.Query(task.Query) }),
		"Passage": spend(func() { model.Passage(task.Passage) }),
	})
}
`

// buildOther builds the other package's program in a folder of its own.
func buildOther(ctx context.Context, w *world) (string, error) {
	dir := within(w.dir, "other")
	if err := os.MkdirAll(within(dir, "probe"), 0o755); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	files, err := filepath.Glob(within(w.settings.prototype, "*"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("there is no package in %s", w.settings.prototype)
	}
	for _, path := range files {
		switch name := filepath.Base(path); {
		case strings.HasSuffix(name, "_test.go"), !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".s") && !strings.HasPrefix(name, "go."):
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read the prototype: %w", err)
		}
		if err := os.WriteFile(within(dir, filepath.Base(path)), text, 0o600); err != nil {
			return "", fmt.Errorf("copy the prototype: %w", err)
		}
	}
	if err := os.WriteFile(within(dir, "probe", "main.go"), []byte(otherMain), 0o600); err != nil {
		return "", fmt.Errorf("write a program: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", "probe/probe", "./probe")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the prototype: %w\n%s", err, out)
	}
	return within(dir, "probe", "probe"), nil
}

func askOther(ctx context.Context, program, weights string, task embedTask) (took embedTook, err error) {
	in, err := json.Marshal(task)
	if err != nil {
		return took, err
	}
	c := exec.CommandContext(ctx, program, weights)
	c.Stdin, c.Stderr = bytes.NewReader(in), os.Stderr
	out, err := c.Output()
	if err != nil {
		return took, fmt.Errorf("run the prototype: %w", err)
	}
	return took, json.Unmarshal(out, &took)
}
