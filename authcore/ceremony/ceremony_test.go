package ceremony_test

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/ceremony"
)

func TestNewNamesWhatIsMissing(t *testing.T) {
	_, err := ceremony.New(ceremony.Options{})
	if err == nil || !strings.HasSuffix(err.Error(), "is required") {
		t.Errorf("New = %v", err)
	}
}
