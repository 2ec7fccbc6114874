// Command bench measures speed: what docs/performance.md reports.
//
//	go run ./bench [-only post,answer,embed,inbox,idle] [-json]
//
// It runs a Postgres of its own, as `relaydesk dev` does, in a temporary folder,
// builds the program and starts it as operators do (`relaydesk serve`), and
// talks to it over HTTP. What depends on the machine is measured as a ratio
// against a floor in the same run: a server that does the least that one could
// do, in this program's own binary. Rounds of both alternate, and medians are
// reported, so that a noisy neighbour meets both.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// settings are what a run can be told.
type settings struct {
	only      string
	json      bool
	dataDir   string
	prototype string
	profile   string
	contests  string
	rounds    int
	during    time.Duration
	clients   int
	scale     int // percent of the data and requests
}

// benches run in this order.
var benches = []struct {
	name string
	run  func(context.Context, *world) error
}{
	{"embed", benchEmbed},
	{"idle", benchIdle},
	{"post", benchPost},
	{"answer", benchAnswer},
	{"inbox", benchInbox},
}

// longest is when a run gives up, however slow the machine is.
const longest = 15 * time.Minute

func main() {
	var s settings
	var r role
	flag.StringVar(&s.only, "only", "", "measure only these, by commas: "+names())
	flag.BoolVar(&s.json, "json", false, "print JSON")
	flag.StringVar(&s.dataDir, "data", ".relaydesk", "the `folder` of downloaded Postgres and weights")
	flag.StringVar(&s.prototype, "prototype", "", "the `folder` of another e5 package to compare the embedder with")
	flag.StringVar(&s.contests, "contests", "floor,relaydesk", "which servers get messages (post); verb is conversations.Post without the API")
	flag.StringVar(&s.profile, "profile", "", "write a CPU profile of floor or verb, whichever is last in contests, to this `file` (post)")
	flag.IntVar(&s.rounds, "rounds", 8, "how often each is measured (post)")
	flag.DurationVar(&s.during, "during", 3*time.Second, "how long a round is (post)")
	flag.IntVar(&s.clients, "clients", 32, "clients at once (post)")
	flag.IntVar(&s.scale, "scale", 100, "percent of the data, for trying the bench itself; figures need 100")
	flag.StringVar(&r.name, "role", "", "used by bench itself")
	flag.StringVar(&r.listen, "listen", "", "used by bench itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := r.orRun(ctx, func() error { return run(ctx, s, os.Stdout, os.Stderr) })
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func names() string {
	all := make([]string, len(benches))
	for i, b := range benches {
		all[i] = b.name
	}
	return strings.Join(all, ", ")
}

func run(ctx context.Context, s settings, out, progress io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	var only []string
	if s.only != "" {
		only = strings.Split(s.only, ",")
	}
	for _, name := range only {
		if !strings.Contains(" "+names()+",", " "+name+",") {
			return fmt.Errorf("there is no bench %q; there are %s", name, names())
		}
	}
	w := &world{settings: s, progress: progress, began: time.Now()}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.folder(); err != nil {
		return err
	}
	if _, err := w.program(ctx); err != nil { // what doesn't build is not worth minutes of loading
		return err
	}
	for _, b := range benches {
		if only != nil && !slices.Contains(only, b.name) {
			continue
		}
		w.say("%s …", b.name)
		w.bench = b.name
		if err := b.run(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return w.report(out)
}

// Figure is one measured number.
type Figure struct {
	Bench  string  `json:"bench"`
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
	Met    *bool   `json:"met,omitempty"`
}

// note adds a figure without a target.
func (w *world) note(what string, value float64, unit string) {
	w.figures = append(w.figures, Figure{Bench: w.bench, What: what, Value: value, Unit: unit})
}

// atMost adds a figure that should not exceed its target, atLeast one that
// should reach it.
func (w *world) atMost(what string, value float64, unit string, target float64) {
	met := value <= target
	w.figures = append(w.figures, Figure{w.bench, what, value, unit, fmt.Sprintf("≤ %g", target), &met})
}

func (w *world) atLeast(what string, value float64, unit string, target float64) {
	met := value >= target
	w.figures = append(w.figures, Figure{w.bench, what, value, unit, fmt.Sprintf("≥ %g", target), &met})
}

// Report is all that a run measured, and on what.
type Report struct {
	At      time.Time `json:"at"`
	Machine string    `json:"machine"`
	Load    string    `json:"load"` // of the machine when the run began and ended
	Scale   int       `json:"scale"`
	Figures []Figure  `json:"figures"`
	Remarks []string  `json:"remarks"`
}

func (w *world) report(out io.Writer) error {
	r := Report{
		At: w.began.UTC(), Machine: machine(), Load: w.loads + " → " + loadAverage(), Scale: w.settings.scale,
		Figures: w.figures, Remarks: w.remarks,
	}
	if w.settings.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	fmt.Fprintf(out, "%s, %s\nload average (1 minute) %s\n\n", r.At.Format("2006-01-02 15:04 MST"), r.Machine, r.Load)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "bench\twhat\tmeasured\ttarget\t")
	last := ""
	for _, f := range r.Figures {
		name, met := f.Bench, ""
		if name == last {
			name = ""
		}
		last = f.Bench
		if f.Met != nil {
			met = map[bool]string{true: "met", false: "MISSED"}[*f.Met]
		}
		fmt.Fprintf(table, "%s\t%s\t%s %s\t%s\t%s\n", name, f.What, short(f.Value), f.Unit, f.Target, met)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	for _, text := range r.Remarks {
		fmt.Fprintln(out, "\n"+text)
	}
	return nil
}

// short writes three digits that count.
func short(v float64) string {
	switch {
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.Version())
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// temporary makes a folder that Postgres can reach when it runs as another user
// than we do.
func temporary() (string, error) {
	dir, err := os.MkdirTemp("", "relaydesk-bench-")
	if err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	return dir, os.Chmod(dir, 0o755)
}

func within(dir string, names ...string) string {
	return filepath.Join(append([]string{dir}, names...)...)
}
