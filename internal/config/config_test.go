package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

func from(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
}

func TestNothingSetGivesTheDefaults(t *testing.T) {
	t.Parallel()
	c, err := config.Load(from(map[string]string{"RELAYDESK_LISTEN": " "}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.PublicURL != "http://127.0.0.1:8080" || c.DataDir != ".relaydesk" || c.LogLevel != slog.LevelInfo ||
		c.LogFormat != "text" || c.DatabaseConnections != 20 || c.Workers != 16 || c.ShutdownTimeout != 20*time.Second || c.AllowLoopback || c.AllowPrivate || c.DatabaseURL.IsSet() {
		t.Errorf("%+v", c)
	}
}

func TestEverythingSetIsRead(t *testing.T) {
	t.Parallel()
	key := secrets.NewEncryptionKey()
	values := map[string]string{
		"RELAYDESK_DATABASE_URL": "postgres://u:p%40ss@db:5432/relaydesk?sslmode=require", "RELAYDESK_DATABASE_CONNECTIONS": "50",
		"RELAYDESK_DATA_DIR": "/var/lib/relaydesk", "RELAYDESK_LISTEN": "[::]:9000", "RELAYDESK_PUBLIC_URL": "https://support.example.com/",
		"RELAYDESK_ENCRYPTION_KEY": key, "RELAYDESK_OPENAI_BASE_URL": "http://models:1234/v1", "RELAYDESK_OPENAI_API_KEY": "sk-1",
		"RELAYDESK_OPENAI_MODEL": "small", "RELAYDESK_ALLOW_LOOPBACK": "TRUE", "RELAYDESK_ALLOW_PRIVATE": "1", "RELAYDESK_WORKERS": "2",
		"RELAYDESK_SHUTDOWN_TIMEOUT": "1m", "RELAYDESK_LOG_LEVEL": "DEBUG", "RELAYDESK_LOG_FORMAT": "JSON",
		"RELAYDESK_DRAIN_TIME": "5s", "RELAYDESK_DATABASE_DIRECT_URL": "postgres://u@direct/relaydesk", "RELAYDESK_OPERATIONS_LISTEN": "127.0.0.1:9090", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
	}
	for _, v := range config.Describe() {
		if values[v.Name] == "" {
			t.Fatalf("this test doesn't set %s", v.Name)
		}
	}
	c, err := config.Load(from(values), config.DatabaseURL, config.EncryptionKey)
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL.Reveal() != values["RELAYDESK_DATABASE_URL"] || c.DatabaseConnections != 50 || c.DataDir != "/var/lib/relaydesk" ||
		c.Listen != "[::]:9000" || c.PublicURL != "https://support.example.com" || c.EncryptionKey.Reveal() != key ||
		c.OpenAIBaseURL != "http://models:1234/v1" || c.OpenAIKey.Reveal() != "sk-1" || c.OpenAIModel != "small" || !c.AllowLoopback ||
		!c.AllowPrivate || c.Workers != 2 || c.ShutdownTimeout != time.Minute || c.LogLevel != slog.LevelDebug || c.LogFormat != "json" ||
		c.OperationsListen != "127.0.0.1:9090" || c.DrainTime != 5*time.Second || c.Direct().Reveal() != "postgres://u@direct/relaydesk" || c.TracesEndpoint != "http://127.0.0.1:4318" {
		t.Errorf("%+v", c)
	}
}

func TestAllThatIsWrongIsToldAtOnceAndNoSecretWithIt(t *testing.T) {
	t.Parallel()
	_, err := config.Load(from(map[string]string{
		"RELAYDESK_DATABASE_URL": "mysql://u:hunter2@db", "RELAYDESK_DATABASE_CONNECTIONS": "0", "RELAYDESK_LISTEN": "8080",
		"RELAYDESK_PUBLIC_URL": "support.example.com", "RELAYDESK_ENCRYPTION_KEY": "hunter2", "RELAYDESK_OPENAI_API_KEY": "hunter2",
		"RELAYDESK_OPENAI_BASE_URL": "ftp://x", "RELAYDESK_ALLOW_LOOPBACK": "maybe", "RELAYDESK_ALLOW_PRIVATE": "2", "RELAYDESK_WORKERS": "many",
		"RELAYDESK_SHUTDOWN_TIMEOUT": "20", "RELAYDESK_LOG_LEVEL": "loud", "RELAYDESK_LOG_FORMAT": "xml",
		"RELAYDESK_DRAIN_TIME": "soon", "RELAYDESK_DATABASE_DIRECT_URL": "mysql://u:hunter2@db", "RELAYDESK_OPERATIONS_LISTEN": "9090", "OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4318",
	}))
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, v := range config.Describe() {
		if v.Name != "RELAYDESK_DATA_DIR" && v.Name != "RELAYDESK_OPENAI_API_KEY" && !strings.Contains(err.Error(), v.Name) {
			t.Errorf("%s is not named", v.Name)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is quoted: %v", err)
	}
}

func TestACommandSaysWhatItCannotDoWithout(t *testing.T) {
	t.Parallel()
	_, err := config.Load(from(nil), config.DatabaseURL, config.EncryptionKey)
	if err == nil || !strings.Contains(err.Error(), config.DatabaseURL+" is needed") || !strings.Contains(err.Error(), config.EncryptionKey+" is needed") {
		t.Errorf("%v", err)
	}
	if _, err := config.Load(from(map[string]string{"RELAYDESK_OPENAI_MODEL": "small"})); err == nil {
		t.Error("a model without a server was taken")
	}
}

func TestHoweverAConfigurationIsPrintedItsSecretsStayHidden(t *testing.T) {
	t.Parallel()
	c := config.Config{DatabaseURL: config.NewSecret("hunter2"), DatabaseDirectURL: config.NewSecret("hunter2"), EncryptionKey: config.NewSecret("hunter2"), OpenAIKey: config.NewSecret("hunter2")}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", &c)
		fmt.Fprintf(&out, verb+"\n", c.DatabaseURL)
	}
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		logger.Info("start", "config", c, "key", c.EncryptionKey)
	}
	if err := json.NewEncoder(&out).Encode(c); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"hunter2", "68756e74657232"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("it shows:\n%s", out.String())
		}
	}
	if strings.Count(out.String(), "[redacted]") < 20 {
		t.Errorf("the secrets were not printed at all:\n%s", out.String())
	}
}

func TestAMisspeltVariableIsFound(t *testing.T) {
	t.Parallel()
	got := config.Unknown([]string{"PATH=/bin", "RELAYDESK_LISTEN=:1", "RELAYDESK_LISTENS=:1", "RELAYDESK_A=b=c"})
	if !slices.Equal(got, []string{"RELAYDESK_A", "RELAYDESK_LISTENS"}) {
		t.Errorf("%v", got)
	}
}

func TestTheGuideNamesEveryVariableAndNoOther(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/guide/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range config.Describe() {
		def := v.Default
		if def == "" {
			def = "none"
		}
		row := fmt.Sprintf("| `%s` | %s | %s |", v.Name, def, v.Meaning)
		if !strings.Contains(string(guide), row) {
			t.Errorf("operating.md lacks the row\n%s", row)
		}
	}
	for _, name := range regexp.MustCompile(`RELAYDESK_[A-Z_]+`).FindAllString(string(guide), -1) {
		ofOneCommand := name == "RELAYDESK_LOGIN_PASSWORD" || name == "RELAYDESK_API_KEY"
		if !ofOneCommand && !slices.ContainsFunc(config.Describe(), func(v config.Variable) bool { return v.Name == name }) {
			t.Errorf("operating.md names %s, which nobody reads", name)
		}
	}
}
