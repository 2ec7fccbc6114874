package events

import "slices"

// Type is an event's type as the API publishes it.
type Type string

// The types, by the object that changed.
const (
	ConversationCreated     Type = "conversation.created"
	ConversationUpdated     Type = "conversation.updated"
	ConversationResolved    Type = "conversation.resolved"
	ConversationReopened    Type = "conversation.reopened"
	MessageCreated          Type = "message.created"
	MessageUpdated          Type = "message.updated"
	EscalationOpened        Type = "escalation.opened"
	EscalationUpdated       Type = "escalation.updated"
	EscalationAccepted      Type = "escalation.accepted"
	EscalationAnswered      Type = "escalation.answered"
	EscalationReleased      Type = "escalation.released"
	EscalationOverdue       Type = "escalation.overdue"
	EscalationResolved      Type = "escalation.resolved"
	SuggestionCreated       Type = "suggestion.created"
	ContactCreated          Type = "contact.created"
	ContactUpdated          Type = "contact.updated"
	ContactErased           Type = "contact.erased"
	SourceReady             Type = "source.ready"
	SourceFailed            Type = "source.failed"
	WorkspaceCreated        Type = "workspace.created"
	WorkspaceUpdated        Type = "workspace.updated"
	WorkspaceDeleted        Type = "workspace.deleted"
	WebhookEndpointDisabled Type = "webhook_endpoint.disabled"
)

// numbered gives each type the number that stands for it where only ids and
// numbers may stand: its place here, from 1. Append only.
var numbered = []Type{
	ConversationCreated, ConversationUpdated, ConversationResolved, ConversationReopened,
	MessageCreated, MessageUpdated,
	EscalationOpened, EscalationUpdated, EscalationAccepted, EscalationAnswered, EscalationReleased, EscalationOverdue, EscalationResolved,
	SuggestionCreated, ContactCreated, ContactUpdated, ContactErased, SourceReady, SourceFailed,
	WorkspaceCreated, WorkspaceUpdated, WorkspaceDeleted, WebhookEndpointDisabled,
}

// Types are all types, in the order of their numbers.
func Types() []Type { return slices.Clone(numbered) }

// Known tells whether there are events of the type.
func (t Type) Known() bool { return slices.Contains(numbered, t) }

// Number stands for the type in tables that hold ids and numbers only; 0 is no type's.
func (t Type) Number() int16 {
	n, _ := t.number()
	return n
}

func (t Type) number() (int16, bool) {
	i := slices.Index(numbered, t)
	return int16(i + 1), i >= 0 //nolint:gosec // a few dozen
}

func typeOf(number int16) Type {
	if number < 1 || int(number) > len(numbered) {
		return ""
	}
	return numbered[number-1]
}
