package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/internal/fault"
)

type stated string

func (s stated) Error() string    { return "secret of the database" }
func (s stated) SQLState() string { return string(s) }

func TestAFailureHasTheStatusOfItsNatureAndNoInsides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"unknown":             {errors.New("secret"), 500, "internal_error"},
		"a fault":             {fmt.Errorf("secret: %w", fault.New(fault.NotFound, "not_found", "No such thing.")), 404, "not_found"},
		"a code to come":      {fault.New(fault.Conflict, "something_new", "It is new."), 409, "something_new"},
		"its cause":           {fault.New(fault.Invalid, "validation_failed", "No.").Because(errors.New("secret")), 422, "validation_failed"},
		"the database stops":  {fmt.Errorf("read: %w", stated("57P01")), 503, "unavailable"},
		"a deadlock":          {stated("40P01"), 503, "unavailable"},
		"a broken constraint": {stated("23505"), 500, "internal_error"},
		"no connection":       {fmt.Errorf("read: %w", &net.OpError{Op: "dial", Err: errors.New("secret")}), 503, "unavailable"},
		"cut off":             {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), 503, "unavailable"},
		"too slow":            {fmt.Errorf("read: %w", context.DeadlineExceeded), 503, "unavailable"},
	} {
		p := problemOf("req_1", c.err)
		if p.Status != c.status || p.Code != c.code || p.RequestID != "req_1" || p.Title == "" {
			t.Errorf("%s: %+v", name, p)
		}
		if got := fmt.Sprint(p.Detail, p.Errors, p.Title); strings.Contains(got, "secret") {
			t.Errorf("%s tells %q", name, got)
		}
		if retry := p.header.Get("X-Should-Retry"); (retry == "false") != (c.status == http.StatusConflict) {
			t.Errorf("%s: X-Should-Retry %q", name, retry)
		}
	}
}
