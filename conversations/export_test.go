package conversations

import "fmt"

// Computed are the statements that are put together when the package starts.
var Computed = map[string]string{
	"claimSQL":             claimSQL,
	"contactByExternalSQL": contactByExternalSQL,
	"contactForUpdateSQL":  contactForUpdateSQL,
	"contactKeyShareSQL":   contactKeyShareSQL,
	"eraseContactSQL":      eraseContactSQL,
	"getContactSQL":        getContactSQL,
	"getConversationSQL":   fmt.Sprintf(getConversationSQL, "true"), // with a condition
	"getTurnSQL":           getTurnSQL,
	"handledTurnSQL":       handledTurnSQL,
	"listContactsSQL":      listContactsSQL,
	"lockSQL":              lockSQL,
	"messageByClientSQL":   messageByClientSQL,
	"missedSQL":            missedSQL,
	"pageContactsSQL":      pageContactsSQL,
	"pageMessagesSQL":      pageMessagesSQL,
	"pendingTurnSQL":       pendingTurnSQL,
	"suggestionsSQL":       suggestionsSQL,
	"threadMessagesSQL":    threadMessagesSQL,
	"turnContactSQL":       turnContactSQL,
	"turnConversationSQL":  turnConversationSQL,
	"turnHistorySQL":       turnHistorySQL,
	"turnMessagesSQL":      turnMessagesSQL,
	"turnOfMessageSQL":     turnOfMessageSQL,
}
