package conversations

import "github.com/relaydesk/relaydesk/internal/ids"

// Awaited tells whether a request of this process waits for the turn.
func (c *Conversations) Awaited(turn ids.ID) bool {
	c.waits.mu.Lock()
	defer c.waits.mu.Unlock()
	return c.waits.turns[turn] != nil
}
