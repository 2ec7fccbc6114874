// Package config is what an operator sets: one struct, read once by the
// command, checked as a whole, so that a start that fails names everything
// that is wrong. Each field carries its variable, default and meaning, and the
// documentation is made from these.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/internal/secrets"
)

// Config is how this process is set up. It can be printed: secrets don't show.
type Config struct {
	DatabaseURL         Secret        `env:"RELAYDESK_DATABASE_URL" doc:"Postgres with pgvector, as postgres://user:password@host:5432/name. The dev command without it runs a Postgres of its own in the data folder."`
	DatabaseDirectURL   Secret        `env:"RELAYDESK_DATABASE_DIRECT_URL" doc:"Only with PgBouncer in transaction mode at RELAYDESK_DATABASE_URL: the same database without it between, for what needs a session (listening, the queue, migrations)."`
	DatabaseConnections int           `env:"RELAYDESK_DATABASE_CONNECTIONS" default:"20" min:"4" max:"1000" doc:"How many connections to Postgres this process holds at most, the queue's included."`
	DataDir             string        `env:"RELAYDESK_DATA_DIR" default:".relaydesk" doc:"Folder for the embedder's weights and, with the dev command, for the database and keys."`
	Listen              string        `env:"RELAYDESK_LISTEN" default:"127.0.0.1:8080" doc:"Address and port that the API listens on."`
	OperationsListen    string        `env:"RELAYDESK_OPERATIONS_LISTEN" doc:"Address and port for operators: /metrics, /healthz, /readyz and the queue at /ops/river. It asks for no key, so keep it off the internet, such as 127.0.0.1:9090. Without it there is none."`
	PublicURL           string        `env:"RELAYDESK_PUBLIC_URL" doc:"Address under which outside programs reach this server, such as https://support.example.com. Without it the address of RELAYDESK_LISTEN."`
	EncryptionKey       Secret        `env:"RELAYDESK_ENCRYPTION_KEY" doc:"32 bytes in base64 that encrypt webhook secrets, positions and kept answers. Make one with: openssl rand -base64 32. The dev command keeps one in the data folder."`
	OpenAIBaseURL       string        `env:"RELAYDESK_OPENAI_BASE_URL" doc:"Base address of a model server that speaks OpenAI's protocol, such as https://api.openai.com/v1. Without it answers are quoted from content, by no model."`
	OpenAIKey           Secret        `env:"RELAYDESK_OPENAI_API_KEY" doc:"Key for the model server. A server of your own may need none."`
	OpenAIModel         string        `env:"RELAYDESK_OPENAI_MODEL" doc:"Name of the model. Needed with RELAYDESK_OPENAI_BASE_URL."`
	AllowLoopback       bool          `env:"RELAYDESK_ALLOW_LOOPBACK" default:"false" doc:"Lets the crawler and webhooks reach this machine (127.0.0.0/8, ::1). The dev command allows it."`
	AllowPrivate        bool          `env:"RELAYDESK_ALLOW_PRIVATE" default:"false" doc:"Lets the crawler and webhooks reach private networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7)."`
	Workers             int           `env:"RELAYDESK_WORKERS" default:"16" min:"1" max:"1000" doc:"How many turns this process answers at the same time. Crawling, embedding and deliveries take their share from it."`
	ShutdownTimeout     time.Duration `env:"RELAYDESK_SHUTDOWN_TIMEOUT" default:"20s" min:"1" max:"600" doc:"How long a stopping process waits for requests and jobs that are under way."`
	TracesEndpoint      string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"Base address of an OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318. Without it nothing is traced. OpenTelemetry's other variables work too."`
	DrainTime           time.Duration `env:"RELAYDESK_DRAIN_TIME" default:"0s" min:"0" max:"600" doc:"How long a stopping process goes on serving while /readyz answers 503 and connections are closed after their next answer, so that a proxy sends its requests elsewhere first. Longer than the proxy takes to notice."`
	LogLevel            slog.Level    `env:"RELAYDESK_LOG_LEVEL" default:"info" doc:"What is logged: debug, info, warn or error. Logs go to standard error and hold ids, no texts."`
	LogFormat           string        `env:"RELAYDESK_LOG_FORMAT" default:"text" oneof:"text json" doc:"How it is logged: text or json."`
}

// The variables that a command may not be able to do without.
const (
	DatabaseURL   = "RELAYDESK_DATABASE_URL"
	EncryptionKey = "RELAYDESK_ENCRYPTION_KEY"
)

const prefix = "RELAYDESK_"

// Direct is the database's URL for what needs a session of its own, such as
// listening: around a pooler, if there is one.
func (c Config) Direct() Secret {
	if c.DatabaseDirectURL.IsSet() {
		return c.DatabaseDirectURL
	}
	return c.DatabaseURL
}

// Load reads the configuration by lookup, such as os.LookupEnv. A variable that
// is set to nothing counts as not set. The error names every variable that is
// wrong, and those of needs that are missing; it never quotes a secret.
func Load(lookup func(name string) (string, bool), needs ...string) (Config, error) {
	var c Config
	var errs []error
	fields(&c, func(v Variable, field reflect.Value, tag reflect.StructTag) {
		text, _ := lookup(v.Name)
		text = strings.TrimSpace(text)
		if text == "" {
			if slices.Contains(needs, v.Name) {
				errs = append(errs, fmt.Errorf("%s is needed. %s", v.Name, v.Meaning))
			}
			text = v.Default
		}
		if text == "" {
			return
		}
		if err := set(field, tag, text); err != nil {
			errs = append(errs, fmt.Errorf("%s %w", v.Name, err))
		}
	})
	errs = append(errs, c.check()...)
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("the configuration is not right:\n%w", err)
	}
	if c.PublicURL == "" {
		c.PublicURL = "http://" + reachable(c.Listen)
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	return c, nil
}

// check finds what is wrong between and within values that could be read.
func (c Config) check() []error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, v := range []struct{ name, value, example string }{
		{"RELAYDESK_LISTEN", c.Listen, "127.0.0.1:8080"}, {"RELAYDESK_OPERATIONS_LISTEN", c.OperationsListen, "127.0.0.1:9090"},
	} {
		_, port, err := net.SplitHostPort(v.value)
		if n, e := strconv.Atoi(port); v.value != "" && (err != nil || e != nil || n < 0 || n > 65535) {
			wrong("%s must be an address and a port, such as %s", v.name, v.example)
		}
	}
	if c.OperationsListen != "" && c.OperationsListen == c.Listen {
		wrong("RELAYDESK_OPERATIONS_LISTEN must not be RELAYDESK_LISTEN: it asks for no key")
	}
	for _, v := range []struct{ name, value string }{{"RELAYDESK_PUBLIC_URL", c.PublicURL}, {"RELAYDESK_OPENAI_BASE_URL", c.OpenAIBaseURL}, {"OTEL_EXPORTER_OTLP_ENDPOINT", c.TracesEndpoint}} {
		if u, err := url.Parse(v.value); v.value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
			wrong("%s must be an address that begins with http:// or https://, without user, query or fragment", v.name)
		}
	}
	for _, v := range []struct {
		name  string
		value Secret
	}{{DatabaseURL, c.DatabaseURL}, {"RELAYDESK_DATABASE_DIRECT_URL", c.DatabaseDirectURL}} {
		if u, err := url.Parse(v.value.Reveal()); v.value.IsSet() && (err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.Query().Get("host") == "") {
			wrong("%s must look like postgres://user:password@host:5432/name", v.name)
		}
	}
	if c.EncryptionKey.IsSet() {
		if _, err := secrets.NewBox(c.EncryptionKey.Reveal()); err != nil {
			wrong("RELAYDESK_ENCRYPTION_KEY: %w", err)
		}
	}
	switch {
	case c.OpenAIBaseURL != "" && c.OpenAIModel == "":
		wrong("RELAYDESK_OPENAI_MODEL is needed with RELAYDESK_OPENAI_BASE_URL")
	case c.OpenAIBaseURL == "" && (c.OpenAIModel != "" || c.OpenAIKey.IsSet()):
		wrong("RELAYDESK_OPENAI_BASE_URL is needed with RELAYDESK_OPENAI_API_KEY and RELAYDESK_OPENAI_MODEL")
	}
	return errs
}

// Variable is one thing that can be set.
type Variable struct {
	Name    string
	Default string // empty: none
	Meaning string
}

// Describe lists all variables in the order of the struct.
func Describe() []Variable {
	var out []Variable
	fields(&Config{}, func(v Variable, _ reflect.Value, _ reflect.StructTag) { out = append(out, v) })
	return out
}

// Unknown finds the names in an environment ("NAME=value") that look like ours
// and are none, so that a misspelt one can be told.
func Unknown(environment []string) []string {
	var out []string
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix) && !slices.ContainsFunc(Describe(), func(v Variable) bool { return v.Name == name }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func fields(c *Config, visit func(v Variable, field reflect.Value, tag reflect.StructTag)) {
	value := reflect.ValueOf(c).Elem()
	for i := range value.NumField() {
		tag := value.Type().Field(i).Tag
		visit(Variable{tag.Get("env"), tag.Get("default"), tag.Get("doc")}, value.Field(i), tag)
	}
}

// set reads a value into a field. Its errors continue "NAME must be …".
func set(field reflect.Value, tag reflect.StructTag, text string) error {
	switch to := field.Addr().Interface().(type) {
	case *Secret:
		to.value = text
	case *string:
		if choice := strings.Fields(tag.Get("oneof")); len(choice) > 0 {
			text = strings.ToLower(text)
			if !slices.Contains(choice, text) {
				return fmt.Errorf("must be one of %s", strings.Join(choice, ", "))
			}
		}
		*to = text
	case *bool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return errors.New("must be true or false")
		}
		*to = b
	case *int:
		n, err := strconv.Atoi(text)
		if low, high := limits(tag); err != nil || n < low || n > high {
			return fmt.Errorf("must be a number from %d to %d", low, high)
		}
		*to = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if low, high := limits(tag); err != nil || d < time.Duration(low)*time.Second || d > time.Duration(high)*time.Second {
			return fmt.Errorf("must be a duration such as 20s, from %d to %d seconds", low, high)
		}
		*to = d
	case *slog.Level:
		levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
		level, ok := levels[strings.ToLower(text)]
		if !ok {
			return errors.New("must be one of debug, info, warn, error")
		}
		*to = level
	default:
		return fmt.Errorf("has a type that can't be read: %s", field.Type())
	}
	return nil
}

func limits(tag reflect.StructTag) (low, high int) {
	low, _ = strconv.Atoi(tag.Get("min"))
	high, _ = strconv.Atoi(tag.Get("max"))
	return low, high
}

// reachable turns "any address" into one that can be dialled from here.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
