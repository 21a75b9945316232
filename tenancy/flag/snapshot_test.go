package flag_test

import (
	"sync"
	"testing"

	"github.com/biocore-id/biocore/tenancy/flag"
)

// A snapshot is of one moment: segments and rules that come and go are never seen one without the other.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.flags.Create(t.Context(), w.acme, flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F"}}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		defer close(done)
		for range 40 {
			if _, err := w.flags.CreateSegment(t.Context(), w.acme, flag.CreateSegmentRequest{Key: "s", Name: "S"}); err != nil {
				t.Error(err)
				return
			}
			for _, rules := range [][]flag.Rule{{{When: flag.Condition{Segment: "s"}, Variant: "on"}}, {}} {
				if _, err := w.flags.Update(t.Context(), w.acme, flag.UpdateRequest{Key: "f", Rules: &rules}); err != nil {
					t.Error(err)
					return
				}
			}
			if err := w.flags.DeleteSegment(t.Context(), w.acme, flag.DeleteSegmentRequest{Key: "s"}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := w.server().Flags(t.Context(), w.acme, ""); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
