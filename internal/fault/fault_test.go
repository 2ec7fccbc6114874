package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAFaultIsFoundInAChain(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("accept: %w", New(Conflict, "already_accepted", "Another member has it."))
	if f := Of(err); f.Kind != Conflict || f.Code != "already_accepted" {
		t.Errorf("Of = %+v", f)
	}
}

func TestAnUnknownErrorIsInternalAndItsTextIsNotToBeShown(t *testing.T) {
	t.Parallel()
	cause := errors.New("password=hunter2")
	f := Of(fmt.Errorf("query: %w", cause))
	if f.Kind != Internal || f.Code != "internal_error" || strings.Contains(f.Detail, "hunter2") {
		t.Errorf("Of = %+v", f)
	}
	if !errors.Is(f, cause) {
		t.Error("the cause is lost for the log")
	}
}

func TestBecauseLeavesTheOriginalAlone(t *testing.T) {
	t.Parallel()
	original := New(NotFound, "not_found", "There is no such %s.", "page")
	cause := errors.New("no rows")
	if got := original.Because(cause); !errors.Is(got, cause) || got.Detail != "There is no such page." {
		t.Errorf("Because = %v", got)
	}
	if errors.Unwrap(original) != nil {
		t.Error("a shared fault was changed")
	}
}
