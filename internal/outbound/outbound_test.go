package outbound

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestOnlyPublicAddressesArePermittedByDefault(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "::127.0.0.1",
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "::ffff:10.0.0.1", "fd00::1", "fc00::1",
		"169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1", "100.64.0.1",
		"64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::", "2001:0:1::", "2001:db8::1",
		"192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
	} {
		if (Policy{}).Permits(netip.MustParseAddr(text)) {
			t.Errorf("%s is permitted", text)
		}
	}
	for _, text := range []string{"93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:2800:220:1::1", "::ffff:8.8.8.8"} {
		if !(Policy{}).Permits(netip.MustParseAddr(text)) {
			t.Errorf("%s is not permitted", text)
		}
	}
	if (Policy{AllowLoopback: true, AllowPrivate: true}).Permits(netip.Addr{}) {
		t.Error("no address at all is permitted")
	}
}

func TestEachAllowanceOpensOnlyItsOwnNetworks(t *testing.T) {
	t.Parallel()
	loopback, private, metadata := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("169.254.169.254")
	if p := (Policy{AllowLoopback: true}); !p.Permits(loopback) || p.Permits(private) || p.Permits(metadata) {
		t.Error("AllowLoopback does not mean loopback alone")
	}
	if p := (Policy{AllowPrivate: true}); p.Permits(loopback) || !p.Permits(private) || p.Permits(metadata) {
		t.Error("AllowPrivate does not mean private networks alone")
	}
}

func TestTheAddressIsCheckedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		res, err := get(t, Policy{}, "http://"+host+port)
		if err == nil {
			res.Body.Close()
		}
		if !errors.Is(err, ErrBlocked) {
			t.Errorf("%s: %v, want ErrBlocked", host, err)
		}
	}
	if asked {
		t.Error("a blocked server was asked")
	}
}

func TestARedirectIsHandedToTheCaller(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the redirect to %s was followed", r.URL.Path)
		}
		http.Redirect(w, r, "/secret", http.StatusFound)
	}))
	defer server.Close()
	res, err := get(t, Policy{AllowLoopback: true}, server.URL+"/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusFound || res.Header.Get("Location") != "/secret" {
		t.Errorf("got %s to %q", res.Status, res.Header.Get("Location"))
	}
}

func get(t *testing.T, policy Policy, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(policy, 5*time.Second)
	t.Cleanup(client.CloseIdleConnections)
	return client.Do(req)
}
