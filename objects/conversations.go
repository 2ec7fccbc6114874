package objects

// Message is an entry of a conversation.
type Message struct {
	Object string `json:"object" enum:"message" doc:"Always message."`
}
