package stats

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Kind is what sort of ceremony something was counted of, as it stands in its row.
type Kind string

// The kinds.
const (
	SignIn       Kind = "AUTHENTICATION"
	Registration Kind = "REGISTRATION"
)

// The outcomes of a ceremony, as they stand in its row.
const (
	allow  = "ALLOW"
	stepUp = "STEP_UP"
	deny   = "DENY"
)

// Counts is what the ceremonies of some stretch of time came to. Counts of stretches add
// up to the counts of all of them. The zero value is of none. Its JSON form is
// stats_counts.counts.
type Counts struct {
	// Outcomes counts by kind/outcome/reason: AUTHENTICATION/DENY/SIGN_COUNT_ROLLBACK.
	Outcomes map[string]int64 `json:"outcomes,omitempty"`
	// Models counts sign-ins that were let in by the AAGUID of the authenticator.
	Models map[string]int64 `json:"models,omitempty"`
	// Latency is how long the server took to finish, by kind; nil where nobody measured.
	Latency map[Kind]*Histogram `json:"latency,omitempty"`
	// First, Second and Further count passkeys that were made by users who had none, one,
	// and more.
	First   int64 `json:"first,omitempty"`
	Second  int64 `json:"second,omitempty"`
	Further int64 `json:"further,omitempty"`
}

func parseCounts(text string) (Counts, error) {
	var c Counts
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return Counts{}, fmt.Errorf("counts: %w", err)
	}
	return c, nil
}

// add adds what o counted to c. o is left as it is.
func (c *Counts) add(o *Counts) {
	c.Outcomes = addAll(c.Outcomes, o.Outcomes)
	c.Models = addAll(c.Models, o.Models)
	for kind, h := range o.Latency {
		c.histogram(kind).merge(h)
	}
	c.First += o.First
	c.Second += o.Second
	c.Further += o.Further
}

func addAll(to, from map[string]int64) map[string]int64 {
	if to == nil && len(from) > 0 {
		to = make(map[string]int64, len(from))
	}
	for key, n := range from {
		to[key] += n
	}
	return to
}

func (c *Counts) histogram(kind Kind) *Histogram {
	if c.Latency == nil {
		c.Latency = map[Kind]*Histogram{}
	}
	if c.Latency[kind] == nil {
		c.Latency[kind] = &Histogram{}
	}
	return c.Latency[kind]
}

// Outcomes says how ceremonies of a kind ended.
type Outcomes struct {
	Allowed   int64
	SteppedUp int64 // more was asked for
	Denied    int64 // by policy
	Failed    int64 // the ceremony itself was refused
}

// All counts them all.
func (o Outcomes) All() int64 { return o.Allowed + o.SteppedUp + o.Denied + o.Failed }

// Success is the share that was let in, of 0 to 1; false where there was none at all.
func (o Outcomes) Success() (float64, bool) {
	if o.All() == 0 {
		return 0, false
	}
	return float64(o.Allowed) / float64(o.All()), true
}

// Of returns how the ceremonies of a kind ended.
func (c *Counts) Of(kind Kind) Outcomes {
	var o Outcomes
	for key, n := range c.Outcomes {
		of, rest, _ := strings.Cut(key, "/")
		if Kind(of) != kind {
			continue
		}
		switch outcome, _, _ := strings.Cut(rest, "/"); outcome {
		case allow:
			o.Allowed += n
		case stepUp:
			o.SteppedUp += n
		case deny:
			o.Denied += n
		default:
			o.Failed += n
		}
	}
	return o
}

// Reason is why ceremonies of a kind ended as they did.
type Reason struct {
	Kind    Kind
	Outcome string // STEP_UP, DENY or FAILED
	Reason  string // of the error catalogue, or of a decision
	Count   int64
}

// Reasons returns why ceremonies were not let in, the most frequent first.
func (c *Counts) Reasons() []Reason {
	var out []Reason
	for key, n := range c.Outcomes {
		kind, rest, _ := strings.Cut(key, "/")
		outcome, reason, _ := strings.Cut(rest, "/")
		if outcome != allow {
			out = append(out, Reason{Kind(kind), outcome, reason, n})
		}
	}
	slices.SortFunc(out, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

// Model is how often a model of authenticators was used.
type Model struct {
	AAGUID  uuid.UUID // zero: the authenticator does not say
	SignIns int64
}

// ByModel returns the models that signed somebody in, the most frequent first.
func (c *Counts) ByModel() []Model {
	out := make([]Model, 0, len(c.Models))
	for text, n := range c.Models {
		id, err := uuid.Parse(text)
		if err != nil {
			continue // a row's facts are older than the fact
		}
		out = append(out, Model{id, n})
	}
	slices.SortFunc(out, func(a, b Model) int {
		return cmp.Or(cmp.Compare(b.SignIns, a.SignIns), cmp.Compare(a.AAGUID.String(), b.AAGUID.String()))
	})
	return out
}

// Quantile returns the time within which the share q, of 0 to 1, of the ceremonies of a
// kind was finished; false where no latency is known.
func (c *Counts) Quantile(kind Kind, q float64) (time.Duration, bool) {
	h := c.Latency[kind]
	if h == nil {
		return 0, false
	}
	return h.Quantile(q)
}

// perOctave is how many buckets the histogram has for each doubling: a bucket is 9 % wide,
// so that a quantile is at most 4.5 % off.
const perOctave = 8

// maxBucket is 2^27 µs, two minutes: nothing is finished after that.
const maxBucket = 27 * perOctave

// Histogram counts durations in buckets of a logarithmic scale: bucket i holds those from
// 2^(i/8) to 2^((i+1)/8) microseconds. All have the same buckets, so that they add up.
type Histogram struct {
	From int     `json:"from"` // the first bucket that is kept
	N    []int64 `json:"n"`
}

// Add counts n durations in a bucket.
func (h *Histogram) Add(bucket int, n int64) {
	bucket = min(max(bucket, 0), maxBucket)
	switch {
	case len(h.N) == 0:
		h.From, h.N = bucket, []int64{n}
		return
	case bucket < h.From:
		h.N = append(make([]int64, h.From-bucket, h.From-bucket+len(h.N)), h.N...)
		h.From = bucket
	}
	for len(h.N) <= bucket-h.From {
		h.N = append(h.N, 0)
	}
	h.N[bucket-h.From] += n
}

func (h *Histogram) merge(o *Histogram) {
	for i, n := range o.N {
		if n != 0 {
			h.Add(o.From+i, n)
		}
	}
}

// Quantile returns the time within which the share q falls: the middle of its bucket.
// False where there is nothing.
func (h *Histogram) Quantile(q float64) (time.Duration, bool) {
	var all int64
	for _, n := range h.N {
		all += n
	}
	if all == 0 {
		return 0, false
	}
	rank := max(1, int64(math.Ceil(q*float64(all))))
	for i, n := range h.N {
		if rank -= n; rank <= 0 {
			middle := math.Exp2((float64(h.From+i) + .5) / perOctave)
			return time.Duration(middle * float64(time.Microsecond)), true
		}
	}
	return 0, false
}
