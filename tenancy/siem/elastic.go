package siem

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"unicode"
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
	return judge(a.body, batch)
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
func judge(body []byte, batch []message) (map[int]string, error) {
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
				rejects[i] = visible(item.Error.Type+": "+item.Error.Reason, 500)
			}
		default: // 429 and whatever else may pass; what was created is there the next time
			return nil, failure("the sink answered %s for an event", statusText(item.Status))
		}
	}
	return rejects, nil
}

// visible is a foreign text as it may be shown: cut to n bytes, of what can be seen.
func visible(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	for len(text) > n {
		text = strings.ToValidUTF8(text[:n], "")
	}
	return text
}
