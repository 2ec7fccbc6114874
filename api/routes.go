package api

import "github.com/danielgtaylor/huma/v2"

var tags = []*huma.Tag{
	{Name: "Agency", Description: "The agency itself, its team and its keys."},
	{Name: "Workspaces", Description: "The agency's clients, each walled off from the others."},
}

// routes is the table of all operations.
func (s *Server) routes() []route {
	return []route{
		get("/agency", "agency:read", wholeAgency, "getAgency", "Agency", "Read the agency", s.getAgency),
		patch("/agency", "agency:write", agencyKeyOnly, "updateAgency", "Agency", "Change the agency", s.updateAgency),
		get("/members", "members:read", wholeAgency, "listMembers", "Agency", "List members", s.listMembers),
		post("/members", "members:write", agencyKeyOnly, "createMember", "Agency", "Add a member", s.createMember),
		get("/members/{id}", "members:read", wholeAgency, "getMember", "Agency", "Read a member", s.getMember),
		patch("/members/{id}", "members:write", agencyKeyOnly, "updateMember", "Agency", "Change a member", s.updateMember),
		remove("/members/{id}", "members:write", agencyKeyOnly, "deleteMember", "Agency", "Remove a member", s.deleteMember),
		get("/api_keys", "api_keys:read", agencyKeyOnly, "listApiKeys", "Agency", "List keys", s.listKeys),
		post("/api_keys", "api_keys:write", agencyKeyOnly, "createApiKey", "Agency", "Make a key", s.createKey),
		get("/api_keys/{id}", "api_keys:read", agencyKeyOnly, "getApiKey", "Agency", "Read a key", s.getKey),
		patch("/api_keys/{id}", "api_keys:write", agencyKeyOnly, "updateApiKey", "Agency", "Change a key", s.updateKey),
		remove("/api_keys/{id}", "api_keys:write", agencyKeyOnly, "deleteApiKey", "Agency", "Revoke a key", s.deleteKey).
			more("It is refused within two seconds."),
		post("/api_keys/{id}/roll", "api_keys:write", agencyKeyOnly, "rollApiKey", "Agency", "Replace a key", s.rollKey).
			more("Makes another key that may do the same. The old one lives on for the overlap."),

		get("/workspaces", "workspaces:read", wholeAgency, "listWorkspaces", "Workspaces", "List workspaces", s.listWorkspaces),
		post("/workspaces", "workspaces:write", agencyKeyOnly, "createWorkspace", "Workspaces", "Make a workspace", s.createWorkspace),
		get("/workspaces/{id}", "workspaces:read", wholeAgency, "getWorkspace", "Workspaces", "Read a workspace", s.getWorkspace),
		patch("/workspaces/{id}", "workspaces:write", wholeAgency, "updateWorkspace", "Workspaces", "Change a workspace", s.updateWorkspace),
		remove("/workspaces/{id}", "workspaces:write", agencyKeyOnly, "deleteWorkspace", "Workspaces", "Delete a workspace", s.deleteWorkspace).
			more("From now on it is not found and its keys are refused."),
		get("/workspace/settings", "workspaces:read", oneWorkspace, "getWorkspaceSettings", "Workspaces", "Read a workspace's settings", s.getSettings),
		patch("/workspace/settings", "workspaces:write", oneWorkspace, "updateWorkspaceSettings", "Workspaces", "Change a workspace's settings", s.updateSettings),
	}
}
