package siem

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// elasticSender speaks to _bulk of Elasticsearch and OpenSearch. Each event is created under the entry's id,
// so that one which is sent again is not there twice: 409 says that it is there.
type elasticSender struct{ *link }

func (s *elasticSender) send(ctx context.Context, batch []message) (map[int]string, error) {
	var body bytes.Buffer
	for i := range batch {
		body.WriteString(`{"create":{"_id":"` + batch[i].record.ID.String() + `"}}` + "\n")
		body.Write(s.document(&batch[i]))
		body.WriteByte('\n')
	}
	small, err := zipped(body.Bytes())
	if err != nil {
		return nil, err
	}
	authorization := "ApiKey " + s.credential
	if strings.Contains(s.credential, ":") {
		authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(s.credential))
	}
	a, err := s.post(ctx, s.Address+"/"+url.PathEscape(s.Index)+"/_bulk", small, http.Header{
		"Authorization": {authorization}, "Content-Type": {"application/x-ndjson"}, "Content-Encoding": {"gzip"}, "Accept": {"application/json"},
	})
	if err != nil {
		return nil, err
	}
	return judge(a.body, batch, s.document)
}

// document is an event as it is indexed. Data streams demand @timestamp, which only ECS has by itself.
func (s *elasticSender) document(m *message) []byte {
	if s.Format == ECS {
		return m.body
	}
	return append([]byte(`{"@timestamp":"`+stamp(m.record.At)+`",`), m.body[1:]...)
}

// bulkItem is what became of one event.
type bulkItem struct {
	ID     string `json:"_id"`
	Status int    `json:"status"`
	Error  *struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"error"`
}

// judge reads an answer of _bulk, which is 200 also when nothing was taken: each event has a status of its own.
func judge(body []byte, batch []message, document func(*message) []byte) (map[int]string, error) {
	var said struct {
		Errors *bool                 `json:"errors"`
		Items  []map[string]bulkItem `json:"items"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Errors == nil || len(said.Items) != len(batch) {
		return nil, failure("the sink answered 200 without saying what became of each event: is it Elasticsearch or OpenSearch?")
	}
	rejects := map[int]string{}
	for i, named := range said.Items {
		item, ok := named["create"]
		if !ok || item.ID != batch[i].record.ID.String() {
			return nil, failure("the sink's answer is about other events than were sent")
		}
		switch item.Status {
		case http.StatusOK, http.StatusCreated, http.StatusConflict: // it is there
		case http.StatusBadRequest: // a mapping or a pipeline refuses it, and will again
			rejects[i] = "400"
			if item.Error != nil {
				rejects[i] = refusal(item.Error.Type, item.Error.Reason, document(&batch[i]))
			}
		default: // 429 and whatever else may pass; what was created is there the next time
			return nil, failure("the sink answered %s for an event", statusText(item.Status))
		}
	}
	return rejects, nil
}

// refusal is what may be kept of the sink's words about an event: the code, and which fields it names. What else it says may be of
// the event itself, such as a "preview of field's value", and would outlive the person that it tells of.
func refusal(code, words string, document []byte) string {
	if !plainCode.MatchString(code) {
		code = "400"
	}
	members := map[string]bool{}
	var event any
	if json.Unmarshal(document, &event) == nil {
		addMembers(members, event)
	}
	var fields []string
	for _, found := range bracketed.FindAllStringSubmatch(words, maxRefusalFields*10) {
		name := found[1]
		known := !slices.Contains(fields, name)
		for part := range strings.SplitSeq(name, ".") {
			known = known && members[part]
		}
		if known && len(fields) < maxRefusalFields {
			fields = append(fields, name)
		}
	}
	if len(fields) == 0 {
		return code
	}
	return code + ": " + strings.Join(fields, ", ")
}

const maxRefusalFields = 3

var (
	plainCode = regexp.MustCompile(`^[a-z_]{1,80}$`)
	bracketed = regexp.MustCompile(`\[([a-zA-Z0-9_@.]{1,80})\]`) // as in "failed to parse field [source.ip] of type [ip]"
)

// addMembers adds the names of all members of JSON: they are ours.
func addMembers(names map[string]bool, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			names[name] = true
			if name != "unmapped" && name != "detail" && name != "before" && name != "after" {
				addMembers(names, inner)
			}
		}
	case []any:
		for _, inner := range v {
			addMembers(names, inner)
		}
	}
}
