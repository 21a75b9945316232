package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/biocore-id/biocore/proto/openapi"
	"github.com/biocore-id/biocore/web/rest"
)

// operation is one of a description, with what it shows.
type operation struct {
	method, path string
	OperationID  string `yaml:"operationId"`
	Parameters   []struct {
		Name    string
		In      string
		Example any
	}
	RequestBody struct {
		Content map[string]struct{ Example any }
	} `yaml:"requestBody"`
	Responses map[string]response
	Security  []map[string]any // of its own: [] for anybody
}

type response struct {
	Ref     string `yaml:"$ref"` // of a shared one, which is an error
	Content map[string]struct{ Example any }
}

// forms are the media types of an answer.
func (op *operation) forms(status int) []string {
	r := op.Responses[strconv.Itoa(status)]
	if r.Ref != "" {
		return []string{"application/json"}
	}
	return slices.Collect(maps.Keys(r.Content))
}

// at is the path with what it names, and the query: of own, or as the example has it.
func (op *operation) at(t *testing.T, own map[string]string) string {
	t.Helper()
	path, query := op.path, url.Values{}
	for _, p := range op.Parameters {
		value, known := own[p.Name]
		if !known && p.Example != nil {
			value = textOf(t, p.Example)
		}
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
		case p.In == "query" && value != "":
			query.Set(p.Name, value)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

// operations are those of a description that are methods of its package.
func operations(t *testing.T, raw []byte) []operation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]operation
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var all []operation
	for path, item := range doc.Paths {
		for method, op := range item {
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.OperationID, b.OperationID) })
	return all
}

// methodsOf are a package's by their names.
func methodsOf(pkg protoreflect.FullName) map[string]protoreflect.MethodDescriptor {
	all := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage(pkg, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				m := file.Services().Get(i).Methods().Get(j)
				all[string(m.Name())] = m
			}
		}
		return true
	})
	return all
}

// What the reference shows as an answer is what this server would write of it, byte for byte
// but for white space: the members that are always there, and no other.
func TestExamplesAreAsTheServerWrites(t *testing.T) {
	for pkg, raw := range map[protoreflect.FullName][]byte{"biocore.auth.v1": openapi.Auth(), "biocore.admin.v1": openapi.Admin()} {
		methods := methodsOf(pkg)
		for _, op := range operations(t, raw) {
			method := methods[op.OperationID]
			if method == nil {
				continue // no rpc
			}
			example, err := json.Marshal(op.Responses["200"].Content["application/json"].Example)
			if err != nil {
				t.Fatal(err)
			}
			mt, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
			if err != nil {
				t.Fatal(err)
			}
			m := mt.New().Interface()
			if err := protojson.Unmarshal(example, m); err != nil {
				t.Errorf("%s: %v", op.OperationID, err)
				continue
			}
			if written := codecJSON(t, m); !sameJSON(t, example, written) {
				t.Errorf("%s: the example is\n%s\nand the server writes\n%s", op.OperationID, example, written)
			}
		}
	}
}

func codecJSON(t *testing.T, m proto.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (rest.Codec{}).MarshalWrite(t.Context(), &b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var one, other any
	if err := json.Unmarshal(a, &one); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &other); err != nil {
		t.Fatal(err)
	}
	x, _ := json.Marshal(one) // sorted
	y, _ := json.Marshal(other)
	return bytes.Equal(x, y)
}

// refusedExamples are the calls of examples that are refused for what is not there, or not in the state
// for them; beside those for what their path names. What they say is understood.
var refusedExamples = map[string]string{
	"ExchangeCode": "CODE_INVALID", "RefreshSession": "REFRESH_TOKEN_INVALID", "RedeemRecoveryCode": "RECOVERY_REFUSED",
	"FinishRegistration": "CHALLENGE_UNKNOWN", "FinishAuthentication": "CHALLENGE_UNKNOWN",
	"InviteMember": "MAIL_NOT_CONFIGURED", "InviteTenant": "MAIL_NOT_CONFIGURED",
	"RequestSupportAccess": "STAFF_REQUIRED", "RestoreTenant": "TENANT_NOT_DELETING", "RollbackPolicy": "POLICY_VERSION_UNKNOWN", "GetAuditAnchor": "AUDIT_ANCHOR_UNKNOWN",
	"RollbackRiskRules": "RISK_RULES_VERSION_UNKNOWN", "EvaluateRisk": "USER_UNKNOWN", "GetRiskProvider": "RISK_PROVIDER_UNKNOWN", "DeleteRiskProvider": "RISK_PROVIDER_UNKNOWN", "ReportRisk": "RISK_DECISION_UNKNOWN",
	"GetDlpSchedule": "DLP_SCHEDULE_UNKNOWN", "DeleteDlpSchedule": "DLP_SCHEDULE_UNKNOWN",
	"CreateUser": "USER_EXISTS", "BatchRevokeSessions": "SESSION_UNKNOWN",
}

// echoed are the members of answers that follow from what was sent: the example has them as they are.
var echoed = map[string][]string{
	"PutPolicy":             {"document"},
	"PutRiskRules":          {"document"},
	"CreateAttestationRoot": {"name", "certificate", "fingerprint", "subject", "aaguids", "notBefore", "notAfter"},
	"CreateApiKey":          {"kind", "name", "scopes", "allowedCidrs", "state"},
	"CheckRelyingParty":     {"origins"},
	"CreateDashboard":       {"title", "charts"},
	"CreateFlag":            {"key", "type", "name", "description", "owner", "removeBy", "variants", "clientVisible", "environment", "enabled", "offVariant", "defaultVariant", "rules"},
	"CreateSegment":         {"key", "name", "description", "when", "included", "excluded", "usedBy"},
	"CreateAuditView":       {"name", "filter"},
	"UpdateTenantQuotas":    {"quotas"},
	"UpdateTenantLimits":    {"limits"},
}

// Each call that the reference shows is one that this server takes: nothing in its path, its
// query or its body is refused for how it is written.
func TestExamplesAreTaken(t *testing.T) {
	w := newWorld(t)
	n := 0
	for pkg, raw := range map[protoreflect.FullName][]byte{"biocore.auth.v1": openapi.Auth(), "biocore.admin.v1": openapi.Admin()} {
		methods := methodsOf(pkg)
		for _, op := range operations(t, raw) {
			if methods[op.OperationID] == nil {
				continue
			}
			n++
			t.Run(string(pkg)+"/"+op.OperationID, func(t *testing.T) {
				c := w.shown(t, fmt.Sprintf("shown-%d", n))
				a := w.example(t, &op, c, c.secret)
				// The log has no checkpoint yet, or none over so much.
				for deadline := time.Now().Add(time.Minute); strings.HasPrefix(a.reason(), "AUDIT_") && a.status != http.StatusNotFound && time.Now().Before(deadline); pause(t, 100*time.Millisecond) {
					a = w.example(t, &op, c, c.secret)
				}
				if a.status == http.StatusForbidden {
					a = w.example(t, &op, c, w.platformKey)
				}
				want, listed := refusedExamples[op.OperationID]
				inPath := a.status == http.StatusNotFound && strings.Contains(op.path, "{") && strings.HasSuffix(a.reason(), "_UNKNOWN")
				if a.reason() != want && (listed || !inPath) {
					t.Errorf("%s %s = %s, want %q", op.method, op.path, a, want)
				}
				example, _ := op.Responses["200"].Content["application/json"].Example.(map[string]any)
				for _, name := range echoed[op.OperationID] {
					if got, shown := marshal(t, a.at(name)), marshal(t, example[name]); !sameJSON(t, got, shown) {
						t.Errorf("%s = %s, and the example has %s", name, got, shown)
					}
				}
			})
		}
	}
}

// shown is the tenant of the examples, with its user.
func (w *world) shown(t *testing.T, slug string) *customer {
	t.Helper()
	a := w.must(t, "POST", "/admin/v1/tenants", w.platformKey, map[string]any{
		"slug": slug, "name": "Acme Bank", "mode": "TEST", "rpId": "bank.example", "origins": []string{"https://bank.example", "https://login.bank.example"},
	})
	c := &customer{id: a.text("tenant", "id"), secret: a.text("secretKey")}
	w.must(t, "PATCH", "/admin/v1/settings", c.secret, map[string]any{"relyingParty": map[string]any{"relatedOrigins": []string{"https://acme-cards.example"}}})
	c.user = w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": "u-1001", "name": "ana@bank.example"}).text("id")
	return c
}

// example calls what op shows, of c's own things where there are such.
func (w *world) example(t *testing.T, op *operation, c *customer, key string) answer {
	t.Helper()
	var body any
	if content, ok := op.RequestBody.Content["application/json"]; ok {
		body = content.Example
	}
	return w.call(t, op.method, op.at(t, map[string]string{"tenantId": c.id, "userId": c.user}), key, body)
}

func textOf(t *testing.T, v any) string {
	t.Helper()
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
