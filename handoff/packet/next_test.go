package packet_test

import (
	"testing"

	"github.com/relaydesk/relaydesk/handoff/packet"
)

func TestTheNextStepIsNoCode(t *testing.T) {
	t.Parallel()
	const wants = "Can I talk to a person about my order?"
	hit := packet.Hit{URL: "https://help.example.com/persons", Title: "Persons", Text: "How to ask for a person, in their own words.\n" +
		`rd "$URL/messages" -d '{"text": "Thanks. Can I talk to a person about my order?"}' | field turn.status` + "\nIt prints escalated. Orders are looked at by a person within a day."}
	if got := packet.Next(wants, []packet.Hit{hit}); got == nil || got.Text != "Orders are looked at by a person within a day." {
		t.Errorf("%+v", got)
	}
	only := packet.Hit{Text: `curl "$URL/orders/person"`}
	if got := packet.Next(wants, []packet.Hit{only}); got == nil || got.Text != only.Text {
		t.Errorf("%+v", got)
	}
}

func TestWhatSharesNoWordIsNoNextStep(t *testing.T) {
	t.Parallel()
	apart := packet.Hit{Text: "We are open on weekdays. In their own words."}
	fits := packet.Hit{URL: "https://help.example.com/paid", Text: "Nothing here. Who paid twice is paid back within three days."}
	if got := packet.Next("I paid twice for my order.", []packet.Hit{apart, fits}); got == nil || got.URL != fits.URL {
		t.Errorf("%+v", got)
	}
	if got := packet.Next("I paid twice for my order.", []packet.Hit{apart}); got != nil {
		t.Errorf("%+v", got)
	}
}
