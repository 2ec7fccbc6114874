package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// The verdicts of a check.
const (
	good = "ok"
	warn = "warn"
	fail = "FAIL"
)

// finding is what one check says.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

// doctor looks at an installation from where the server would run. It changes
// nothing, and tells no secret.
type doctor struct {
	cfg      config.Config
	db       *postgres.DB // nil: not reachable
	findings []finding
}

var errUnwell = errors.New("something is wrong; the lines with FAIL say what")

func doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "doctor", Short: "look whether this machine and the database are as the server needs them", Args: cobra.NoArgs,
		Long: "Run it with the server's environment, on the server's machine. It changes nothing.\n" +
			"Ends with 1 if a check failed. A warning says what will matter later, or what only you can judge.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{}
			d.examine(cmd.Context(), os.LookupEnv, os.Environ())
			return d.report(cmd.OutOrStdout(), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (d *doctor) say(check, result, advice, format string, args ...any) {
	if result == good {
		advice = ""
	}
	d.findings = append(d.findings, finding{check, result, fmt.Sprintf(format, args...), advice})
}

// examine makes all checks. Those that stand on another one that failed are
// left out: what they would say is only a consequence.
func (d *doctor) examine(ctx context.Context, lookup func(string) (string, bool), environment []string) {
	d.configuration(lookup, environment)
	if d.cfg.DatabaseURL.IsSet() && d.connect(ctx) {
		defer d.db.Close()
		for _, check := range []func(context.Context){d.login, d.walls, d.vector, d.schema, d.skew, d.key, d.backlog} {
			within(ctx, check)
		}
	}
	for _, check := range []func(context.Context){d.embedder, d.outbound, d.provider, d.disk} {
		within(ctx, check)
	}
}

// within bounds a check, so that something that hangs is found, too.
func within(ctx context.Context, check func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	check(ctx)
}

// configuration reads the variables; where they are wrong, what can be used of
// them is used for the other checks.
func (d *doctor) configuration(lookup func(string) (string, bool), environment []string) {
	const check = "configuration"
	for _, name := range config.Unknown(environment) {
		if name != loginPassword && name != apiKey {
			d.say(check, warn, "Correct or remove it; relaydesk's variables are listed in the guide under Operating.", "%s is no variable of this version and has no effect", name)
		}
	}
	cfg, err := config.Load(lookup, config.DatabaseURL, config.EncryptionKey)
	if err == nil {
		set := 0
		for _, v := range config.Describe() {
			if text, _ := lookup(v.Name); strings.TrimSpace(text) != "" {
				set++
			}
		}
		d.cfg = cfg
		d.say(check, good, "", "%d of %d variables are set, the others have their defaults", set, len(config.Describe()))
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.HasSuffix(line, ":") { // the heading
			d.say(check, fail, "Correct it; the server does not start otherwise.", "%s", line)
		}
	}
	// One that is wrong hides the others: keep what can be read by itself.
	wrong := err.Error()
	d.cfg, _ = config.Load(func(name string) (string, bool) {
		if strings.Contains(wrong, name) {
			return "", false
		}
		return lookup(name)
	})
}

func (d *doctor) report(out io.Writer, asJSON bool) error {
	failed, warned := 0, 0
	for _, f := range d.findings {
		switch f.Result {
		case fail:
			failed++
		case warn:
			warned++
		}
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(struct {
			OK       bool      `json:"ok"`
			Failed   int       `json:"failed"`
			Warnings int       `json:"warnings"`
			Checks   []finding `json:"checks"`
		}{failed == 0, failed, warned, d.findings}); err != nil {
			return fmt.Errorf("print the findings: %w", err)
		}
	} else {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, f := range d.findings {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Result, f.Check, oneLine(f.Detail))
			if f.Advice != "" {
				fmt.Fprintf(w, "\t\t→ %s\n", f.Advice)
			}
		}
		_ = w.Flush() // as with every print to a terminal
	}
	if failed > 0 {
		return errUnwell
	}
	return nil
}
