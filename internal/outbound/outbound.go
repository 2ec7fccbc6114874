// Package outbound is the only way out to the internet. Crawling and webhooks
// fetch addresses that customers typed in, so each connection is checked on
// the address that is really dialled: a name that resolves to a public address
// when it is looked at, and to a private one when it is used, gains nothing.
package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrBlocked says that an address is none that this installation may connect to.
var ErrBlocked = errors.New("address not allowed")

// Policy is what the operator allows besides the public internet.
type Policy struct {
	AllowLoopback bool // 127.0.0.0/8 and ::1
	AllowPrivate  bool // RFC 1918 and fc00::/7
}

const (
	dialTimeout    = 5 * time.Second
	maxHeaderBytes = 32 << 10
)

// special are the networks of the IANA special-purpose registries that no
// public server answers on, or that carry another address inside (NAT64, 6to4,
// Teredo, IPv4-compatible), which would hide a private one.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	"3fff::/20", "5f00::/16", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// Permits tells whether the policy lets a connection to the address through.
func (p Policy) Permits(addr netip.Addr) bool {
	// A mapped IPv4 address is dialled as IPv4; a zone would keep every prefix
	// from matching.
	addr = addr.Unmap().WithZone("")
	switch {
	case !addr.IsValid():
		return false
	case addr.IsLoopback():
		return p.AllowLoopback
	case addr.IsPrivate():
		return p.AllowPrivate
	}
	for _, prefix := range special {
		if prefix.Contains(addr) {
			return false
		}
	}
	return true
}

// NewClient makes a client that keeps to the policy. It uses no proxy and
// follows no redirect: the caller sees the 3xx and decides. The timeout covers
// the whole exchange, the body included; bounding the body's size is the
// caller's part.
func NewClient(policy Policy, timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil || !policy.Permits(target.Addr()) {
			return fmt.Errorf("connect to %s: %w", address, ErrBlocked)
		}
		return nil
	}}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			IdleConnTimeout:        30 * time.Second,
			MaxIdleConnsPerHost:    4,
			ForceAttemptHTTP2:      true,
		},
	}
}
