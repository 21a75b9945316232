package siem

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// splunkSender speaks to Splunk's HTTP Event Collector: events one after the other under gzip, code 0 as the
// answer, and, where the token has indexer acknowledgment, questions until the batch is indexed.
type splunkSender struct{ *link }

// splunkEvent is an event with what Splunk files it under.
type splunkEvent struct {
	Time       json.Number     `json:"time"`
	Host       string          `json:"host,omitempty"`
	Source     string          `json:"source"`
	SourceType string          `json:"sourcetype"`
	Index      string          `json:"index,omitempty"`
	Event      json.RawMessage `json:"event"`
}

// What the codes of HEC mean, for people.
var splunkCodes = map[int]string{
	1: "the token is disabled", 2: "a token is required", 3: "the credential is not of the form of a token", 4: "it does not know the token",
	5: "it saw no data", 6: "it cannot read the events", 7: "the token may not write to this index", 8: "it has an error of its own", 9: "it is busy",
	10: "the token has indexer acknowledgment on: say so in the stream", 11: "it does not take the channel", 14: "the token has indexer acknowledgment off: say so in the stream",
	18: "its queues are full", 19: "its queues are full and acknowledgments are not there",
}

func (s *splunkSender) header() http.Header {
	h := http.Header{"Authorization": {"Splunk " + s.credential}, "Content-Type": {"application/json"}}
	if s.Acknowledge {
		h.Set("X-Splunk-Request-Channel", s.id.String()) // numbers of acknowledgments count within it
	}
	return h
}

func (s *splunkSender) send(ctx context.Context, batch []message) (map[int]string, error) {
	var body bytes.Buffer
	out := json.NewEncoder(&body)
	for i := range batch {
		at := batch[i].record.At
		if err := out.Encode(splunkEvent{
			Time: json.Number(fmt.Sprintf("%d.%06d", at.Unix(), at.Nanosecond()/1000)), Host: s.host, Source: "biocore", SourceType: "biocore:audit:" + string(s.Format),
			Index: s.Index, Event: batch[i].body,
		}); err != nil {
			return nil, fmt.Errorf("encode event: %w", err)
		}
	}
	small, err := zipped(body.Bytes())
	if err != nil {
		return nil, err
	}
	h := s.header()
	h.Set("Content-Encoding", "gzip")
	a, err := s.post(ctx, s.Address+"/services/collector/event", small, h)
	if err != nil {
		return nil, s.say(a, err)
	}
	var said struct {
		Code  *int   `json:"code"`
		AckID *int64 `json:"ackId"`
	}
	switch err := json.Unmarshal(a.body, &said); {
	case err != nil || said.Code == nil:
		return nil, failure("the sink answered 200 without saying that it took the events: is it Splunk's collector?")
	case *said.Code != 0:
		return nil, s.say(a, failure("the sink answered 200 and code %d", *said.Code))
	case !s.Acknowledge:
		return map[int]string{}, nil
	case said.AckID == nil:
		return nil, failure("Splunk gave no number to ask for the acknowledgment by: the token has indexer acknowledgment off")
	}
	return nil, s.await(ctx, *said.AckID)
}

// say adds to a failure what the collector's code means.
func (s *splunkSender) say(a answer, err error) error {
	f, ok := err.(*SinkError) //nolint:errorlint // it is ours, as post returns it
	if !ok {
		return err
	}
	var said struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(a.body, &said) == nil && splunkCodes[said.Code] != "" {
		f.Text += ": Splunk says that " + splunkCodes[said.Code]
	}
	return f
}

// await asks until the batch is indexed. Splunk forgets what it has told: a number is asked for no more
// once it was true.
func (s *splunkSender) await(ctx context.Context, id int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timing.acknowledge, failure("Splunk took the events and did not acknowledge that they are indexed"))
	defer cancel()
	question := []byte(`{"acks":[` + strconv.FormatInt(id, 10) + `]}`)
	for {
		a, err := s.post(ctx, s.Address+"/services/collector/ack?channel="+s.id.String(), question, s.header())
		if ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			return s.say(a, err)
		}
		var said struct {
			Acks map[string]bool `json:"acks"`
		}
		if err := json.Unmarshal(a.body, &said); err != nil || said.Acks == nil {
			return failure("Splunk's answer about an acknowledgment cannot be read")
		}
		if said.Acks[strconv.FormatInt(id, 10)] {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(s.timing.poll):
		}
	}
}
