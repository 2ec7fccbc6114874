package assistant

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// headings is how many of a workspace's headings a calibration asks.
const headings = 100

// Calibrate learns how high questions score that the workspace's content does
// not answer, and some that it does, and keeps what follows from it.
func (a *Assistant) Calibrate(ctx context.Context, job knowledge.Calibrate) error {
	w := postgres.Workspace{AgencyID: job.AgencyID, ID: job.WorkspaceID}
	known, err := a.Knowledge.Calibration(ctx, w)
	if err != nil {
		return err
	}
	if known.Changes != job.Changes || known.MadeFor == known.Changes && known.Data != nil || known.Passages == 0 {
		return nil // done, or a later job's
	}
	made := confidence.Default()
	if known.Passages > confidence.Settled { // of fewer passages it would not be looked at
		if made, err = a.calibrate(ctx, w, known.Passages); err != nil {
			return err
		}
	}
	data, err := json.Marshal(made)
	if err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	return a.Knowledge.StoreCalibration(ctx, w, known.Changes, data)
}

func (a *Assistant) calibrate(ctx context.Context, w postgres.Workspace, passages int) (made confidence.Calibration, err error) {
	foreign, err := a.offTopic.queries(ctx)
	if err != nil {
		return made, err
	}
	own, err := a.Knowledge.Headings(ctx, w, headings)
	if err != nil {
		return made, err
	}
	asked := make([]knowledge.Query, len(own))
	for i, h := range own {
		asked[i] = knowledge.Query{Text: h.Text, Language: h.Language}
	}
	offTopic, err := a.Knowledge.Signals(ctx, w, foreign)
	if err != nil {
		return made, fmt.Errorf("calibrate: %w", err)
	}
	onTopic, err := a.Knowledge.Signals(ctx, w, asked)
	if err != nil {
		return made, fmt.Errorf("calibrate: %w", err)
	}
	made = confidence.Calibrate(offTopic, onTopic)
	if passages < rank.Small {
		// Among few there is hardly a word of foreign questions: they score so low
		// that questions of the neighbourhood would pass for answered.
		made.Same, made.Cross = max(made.Same, confidence.Default().Same), max(made.Cross, confidence.Default().Cross)
	}
	return made, nil
}

// offTopic are the shipped questions that no workspace answers, embedded once.
type offTopic struct {
	embedder knowledge.Embedder
	mu       sync.Mutex
	made     []knowledge.Query
}

func (o *offTopic) queries(ctx context.Context) ([]knowledge.Query, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	// What an earlier job got done before its time was over need not be done again.
	for _, q := range confidence.OffTopic()[len(o.made):] {
		// One at a time, so that visitors' questions come in between.
		vectors, err := o.embedder.Query(ctx, q.Text)
		if err == nil && len(vectors) != 1 {
			err = fmt.Errorf("%d vectors", len(vectors))
		}
		if err != nil {
			return nil, fmt.Errorf("embed the questions of a calibration: %w", err)
		}
		o.made = append(o.made, knowledge.Query{Text: q.Text, Vector: vectors[0], Language: q.Lang})
	}
	return o.made, nil
}

// calibrations remembers what was learnt of workspaces, for a short time.
type calibrations struct {
	knowledge *knowledge.Knowledge
	clock     clock.Clock
	mu        sync.Mutex
	known     map[int64]remembered
}

type remembered struct {
	confidence.Calibration
	at time.Time
}

const (
	remember = 10 * time.Second
	most     = 10_000
)

func newCalibrations(k *knowledge.Knowledge, c clock.Clock) *calibrations {
	return &calibrations{knowledge: k, clock: c, known: map[int64]remembered{}}
}

// of gives a workspace's calibration, the default where there is none or none
// can be read: an answer does not fail for it.
func (c *calibrations) of(ctx context.Context, w postgres.Workspace) confidence.Calibration {
	now := c.clock.Now()
	c.mu.Lock()
	known, ok := c.known[w.ID]
	c.mu.Unlock()
	if ok && now.Sub(known.at) < remember {
		return known.Calibration
	}
	known = remembered{confidence.Default(), now}
	stored, err := c.knowledge.Calibration(ctx, w)
	if err != nil {
		return known.Calibration
	}
	if stored.Data != nil {
		var read confidence.Calibration
		if err := json.Unmarshal(stored.Data, &read); err == nil && read.Slope > 0 {
			known.Calibration = read
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= most {
		clear(c.known)
	}
	c.known[w.ID] = known
	return known.Calibration
}
