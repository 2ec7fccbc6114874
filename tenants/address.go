package tenants

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// WrongAddress tells what is wrong with the address of a web page or a
// receiver, to follow "The url"; empty: nothing.
func WrongAddress(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http":
		return "must be an http or https address."
	case u.Hostname() == "" || unspecified(u.Hostname()):
		return "must name a host."
	case u.User != nil:
		return "must not hold a name or password."
	case u.Port() == "":
		return ""
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return "must have a port from 1 to 65535, or none."
	}
	return ""
}

func unspecified(host string) bool {
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsUnspecified()
}
