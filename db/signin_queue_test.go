package db

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// A row named "a/c1/x": tenant a, credential c1, challenge x.
func queued(t *testing.T, q *signInQueue, tenant, credential, challenge string) *signInRow {
	t.Helper()
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(tenant))
	r := newSignInRow(scope.New(id, scope.Actor{Kind: scope.ActorAPIKey, ID: tenant}), SignIn{
		ID: uuid.New(), CredentialID: []byte(credential), ChallengeHash: sha256.Sum256([]byte(challenge)),
		Facts: []byte(tenant + "/" + credential + "/" + challenge),
	})
	if err := q.push(r); err != nil {
		t.Fatalf("push %s: %v", r.Facts, err)
	}
	return r
}

func names(rows []*signInRow) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = string(r.Facts)
	}
	return out
}

func fast() *writer {
	return &writer{lane: laneFast, least: 1, maxRows: maxRows, awake: make(chan struct{}, 1)}
}

func TestTenantsTakeTurns(t *testing.T) {
	q := newSignInQueue()
	for i := range 1000 {
		queued(t, q, "noisy", "n"+strconv.Itoa(i), "x"+strconv.Itoa(i))
	}
	queued(t, q, "quiet", "q", "y")
	queued(t, q, "calm", "c", "z")
	batch := q.take(fast(), nil)
	if len(batch) != maxRowsPerTenant+2 {
		t.Errorf("the batch holds %d rows, want %d of the noisy tenant and the two others", len(batch), maxRowsPerTenant)
	}
	got := names(batch)
	if want := []string{"noisy/n0/x0", "quiet/q/y", "calm/c/z", "noisy/n1/x1"}; !slices.Equal(got[:4], want) {
		t.Errorf("the batch begins with %v, want %v", got[:4], want)
	}
	// The rest keeps its order.
	if next := names(q.take(fast(), nil)); next[0] != "noisy/n16/x16" || len(next) != maxRowsPerTenant {
		t.Errorf("the second batch is %v", next)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	q := newSignInQueue()
	for i := range 100 {
		queued(t, q, "t"+strconv.Itoa(i), "c", "x")
	}
	first, second := q.take(fast(), nil), q.take(fast(), nil)
	if len(first) != maxRows || len(second) != 100-maxRows {
		t.Fatalf("batches of %d and %d rows, want %d and %d", len(first), len(second), maxRows, 100-maxRows)
	}
	if second[0].tenant == first[0].tenant {
		t.Error("a tenant had a second turn before all had their first")
	}
}

// What shares a credential or a challenge waits for its predecessor, in order, and
// nobody else waits for it.
func TestSharersAreDeferred(t *testing.T) {
	q := newSignInQueue()
	first := queued(t, q, "a", "c1", "x1")
	queued(t, q, "a", "c1", "x2")
	queued(t, q, "a", "c1", "x3")
	replay := queued(t, q, "a", "c2", "x1")
	queued(t, q, "a", "c3", "x4")
	queued(t, q, "b", "c1", "x1") // another tenant's: not the same

	batch := q.take(fast(), nil)
	if got, want := names(batch), []string{"a/c1/x1", "b/c1/x1", "a/c3/x4"}; !slices.Equal(got, want) {
		t.Fatalf("first batch %v, want %v", got, want)
	}
	// Another writer finds nothing: all that waits, waits for rows in flight.
	queued(t, q, "c", "c", "x")
	if got, want := names(q.take(fast(), nil)), []string{"c/c/x"}; !slices.Equal(got, want) {
		t.Fatalf("second batch %v, want %v", got, want)
	}
	q.finish([]*signInRow{first}, nil)
	if got, want := names(q.take(fast(), nil)), []string{"a/c2/x1", "a/c1/x2"}; !slices.Equal(sorted(got), sorted(want)) {
		t.Fatalf("third batch %v, want %v", got, want)
	}
	if q.withdraw(replay) {
		t.Error("a row in flight was withdrawn")
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }

func TestWithdraw(t *testing.T) {
	q := newSignInQueue()
	gone := queued(t, q, "a", "c1", "x1")
	queued(t, q, "a", "c2", "x2")
	if !q.withdraw(gone) {
		t.Fatal("a waiting row was not withdrawn")
	}
	if q.withdraw(gone) {
		t.Error("withdrawn twice")
	}
	if n := q.stats().Waiting; n != 1 {
		t.Errorf("waiting = %d, want 1", n)
	}
	if got, want := names(q.take(fast(), nil)), []string{"a/c2/x2"}; !slices.Equal(got, want) {
		t.Errorf("batch %v, want %v", got, want)
	}
}

// A row in a slow lane keeps its credential, so that the next sign-in by it does not
// stop the fast lane too. Once it is gone, withdrawn or answered, the next goes on.
func TestRetriedRowsKeepTheirKeys(t *testing.T) {
	for name, end := range map[string]func(*signInQueue, *signInRow){
		"answered": func(q *signInQueue, r *signInRow) {
			alone := &writer{lane: laneAlone, least: 1, maxRows: 1, awake: make(chan struct{}, 1)}
			if got := q.take(alone, nil); len(got) != 1 || got[0] != r {
				t.Errorf("slow lane gave %v", names(got))
			}
			q.finish([]*signInRow{r}, nil)
		},
		"withdrawn": func(q *signInQueue, r *signInRow) {
			if !q.withdraw(r) {
				t.Error("a row that waits in a slow lane was not withdrawn")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := newSignInQueue()
			locked := queued(t, q, "a", "c1", "x1")
			q.retry(laneAlone, q.take(fast(), nil))
			queued(t, q, "a", "c1", "x2")
			queued(t, q, "a", "c2", "x3")
			batch := q.take(fast(), nil)
			if got, want := names(batch), []string{"a/c2/x3"}; !slices.Equal(got, want) {
				t.Fatalf("beside the locked row: %v, want %v", got, want)
			}
			end(q, locked)
			if got, want := names(q.take(fast(), nil)), []string{"a/c1/x2"}; !slices.Equal(got, want) {
				t.Errorf("after it: %v, want %v", got, want)
			}
		})
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	q := newSignInQueue()
	push := func(tenant int, i int) error {
		id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, tenant))
		return q.push(newSignInRow(scope.New(id, scope.Actor{Kind: scope.ActorAPIKey, ID: "k"}),
			SignIn{CredentialID: fmt.Append(nil, i), ChallengeHash: sha256.Sum256(fmt.Append(nil, tenant, i))}))
	}
	for i := range maxWaitingPerTenant {
		if err := push(0, i); err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
	}
	if err := push(0, maxWaitingPerTenant); !errors.Is(err, ErrOverloaded) {
		t.Errorf("one tenant's flood: %v, want %v", err, ErrOverloaded)
	}
	for i := range maxWaiting - maxWaitingPerTenant {
		if err := push(1+i, i); err != nil {
			t.Fatalf("the others' row %d: %v", i, err)
		}
	}
	if err := push(-1, 0); !errors.Is(err, ErrOverloaded) {
		t.Errorf("past all: %v, want %v", err, ErrOverloaded)
	}
	q.take(fast(), nil)
	if err := push(-1, 0); err != nil {
		t.Errorf("after a batch has left: %v", err)
	}
	q.close()
	if err := push(-2, 0); !errors.Is(err, ErrUnavailable) {
		t.Errorf("closed: %v, want %v", err, ErrUnavailable)
	}
}

// Writers sleep until there is something for them: the second until many wait, all
// of them end when the queue is closed and the last row in flight is answered.
func TestWritersWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newSignInQueue()
		taken := make(chan string, 100)
		hold := make(chan struct{})
		work := func(w *writer, name string) {
			w.awake = make(chan struct{}, 1)
			for batch := q.take(w, nil); len(batch) > 0; batch = q.take(w, nil) {
				taken <- name + strconv.Itoa(len(batch))
				<-hold
				q.finish(batch, nil)
			}
			taken <- name + " ended"
		}
		go work(&writer{lane: laneFast, least: 1, maxRows: maxRows}, "first ")
		go work(&writer{lane: laneFast, least: secondWriter, maxRows: maxRows}, "second ")
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for len(taken) > 0 {
				got = append(got, <-taken)
			}
			if !slices.Equal(sorted(got), sorted(want)) {
				t.Fatalf("writers took %q, want %q", got, want)
			}
		}
		push := func(n int) {
			for range n {
				queued(t, q, uuid.NewString(), "c", "x")
			}
		}
		expect()
		push(1)
		expect("first 1")
		push(secondWriter - 1)
		expect() // the first is busy, and it is too little for the second
		push(1)
		expect("second 16")
		push(3)
		q.close()
		expect()
		hold <- struct{}{}
		hold <- struct{}{}
		expect("first 3")
		hold <- struct{}{}
		expect("first  ended", "second  ended")
	})
}

func TestCleanText(t *testing.T) {
	for in, want := range map[string]string{
		"Mozilla/5.0":     "Mozilla/5.0",
		"nul\x00byte":     "nul�byte",
		"\xff\xfe broken": "� broken",
		"Grüße, 世界":       "Grüße, 世界",
	} {
		if got := string(clean([]byte(in))); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}
