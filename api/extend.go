package api

import (
	"errors"

	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/objects"
)

// extend adds to a problem what its error knows besides.
func extend(p *Problem, err error) {
	if stale, ok := errors.AsType[*handoff.StaleReply](err); ok {
		p.Missed = objects.FromMessages(stale.Missed)
	}
}
