package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
)

var errGone = fault.New(fault.NotFound, "THING_UNKNOWN", "no such thing")

func TestCopiesMatchTheOriginal(t *testing.T) {
	cause := errors.New("row missing")
	err := fmt.Errorf("get thing: %w", errGone.WithCause(cause).With("field", "id").WithRetryAfter(time.Second))
	if !errors.Is(err, errGone) {
		t.Error("a copy does not match the fault that it was made from")
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if errors.Is(err, fault.New(fault.NotFound, "OTHER", "no such thing")) {
		t.Error("faults with different reasons match")
	}
	f, ok := fault.As(err)
	if !ok || f.Metadata["field"] != "id" || f.RetryAfter != time.Second {
		t.Errorf("As = %+v, %v", f, ok)
	}
	if errGone.Metadata != nil || errGone.RetryAfter != 0 {
		t.Errorf("the declared fault was changed: %+v", errGone)
	}
}
