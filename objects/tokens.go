package objects

import (
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// MemberToken is a token by which a browser acts as a member.
type MemberToken struct {
	Object    string `json:"object" enum:"member_token" doc:"Always member_token."`
	ID        string `json:"id" doc:"Its id, by which it can be revoked." example:"tok_01kb2m3n4p5q6r7s8t9v0wxyza"`
	MemberID  string `json:"member_id" doc:"Who acts by it." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Token     string `json:"token" doc:"The token itself: Authorization: Bearer …" example:"eyJhbGciOiJIUzI1NiIs…"`
	ExpiresAt string `json:"expires_at" format:"date-time" doc:"When it ends."`
}

// FromMemberToken renders a token that was just made.
func FromMemberToken(t tenants.Token, member ids.ID) MemberToken {
	return MemberToken{"member_token", id(tenants.TokenPrefix, t.ID), id(ids.Member, member), t.Text, at(t.ExpiresAt)}
}

// SigningKey is a key that signs tokens.
type SigningKey struct {
	Object    string `json:"object" enum:"signing_key" doc:"Always signing_key."`
	ID        string `json:"id" doc:"Its id, the kid of the tokens that it signs." example:"sgk_01kb2m3n4p5q6r7s8t9v0wxyza"`
	CreatedAt string `json:"created_at" format:"date-time" doc:"When it was made."`
}

// FromSigningKey renders a signing key.
func FromSigningKey(k tenants.SigningKey) SigningKey {
	return SigningKey{"signing_key", id(tenants.SigningKeyPrefix, k.ID), at(k.CreatedAt)}
}
