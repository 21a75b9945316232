package flag

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Explanation says why a subject gets what it gets.
type Explanation struct {
	Result
	Steps []Step // in the order in which they were looked at; the last decided
}

// Step is one thing that was looked at.
type Step struct {
	Rule    string // the rule's id; empty: the flag itself
	Decided bool
	Why     string // a sentence without its full stop, in plain English
	Bucket  Weight // of a rollout that decided: where the subject stands
}

// roomToExplain is what saying why may cost beside the evaluation. Each part of a condition is looked at again, and so is each part of that
// part: of conditions in conditions that is many times what evaluating took, which ends at the first part that decides.
const roomToExplain = 4 * maxWork

// tooLong is said of a rule that decided, or did not match, when saying why would cost more.
const tooLong = "why takes too long to say with this context: send a smaller one"

// Explain evaluates a flag and says why. It answers what Evaluate does for a subject of its own; it allocates.
func (s *Set) Explain(key string, about *Subject) Explanation {
	subject := &Subject{Key: about.Key, Attributes: about.Attributes}
	p := s.programs[key]
	if p == nil {
		return Explanation{Result: s.Evaluate(key, subject), Steps: []Step{{Decided: true, Why: FlagNotFound.Message()}}}
	}
	out := Explanation{Result: p.Evaluate(subject)}
	if out.Code == General {
		out.Steps = []Step{{Rule: p.rules[out.Rule].id, Decided: true, Why: out.Code.Message()}}
		return out
	}
	if !p.enabled {
		out.Steps = []Step{{Decided: true, Why: "the flag is off: everybody gets " + p.off.Name}}
		return out
	}
	out.Steps = append(out.Steps, Step{Why: "the flag is on"})
	subject.room = roomToExplain
	for i := range p.rules {
		r := &p.rules[i]
		step := Step{Rule: r.id, Decided: i == out.Rule}
		subject.over = false
		why := r.when.why(subject)
		if subject.over {
			why = tooLong
		}
		switch {
		case !step.Decided:
			step.Why = why
		case out.Code == TargetingKeyMissing:
			step.Why = out.Code.Message()
		case out.Code != "":
			step.Why = fmt.Sprintf("the rollout tells subjects apart by %s, which the context does not have as text or number", r.by[0])
		case r.variant != nil:
			step.Why = why
		default:
			step.Bucket, _ = p.bucket(r, &Subject{Key: subject.Key, Attributes: subject.Attributes}) // it was within bounds before
			step.Why = r.place(step.Bucket)
		}
		if out.Steps = append(out.Steps, step); step.Decided {
			return out
		}
	}
	why := "no rule matched: the default"
	if len(p.rules) == 0 {
		why = "the flag has no rules: everybody gets " + p.fallback.Name
	}
	out.Steps = append(out.Steps, Step{Decided: true, Why: why})
	return out
}

// place says in whose part a bucket lies.
func (r *rule) place(bucket Weight) string {
	from := Weight(0)
	for _, s := range r.shares {
		if bucket < s.until {
			return fmt.Sprintf("in the rollout: place %s of 100 lies in the part of %s, from %s to %s", percent(bucket), s.variant.Name, percent(from), percent(s.until))
		}
		from = s.until
	}
	return "in the rollout"
}

func percent(w Weight) string { return strconv.FormatFloat(w.Percent(), 'f', -1, 64) }

// why says what a condition found, as it holds or as it does not.
func (n *node) why(subject *Subject) string {
	holds := n.holds(subject)
	if subject.over {
		return tooLong // whatever holds says
	}
	switch n.kind {
	case asksNothing:
		return "it is for everybody"
	case asksAll, asksAny:
		var said []string
		for i := range n.inner {
			// Of an and that fails the parts that fail say why, of an or that holds those that hold; else all do.
			if n.inner[i].holds(subject) == holds {
				said = append(said, n.inner[i].why(subject))
			}
			if subject.over {
				return tooLong
			}
		}
		return strings.Join(said, "; ")
	case asksNot:
		if holds {
			return n.inner[0].why(subject)
		}
		return n.inner[0].why(subject) + ", needs not to"
	case asksSegment:
		if holds {
			return "in segment " + n.segment.key
		}
		return "not in segment " + n.segment.key
	case asksAttribute:
	}
	name := n.path[0]
	value, ok := subject.lookup(n.path)
	if !ok {
		return "there is no " + name
	}
	is := name + " is " + show(value)
	if holds || n.source.Operator == Exists {
		return is
	}
	return is + ", needs to " + n.asks()
}

// asks is an operator with its values, as an infinitive.
func (n *node) asks() string {
	first := ""
	if len(n.source.Values) > 0 {
		first = show(n.source.Values[0])
	}
	switch n.source.Operator {
	case In:
		var said []string
		for i, value := range n.source.Values {
			if i == 5 {
				said = append(said, fmt.Sprintf("%d more", len(n.source.Values)-i))
				break
			}
			said = append(said, show(value))
		}
		if len(said) == 1 {
			return "be " + said[0]
		}
		return "be one of " + strings.Join(said, ", ")
	case Contains:
		return "contain " + first
	case StartsWith:
		return "start with " + first
	case EndsWith:
		return "end with " + first
	case Matches:
		return "match " + first
	case LessThan:
		return "be under " + first
	case AtMost:
		return "be at most " + first
	case AtLeast:
		return "be at least " + first
	case GreaterThan:
		return "be over " + first
	case VersionBelow:
		return "be below version " + first
	case VersionAtLeast:
		return "be version " + first + " or newer"
	case Before:
		return "be before " + first
	case After:
		return "be after " + first
	case Exists:
	}
	return string(n.source.Operator)
}

// show is a value as people read it: text without quotes.
func show(value any) string {
	if text, ok := value.(string); ok {
		if text == "" {
			return "empty"
		}
		return cut(text)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "of a type that is not compared"
	}
	return cut(string(text))
}
