package api

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/relaydesk/relaydesk/objects"
)

var tags = []*huma.Tag{
	{Name: "Agency", Description: "The agency itself, its team and its keys."},
	{Name: "Workspaces", Description: "The agency's clients, each walled off from the others."},
	{Name: "Knowledge", Description: "What an assistant learns from, and what it would answer."},
	{Name: "Contacts", Description: "The visitors."},
	{Name: "Conversations", Description: "What is said, by whom, and who answers next."},
	{Name: "Handoff", Description: "Calling a person, taking over, and giving back."},
	{Name: "Inbox", Description: "What the team sees."},
	{Name: "Visitors", Description: "What a visitor's browser does, by a token of its own."},
	{Name: "Events", Description: "Everything that changes, in order."},
	{Name: "Webhooks", Description: "Being told of what changes."},
}

// routes is the table of all operations.
func (s *Server) routes() []route {
	return []route{
		get("/agency", "agency:read", wholeAgency, "getAgency", "Agency", "Read the agency", s.getAgency),
		patch("/agency", "agency:write", agencyKeyOnly, "updateAgency", "Agency", "Change the agency", s.updateAgency),
		get("/members", "members:read", wholeAgency, "listMembers", "Agency", "List members", s.listMembers),
		post("/members", "members:write", agencyKeyOnly, "createMember", "Agency", "Add a member", s.createMember),
		get("/members/{id}", "members:read", wholeAgency, "getMember", "Agency", "Read a member", s.getMember),
		patch("/members/{id}", "members:write", agencyKeyOnly, "updateMember", "Agency", "Change a member", s.updateMember).sends(`{"role":"admin","workspace_ids":null}`),
		remove("/members/{id}", "members:write", agencyKeyOnly, "deleteMember", "Agency", "Remove a member", s.deleteMember),
		get("/api_keys", "api_keys:read", agencyKeyOnly, "listApiKeys", "Agency", "List keys", s.listKeys),
		post("/api_keys", "api_keys:write", agencyKeyOnly, "createApiKey", "Agency", "Make a key", s.createKey),
		get("/api_keys/{id}", "api_keys:read", agencyKeyOnly, "getApiKey", "Agency", "Read a key", s.getKey),
		patch("/api_keys/{id}", "api_keys:write", agencyKeyOnly, "updateApiKey", "Agency", "Change a key", s.updateKey),
		remove("/api_keys/{id}", "api_keys:write", agencyKeyOnly, "deleteApiKey", "Agency", "Revoke a key", s.deleteKey).
			more("It is refused within two seconds."),
		post("/api_keys/{id}/roll", "api_keys:write", agencyKeyOnly, "rollApiKey", "Agency", "Replace a key", s.rollKey).
			more("Makes another key that may do the same. The old one lives on for the overlap."),

		post("/member_tokens", "members:write", agencyKeyOnly, "createMemberToken", "Agency", "Make a token for a member's browser", s.createMemberToken).storesNothing().
			more("A request with the token acts as the member: with the scopes of their role and in their workspaces. A key that may less than the member can't make one, and a token neither."),
		order("/member_tokens/revoke", "members:write", agencyKeyOnly, "revokeTokens", "Agency", "Refuse tokens", s.revokeTokens).storesNothing().sends(`{"member_id":"mem_01kb2m3n4p5q6r7s8t9v0wxyza"}`).
			more("They are refused within two seconds."),
		post("/signing_keys/rotate", "api_keys:write", agencyKeyOnly, "rotateSigningKey", "Agency", "Sign tokens with a new key", s.rotateSigningKey).
			more("Tokens that the old key signed live on until they expire."),

		get("/workspaces", "workspaces:read", wholeAgency, "listWorkspaces", "Workspaces", "List workspaces", s.listWorkspaces),
		post("/workspaces", "workspaces:write", agencyKeyOnly, "createWorkspace", "Workspaces", "Make a workspace", s.createWorkspace),
		get("/workspaces/{id}", "workspaces:read", wholeAgency, "getWorkspace", "Workspaces", "Read a workspace", s.getWorkspace),
		patch("/workspaces/{id}", "workspaces:write", wholeAgency, "updateWorkspace", "Workspaces", "Change a workspace", s.updateWorkspace),
		remove("/workspaces/{id}", "workspaces:write", agencyKeyOnly, "deleteWorkspace", "Workspaces", "Delete a workspace", s.deleteWorkspace).
			more("From now on it is not found and its keys are refused."),
		get("/workspace/settings", "workspaces:read", oneWorkspace, "getWorkspaceSettings", "Workspaces", "Read a workspace's settings", s.getSettings),
		patch("/workspace/settings", "workspaces:write", oneWorkspace, "updateWorkspaceSettings", "Workspaces", "Change a workspace's settings", s.updateSettings),

		post("/workspace/identity_secret/rotate", "workspaces:write", oneWorkspace, "rotateIdentitySecret", "Workspaces", "Make a new identity secret", s.rotateIdentity).
			more("With it your site's server signs who its visitor is. It is shown this once; the one before is believed for the overlap."),

		get("/sources", "knowledge:read", oneWorkspace, "listSources", "Knowledge", "List sources", s.listSources),
		post("/sources", "knowledge:write", oneWorkspace, "createSource", "Knowledge", "Add a source", s.createSource).sends(`{"type":"website","url":"https://example.com/help","refresh":"weekly"}`).
			more("A website is read from now on; a text is found by its words at once."),
		get("/sources/{id}", "knowledge:read", oneWorkspace, "getSource", "Knowledge", "Read a source", s.getSource),
		patch("/sources/{id}", "knowledge:write", oneWorkspace, "updateSource", "Knowledge", "Change a source", s.updateSource).sends(`{"title":"Help centre","refresh":"weekly"}`),
		remove("/sources/{id}", "knowledge:write", oneWorkspace, "deleteSource", "Knowledge", "Delete a source with its pages", s.deleteSource),
		act("/sources/{id}/crawl", "knowledge:write", oneWorkspace, "crawlSource", "Knowledge", "Read a website again", s.crawlSource).
			more("Where it is being read already, that goes on."),
		get("/pages", "knowledge:read", oneWorkspace, "listPages", "Knowledge", "List pages", s.listPages).
			more("Those that are not searchable are listed too, with the reason."),
		get("/pages/{id}", "knowledge:read", oneWorkspace, "getPage", "Knowledge", "Read a page", s.getPage),
		act("/search", "knowledge:read", oneWorkspace, "search", "Knowledge", "Find passages", s.search).storesNothing(),
		act("/answers", "knowledge:read", oneWorkspace, "answerQuestion", "Knowledge", "Ask, as a dry run", s.answerQuestion).storesNothing().sends(`{"question":"How long does delivery to an island take?"}`).
			more("Nothing is stored and nobody is called."),

		get("/contacts", "contacts:read", oneWorkspace, "listContacts", "Contacts", "List contacts", s.listContacts),
		post("/contacts", "contacts:write", oneWorkspace, "putContact", "Contacts", "Add a contact, or change the one with the external_id", s.putContact).or200("The contact was known, and was changed."),
		get("/contacts/{id}", "contacts:read", oneWorkspace, "getContact", "Contacts", "Read a contact", s.getContact),
		patch("/contacts/{id}", "contacts:write", oneWorkspace, "updateContact", "Contacts", "Change a contact", s.updateContact),
		remove("/contacts/{id}", "contacts:write", oneWorkspace, "deleteContact", "Contacts", "Erase a contact", s.eraseContact).
			more("All that they wrote, and all that was written about them, is gone."),

		get("/conversations", "conversations:read", acrossWorkspaces, "listConversations", "Conversations", "List conversations", s.listConversations),
		post("/conversations", "conversations:write", oneWorkspace, "createConversation", "Conversations", "Begin a conversation", s.createConversation).waits().
			sends(`{"contact":{"name":"Ada","email":"ada@example.com"},"message":{"text":"How long does delivery to an island take?","client_id":"m-17"},"language":"en"}`),
		get("/conversations/{id}", "conversations:read", acrossWorkspaces, "getConversation", "Conversations", "Read a conversation", s.getConversation),
		patch("/conversations/{id}", "conversations:write", oneWorkspace, "updateConversation", "Conversations", "Change a conversation", s.updateConversation),
		get("/conversations/{id}/messages", "conversations:read", acrossWorkspaces, "listMessages", "Conversations", "List messages", s.listMessages),
		post("/conversations/{id}/messages", "conversations:write", oneWorkspace, "createMessage", "Conversations", "Write a message", s.createMessage).waits().or200("The client_id was known; this is the first message.").
			sends(`{"author":{"type":"visitor"},"text":"Thanks. Can I talk to a person?","client_id":"m-18"}`).
			more("A member's public message takes the conversation over."),
		get("/turns/{id}", "conversations:read", oneWorkspace, "getTurn", "Conversations", "Read a turn", s.getTurn),
		act("/conversations/{id}/assign", "conversations:write", oneWorkspace, "assignConversation", "Conversations", "Say who should take care", s.assign),
		act("/conversations/{id}/snooze", "conversations:write", oneWorkspace, "snoozeConversation", "Conversations", "Put a conversation away until later", s.snooze),
		act("/conversations/{id}/reopen", "conversations:write", oneWorkspace, "reopenConversation", "Conversations", "Open a conversation again", s.reopen),

		post("/conversations/{id}/escalate", "conversations:write", oneWorkspace, "escalateConversation", "Handoff", "Call a person", s.escalate).or200("An escalation was open; this is it.").
			more("Where an escalation is open, that one is given, with 200."),
		act("/conversations/{id}/accept", "conversations:write", oneWorkspace, "acceptConversation", "Handoff", "Take a conversation over", s.accept),
		act("/conversations/{id}/release", "conversations:write", oneWorkspace, "releaseConversation", "Handoff", "Give a conversation back", s.release),
		act("/conversations/{id}/resolve", "conversations:write", oneWorkspace, "resolveConversation", "Handoff", "End a conversation", s.resolve),
		get("/escalations", "conversations:read", acrossWorkspaces, "listEscalations", "Handoff", "List escalations", s.listEscalations),
		get("/escalations/{id}", "conversations:read", acrossWorkspaces, "getEscalation", "Handoff", "Read an escalation", s.getEscalation),
		raw("/escalations/{id}/packet", "conversations:read", acrossWorkspaces, "getPacket", "Handoff", "Read the packet of an escalation", packetContent, s.getPacket).
			more("All that a person needs, as it was when the conversation was handed over."),

		get("/inbox", "conversations:read", acrossWorkspaces, "listInbox", "Inbox", "Read a view of the inbox", s.inbox).
			more("waiting and unassigned begin with who waits longest, snoozed with what comes back next, the others with what moved last."),
		get("/inbox/counts", "conversations:read", acrossWorkspaces, "getInboxCounts", "Inbox", "Count the views of the inbox", s.inboxCounts),

		post("/visitor/session", "visitor:session", visitorSession, "openVisitorSession", "Visitors", "Get a visitor's token", s.openSession).storesNothing().
			more("With an identity for the contact whom your site vouches for, else for an anonymous one. With the token of an earlier anonymous session its thread goes on, also for a visitor who has signed in since."),
		get("/visitor/conversations", "visitor", visitorOwn, "listOwnConversations", "Visitors", "List one's conversations", s.visitorList),
		post("/visitor/conversations", "visitor", visitorOwn, "startOwnConversation", "Visitors", "Begin a conversation, as a visitor", s.visitorStart).waits(),
		get("/visitor/conversations/{id}", "visitor", visitorOwn, "getOwnConversation", "Visitors", "Read one's conversation", s.visitorGet),
		get("/visitor/conversations/{id}/messages", "visitor", visitorOwn, "listOwnMessages", "Visitors", "Read one's messages", s.visitorMessages),
		post("/visitor/conversations/{id}/messages", "visitor", visitorOwn, "writeOwnMessage", "Visitors", "Write a message, as a visitor", s.visitorPost).waits().or200("The client_id was known; this is the first message."),
		raw("/visitor/conversations/{id}/stream", "visitor", visitorOwn, "streamOwnConversation", "Visitors", "Follow one's conversation", content[objects.VisitorEvent]("text/event-stream"), s.visitorStream).
			more("Server-sent events: public messages, and who answers. Each frame has its position as id; a frame with an id alone is a heartbeat."),
		post("/visitor/conversations/{id}/escalate", "visitor", visitorOwn, "escalateOwnConversation", "Visitors", "Ask for a person", s.visitorEscalate).or200("A person was called already."),

		get("/events", "events:read", acrossWorkspaces, "listEvents", "Events", "Read the log", s.listEvents).
			more("Oldest first. Without after it begins at the oldest that is kept."),
		raw("/events/stream", "events:read", acrossWorkspaces, "streamEvents", "Events", "Follow the log", content[objects.Event]("text/event-stream"), s.streamEvents).
			more("Server-sent events. Each frame has the event's position as id, its type as event and the event as data; a frame with an id alone is a heartbeat. Without a position it begins now."),

		get("/webhook_endpoints", "webhooks:read", acrossWorkspaces, "listWebhookEndpoints", "Webhooks", "List webhook endpoints", s.listEndpoints),
		post("/webhook_endpoints", "webhooks:write", acrossWorkspaces, "createWebhookEndpoint", "Webhooks", "Add a webhook endpoint", s.createEndpoint).
			more("For one workspace, or without one for the whole agency. The secret is shown this once."),
		get("/webhook_endpoints/{id}", "webhooks:read", acrossWorkspaces, "getWebhookEndpoint", "Webhooks", "Read a webhook endpoint", s.getEndpoint),
		patch("/webhook_endpoints/{id}", "webhooks:write", acrossWorkspaces, "updateWebhookEndpoint", "Webhooks", "Change a webhook endpoint", s.updateEndpoint),
		remove("/webhook_endpoints/{id}", "webhooks:write", acrossWorkspaces, "deleteWebhookEndpoint", "Webhooks", "Remove a webhook endpoint", s.deleteEndpoint),
		get("/webhook_endpoints/{id}/attempts", "webhooks:read", acrossWorkspaces, "listWebhookAttempts", "Webhooks", "List the newest attempts", s.listAttempts),
		get("/webhook_endpoints/{id}/deliveries", "webhooks:read", acrossWorkspaces, "listWebhookDeliveries", "Webhooks", "List deliveries", s.listDeliveries),
		act("/webhook_deliveries/{id}/resend", "webhooks:write", acrossWorkspaces, "resendWebhookDelivery", "Webhooks", "Deliver once more", s.resendDelivery).
			more("At once, with the same webhook-id."),
	}
}
