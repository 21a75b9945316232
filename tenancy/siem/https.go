package siem

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
)

// httpsSender sends a batch as one JSON object, signed as Standard Webhooks 1.0 has it. Any 2xx acknowledges
// the batch. It tells the numbers of its first and last entry; what a filter leaves out is a gap between them.
type httpsSender struct{ *link }

func (s *httpsSender) send(ctx context.Context, batch []message) (map[int]string, error) {
	first, last := batch[0].seq, batch[len(batch)-1].seq
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"logStreamId":"%s","tenantId":"%s","format":"%s",`, s.id, s.tenant, s.Format)
	if first >= 0 {
		fmt.Fprintf(&body, `"firstSeq":%d,"lastSeq":%d,`, first, last)
	} else {
		body.WriteString(`"test":true,`)
	}
	body.WriteString(`"events":[`)
	for i := range batch {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(batch[i].body)
	}
	body.WriteString("]}")
	key, ok := signingKey(s.credential)
	if !ok {
		return nil, failure("the stream has no signing secret")
	}
	// The same batch of the same stream has the same id, whenever it is sent: repeats are told by it.
	id := fmt.Sprintf("ls_%s_%d_%d_%d", s.id, s.version, first, last)
	if first < 0 {
		id = "ls_test_" + batch[0].record.ID.String()
	}
	at := strconv.FormatInt(s.now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body.Bytes())
	_, err := s.post(ctx, s.Address, body.Bytes(), http.Header{
		"Content-Type": {"application/json"}, "Idempotency-Key": {id},
		"Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	})
	return nil, err
}
