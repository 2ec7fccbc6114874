package tenants_test

import (
	"testing"

	"github.com/relaydesk/relaydesk/tenants"
)

func TestAnAddressNamesAHostAPortThatThereIsAndNoPassword(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "x", "/x", "ftp://a.example", "http:///x", "http://:80/", "http://a.example:0", "https://a.example:65536/", "http://a.example:99999", "https://u:p@a.example", "https://u@a.example", "http://0.0.0.0/", "http://[::]:80/", "http://a\x00b/", "http://a.example:x/"} {
		if tenants.WrongAddress(bad) == "" {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, good := range []string{"http://a.example", "https://a.example:65535/x?y=z", "http://127.0.0.1:1/", "http://[::1]:8080/", "HTTPS://a.example/"} {
		if why := tenants.WrongAddress(good); why != "" {
			t.Errorf("%q %s", good, why)
		}
	}
}
