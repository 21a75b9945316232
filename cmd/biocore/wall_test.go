package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/web/rest"
)

// The generator: every method of both planes, called by tenant B with what belongs
// to tenant A, must answer as if it had never existed, and must leave A as it was.
// The oracle is threefold: the answer equals the answer to ids that nobody has;
// nothing of A's is in it; A's rows in every table are unchanged.
//
// Row-level security removed from a table that a method reads turns its case red.
func TestEveryMethodWithAnotherTenantsIDs(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, acme, "alice")
	w.enroll(t, globex, "bob")
	w.signIn(t, acme)
	theirs := possessions(t, w, acme)
	nobodys := possessionsOfNobody(theirs)
	conn := w.store.Superuser(t)

	for _, r := range w.rest.Routes() {
		if strings.HasPrefix(r.Path, "/admin/v1/tenants") {
			continue // the platform's own plane: TestPlatformPlaneIsClosed; exports: TestExportOfAnotherTenant
		}
		t.Run(r.Method+" "+r.Path, func(t *testing.T) {
			for name, requests := range foreignRequests(r, theirs, nobodys) {
				before := fingerprint(t, conn, acme.id, movedByJobs...)
				foreign := w.call(t, r.Method, requests[0].path, globex.secret, requests[0].body)
				unknown := w.call(t, r.Method, requests[1].path, globex.secret, requests[1].body)
				if foreign.status != unknown.status || anonymous(foreign.raw, theirs, nobodys) != anonymous(unknown.raw, theirs, nobodys) {
					t.Errorf("%s: another tenant's and nobody's are told apart:\n%s\n%s", name, foreign, unknown)
				}
				for what, secret := range theirs {
					if strings.Contains(foreign.raw, secret) && !strings.Contains(fmt.Sprint(requests[0]), secret) {
						t.Errorf("%s: the answer holds the other tenant's %s: %s", name, what, foreign)
					}
				}
				if after := fingerprint(t, conn, acme.id, movedByJobs...); after != before {
					t.Errorf("%s: the other tenant's rows have changed:\n%s\n%s", name, before, after)
				}
			}
		})
	}
}

// possessions are one of each thing of a tenant that a request can name.
func possessions(t *testing.T, w *world, c *customer) map[string]string {
	t.Helper()
	registration := w.must(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user})
	token := w.must(t, "POST", "/v1/registrationTokens", c.secret, map[string]any{"userId": c.user})
	authentication := w.must(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{})
	code := w.must(t, "POST", "/v1/authentications:finish", c.publishable,
		w.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{}))
	page := w.must(t, "GET", "/v1/users/"+c.user+"/sessions?pageSize=1", c.secret, nil)
	contact := w.must(t, "PATCH", "/v1/users/"+c.user, c.secret, map[string]any{"email": c.external + "@secret.example", "phone": "+4915112345678"})
	link := w.must(t, "POST", "/admin/v1/users/"+c.user+"/enrollmentLinks", c.secret, map[string]any{"reason": "lost"})
	recoveryCode := w.recoveryCode(t, c)
	disposition := w.must(t, "POST", "/admin/v1/authenticators/"+modelOfPossessions+":dispose", c.secret, map[string]any{"disposition": "FLAG"})
	keys := w.must(t, "GET", "/admin/v1/apiKeys", c.secret, nil)
	list, _ := keys.at("apiKeys").([]any)
	first, _ := list[0].(map[string]any)
	key, _ := first["id"].(string)
	report := w.report(t, c)
	w.reported(t, c, report) // its job leaves entries, which nobody else's calls do
	return map[string]string{
		"userId": c.user, "externalId": c.external, "credentialId": c.credential, "sessionId": c.session, "apiKeyId": key, "evidenceId": w.evidence(t, c),
		"dispositionId": disposition.text("id"), "supportGrantId": w.supportRequest(t, c), "attestationRootId": w.attestationRoot(t, c, "Fleet of "+c.slug),
		"ceremonyId": w.ceremony(t, c), "auditEventId": w.auditEvent(t, c),
		"importId": strings.TrimPrefix(w.newImport(t, c), "/admin/v1/imports/"),
		"memberId": w.colleague(t, c, member.Viewer), "invitationId": w.invitation(t, c),
		"kid": w.signingKey(t, c), "registrationToken": token.text("token"), "registrationId": registration.text("registrationId"),
		"dashboardId":      w.dashboard(t, c),
		"flagKey":          w.flag(t, c),
		"segmentKey":       w.segment(t, c),
		"auditViewId":      w.auditView(t, c),
		"reportId":         strings.TrimPrefix(report, "/admin/v1/reports/"),
		"catalogue":        w.catalogue(t, c),
		"erasureId":        w.erasure(t, c),
		"dlpScanId":        w.dlpScan(t, c),
		"dlpFindingId":     w.dlpFinding(t, c),
		"logStreamId":      strings.TrimPrefix(w.logStream(t, c), "/admin/v1/logStreams/"),
		"authenticationId": authentication.text("authenticationId"), "code": code.text("code"),
		"recoveryId": link.text("recovery", "id"), "recoveryToken": link.text("registrationToken"), "recoveryCode": recoveryCode,
		"email": contact.text("email"), "phone": contact.text("phone"), "accessToken": c.access, "refreshToken": c.refresh, "pageToken": page.text("nextPageToken"),
	}
}

// movedByJobs are the tables that the server's own jobs work off meanwhile.
var movedByJobs = []string{"evidence", "erasures", "dispositions", "stats_counts", "stats_faults", "stats_gauges", "stats_marks", "usage_days", "usage_alerts", "active_users", "siem_sinks", "reports", "flag_counts"}

// modelOfPossessions is a model that an order is given on.
const modelOfPossessions = "ee882879-721c-4913-9775-3dfcce97072a"

// evidence is the id of the newest piece that is kept of the tenant's registrations.
func (w *world) evidence(t *testing.T, c *customer) string {
	t.Helper()
	kept, _ := w.must(t, "GET", "/admin/v1/evidence", c.secret, nil).at("evidence").([]any)
	if len(kept) == 0 {
		t.Fatal("no evidence")
	}
	newest, _ := kept[0].(map[string]any)
	id, _ := newest["id"].(string)
	return id
}

// ceremony is the id of the tenant's newest ceremony.
func (w *world) ceremony(t *testing.T, c *customer) string {
	t.Helper()
	list, _ := w.must(t, "GET", "/admin/v1/ceremonies", c.secret, nil).at("ceremonies").([]any)
	if len(list) == 0 {
		t.Fatal("no ceremony")
	}
	newest, _ := list[0].(map[string]any)
	id, _ := newest["id"].(string)
	return id
}

// auditEvent is the id of the tenant's first entry.
func (w *world) auditEvent(t *testing.T, c *customer) string {
	t.Helper()
	list, _ := w.must(t, "GET", "/admin/v1/auditEvents", c.secret, nil).at("auditEvents").([]any)
	if len(list) == 0 {
		t.Fatal("no audit entry")
	}
	oldest, _ := list[len(list)-1].(map[string]any)
	id, _ := oldest["id"].(string)
	return id
}

// signingKey is the kid of the tenant's newest signing key.
func (w *world) signingKey(t *testing.T, c *customer) string {
	t.Helper()
	list, _ := w.must(t, "GET", "/admin/v1/signingKeys", c.secret, nil).at("signingKeys").([]any)
	if len(list) == 0 {
		t.Fatal("no signing key")
	}
	newest, _ := list[0].(map[string]any)
	kid, _ := newest["kid"].(string)
	return kid
}

// possessionsOfNobody are of the same shape and belong to nobody.
func possessionsOfNobody(of map[string]string) map[string]string {
	out := map[string]string{}
	for name, v := range of {
		switch name {
		case "userId", "erasureId", "sessionId", "apiKeyId", "recoveryId", "evidenceId", "importId", "dispositionId", "attestationRootId", "memberId", "invitationId", "dashboardId", "auditViewId", "logStreamId", "reportId":
			out[name] = uuid.NewString()
		case "ceremonyId", "auditEventId":
			out[name] = uuid.Must(uuid.NewV7()).String()
		default:
			// Another letter in the middle: of the same length, and of nobody.
			b := []byte(v)
			for i := len(b) / 2; i < len(b)/2+4 && i < len(b); i++ {
				if b[i] == 'x' {
					b[i] = 'y'
				} else if b[i] != '.' && b[i] != '_' {
					b[i] = 'x'
				}
			}
			out[name] = string(b)
		}
	}
	return out
}

type request struct {
	path string
	body map[string]any
}

var pathVariable = regexp.MustCompile(`\{(\w+)\}`)

// foreignRequests builds pairs of requests for one route: with theirs, and with nobody's.
func foreignRequests(r rest.Route, theirs, nobodys map[string]string) map[string][2]request {
	out := map[string][2]request{}
	add := func(name string, build func(ids map[string]string) request) {
		out[name] = [2]request{build(theirs), build(nobodys)}
	}
	path := func(ids map[string]string) string {
		return pathVariable.ReplaceAllStringFunc(r.Path, func(v string) string { return ids[camel(v[1:len(v)-1])] })
	}
	body := func(extra map[string]any) func(map[string]string) request {
		return func(ids map[string]string) request {
			b := map[string]any{}
			for k, v := range extra {
				if s, ok := v.(string); ok && strings.HasPrefix(s, "@") {
					v = ids[s[1:]]
				}
				b[k] = v
			}
			return request{path(ids), b}
		}
	}
	switch r.Path {
	case "/v1/registrationTokens":
		add("user", body(map[string]any{"userId": "@userId"}))
	case "/v1/registrations:begin":
		add("user", body(map[string]any{"userId": "@userId"}))
		add("token", body(map[string]any{"registrationToken": "@registrationToken"}))
		add("recovery's token", body(map[string]any{"registrationToken": "@recoveryToken"}))
	case "/v1/registrations:finish":
		add("registration", body(map[string]any{"registrationId": "@registrationId", "credential": emptyRegistration}))
	case "/v1/authentications:begin":
		return nil // answers look alike for every user, known or not: authcore/ceremony tests them
	case "/v1/authentications:finish":
		add("authentication", body(map[string]any{"authenticationId": "@authenticationId", "credential": emptyAssertion}))
	case "/v1/authentications:exchange":
		add("code", body(map[string]any{"code": "@code"}))
	case "/v1/sessions:verify":
		add("token", body(map[string]any{"accessToken": "@accessToken"}))
	case "/v1/sessions:batchRevoke":
		add("session", func(ids map[string]string) request {
			return request{"/v1/sessions:batchRevoke", map[string]any{"sessionIds": []string{ids["sessionId"]}}}
		})
	case "/v1/sessions:refresh":
		add("token", body(map[string]any{"refreshToken": "@refreshToken"}))
	case "/v1/recoveries:redeem":
		add("code", body(map[string]any{"externalId": "@externalId", "code": "@recoveryCode"}))
	case "/admin/v1/recoveries":
		add("filter", func(ids map[string]string) request {
			return request{"/admin/v1/recoveries?filter=" + url.QueryEscape("userId = "+ids["userId"]), nil}
		})
	case "/v1/credentials/{credential_id}:vouch":
		add("id", body(map[string]any{"reason": "curious"}))
		add("session", body(map[string]any{"sessionId": "@sessionId"}))
	case "/v1/users:lookup":
		add("external id", func(ids map[string]string) request {
			return request{"/v1/users:lookup?externalId=" + ids["externalId"], nil}
		})
	case "/v1/users":
		if r.Method == http.MethodGet {
			add("filter", func(ids map[string]string) request {
				return request{"/v1/users?filter=externalId%20%3D%20%22" + ids["externalId"] + "%22", nil}
			})
			add("e-mail filter", func(ids map[string]string) request {
				return request{"/v1/users?filter=" + url.QueryEscape(`email = "`+ids["email"]+`"`), nil}
			})
			add("page token", func(ids map[string]string) request { return request{"/v1/users?pageToken=" + ids["pageToken"], nil} })
			return out
		}
		return nil // makes a user of one's own: TestSameNamesInTwoTenants
	case "/admin/v1/supportGrants", "/admin/v1/supportGrants:request": // lists one's own; the platform's own plane
		return nil
	case "/admin/v1/apiKeys", "/admin/v1/attestationRoots", "/admin/v1/signingKeys", "/admin/v1/signingKeys:rotate", "/admin/v1/logStreams", "/admin/v1/reports":
		return nil // lists and makes one's own: TestSameNamesInTwoTenants
	case "/admin/v1/evidence":
		add("user filter", func(ids map[string]string) request {
			return request{"/admin/v1/evidence?filter=userId%3D" + ids["userId"], nil}
		})
		add("credential filter", func(ids map[string]string) request {
			return request{"/admin/v1/evidence?filter=" + url.QueryEscape(`credentialId = "`+ids["credentialId"]+`"`), nil}
		})
		return out
	case "/admin/v1/members", "/admin/v1/invitations", "/admin/v1/members:invite":
		return nil // list and make one's own: TestMembersByKeys
	case "/admin/v1/members/{member_id}":
		add("role", body(map[string]any{"role": "admin", "reason": "curious"}))
	case "/admin/v1/relyingParty:verifyDomain", "/admin/v1/relyingParty:fetch":
		return nil // ask one's own domain, which nothing in a request names: TestDomainProof
	case "/admin/v1/stats/overview", "/admin/v1/stats/timeseries", "/admin/v1/dashboards", "/admin/v1/flags", "/admin/v1/segments":
		return nil // of one's own: TestSeries and TestLife cross tenants
	case "/admin/v1/ceremonies":
		add("user filter", func(ids map[string]string) request {
			return request{"/admin/v1/ceremonies?filter=userId%3D" + ids["userId"], nil}
		})
		add("credential filter", func(ids map[string]string) request {
			return request{"/admin/v1/ceremonies?filter=" + url.QueryEscape(`credentialId = "`+ids["credentialId"]+`"`), nil}
		})
		return out
	case "/admin/v1/auditEvents":
		add("target filter", func(ids map[string]string) request {
			return request{"/admin/v1/auditEvents?filter=" + url.QueryEscape(`target = "credential/`+ids["credentialId"]+`"`), nil}
		})
		add("actor filter", func(ids map[string]string) request {
			return request{"/admin/v1/auditEvents?filter=" + url.QueryEscape(`actor = "`+ids["userId"]+`"`), nil}
		})
		return out
	case "/admin/v1/auditLog", "/admin/v1/auditCheckpoints", "/admin/v1/auditCheckpoints:consistency", "/admin/v1/auditLog/anchor", "/admin/v1/auditArchives", "/admin/v1/auditViews":
		return nil // of one's own log, which nothing in a request names: TestAuditProofs
	case "/admin/v1/dlpScans", "/admin/v1/dlpFindings", "/admin/v1/dlpFindings:import", "/admin/v1/dlpSchedule":
		return nil // start, list and import one's own: TestDLPByKeys
	case "/admin/v1/dlpFindings/{dlp_finding_id}:decide":
		add("decision", body(map[string]any{"state": "DISMISSED", "reason": "curious"}))
	case "/admin/v1/imports", "/admin/v1/relyingParty:check", "/admin/v1/relyingParty:plan":
		return nil // make and ask one's own: TestExportAndImport
	case "/admin/v1/imports/{import_id}:append":
		add("import", body(map[string]any{"firstLine": 1, "lines": []string{importedLine}}))
	case "/admin/v1/metadata", "/admin/v1/metadata/models", "/admin/v1/authenticators", "/admin/v1/authenticators/{aaguid}", "/admin/v1/authenticators/{aaguid}:blastRadius",
		"/admin/v1/authenticators/{aaguid}/credentials", "/admin/v1/authenticators/{aaguid}:dispose":
		return nil // a model is nobody's own: TestMeasure and TestStages cross tenants
	case "/admin/v1/settings":
		return nil // names nothing: TestSettingsAreOnesOwn
	case "/admin/v1/policy", "/admin/v1/policy/versions", "/admin/v1/policy/versions/{version}", "/admin/v1/policy:rollback", "/admin/v1/policy:simulate":
		return nil // versions are counted by every tenant alike: TestPolicyIsOnesOwn
	case "/admin/v1/riskRules", "/admin/v1/riskRules/versions", "/admin/v1/riskRules/versions/{version}", "/admin/v1/riskRules:rollback", "/admin/v1/riskRules:backtest", "/admin/v1/riskProvider":
		return nil // as of the policy: TestRiskRulesAreOnesOwn
	case "/v1/risk:evaluate":
		add("user", body(map[string]any{"userId": "@userId", "action": "transfer"}))
	case "/v1/risk:report":
		add("decision", body(map[string]any{"decisionId": "@sessionId", "verdict": "FRAUD"}))
	default:
		if r.Method == http.MethodGet {
			add("id", func(ids map[string]string) request { return request{path(ids), nil} })
			return out
		}
		add("id", body(map[string]any{"reason": "curious"}))
		if r.Method == http.MethodPatch {
			add("change", body(map[string]any{"name": "mallory", "nickname": "mine", "email": "mallory@example.com"}))
		}
	}
	return out
}

var (
	emptyRegistration = map[string]any{
		"id": "AAAA", "rawId": "AAAA", "type": "public-key",
		"response": map[string]any{"clientDataJSON": "AAAA", "attestationObject": "AAAA"},
	}
	emptyAssertion = map[string]any{
		"id": "AAAA", "rawId": "AAAA", "type": "public-key",
		"response": map[string]any{"clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA"},
	}
)

func camel(snake string) string {
	words := strings.Split(snake, "_")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}

// anonymous is an answer without what differs because the questions did.
func anonymous(raw string, ids ...map[string]string) string {
	for _, set := range ids {
		for _, v := range set {
			if v != "" {
				raw = strings.ReplaceAll(raw, v, "…")
			}
		}
	}
	return raw
}

// fingerprint sums up a tenant's rows in every walled table but some, as the superuser
// on conn sees them. What the sequencer makes of entries, it makes when it likes.
func fingerprint(t *testing.T, conn *pgx.Conn, tenantID string, except ...string) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
		WHERE c.relnamespace = 'public'::regnamespace AND (c.relkind IN ('r', 'p') AND c.relname NOT LIKE 'audit\_%' AND c.relname <> 'subject_keys' OR c.relname = 'audit_records') AND NOT c.relispartition ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 10 {
		t.Fatalf("%d tables, error %v", len(tables), err)
	}
	var sums []string
	for _, table := range tables {
		if slices.Contains(except, table) {
			continue
		}
		// One at a time: who locks them all at once waits for, and is waited for by, a job that makes partitions.
		var sum string
		from := table
		switch table {
		case "audit_records": // an entry is the same wherever it has been moved
			from = "(SELECT tenant_id, id, entry FROM audit_records)"
		case "api_keys": // when a key was used is noted some time later
			from = "(SELECT tenant_id, to_jsonb(k) - 'last_used_at' AS rest FROM api_keys k)"
		}
		if err := conn.QueryRow(t.Context(), fmt.Sprintf(
			"SELECT format('%s:%%s:%%s', count(*), left(md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))), 8)) FROM %s x WHERE tenant_id = $1", table, from), tenantID).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
	}
	return strings.Join(sums, " ")
}

// The platform's plane takes platform keys and nothing else.
func TestPlatformPlaneIsClosed(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t, "acme")
	for _, r := range w.rest.Routes() {
		if !strings.HasPrefix(r.Path, "/admin/v1/tenants") || strings.Contains(r.Path, "export") {
			continue // exports are the tenant's own, too: TestExportOfAnotherTenant
		}
		path := strings.ReplaceAll(r.Path, "{tenant_id}", acme.id)
		for name, key := range map[string]string{"secret": acme.secret, "publishable": acme.publishable} {
			if a := w.call(t, r.Method, path, key, map[string]any{}); a.status != http.StatusForbidden || a.reason() != "API_KEY_KIND_NOT_ALLOWED" {
				t.Errorf("%s %s with a %s key: %s", r.Method, path, name, a)
			}
		}
	}
}

// Two tenants may use the same names: nobody learns from a conflict that another
// tenant has a user, a credential or a key.
func TestSameNamesInTwoTenants(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	person := map[string]any{"externalId": "alice", "name": "alice"}
	mine := w.must(t, "POST", "/v1/users", acme.secret, person)
	theirs := w.must(t, "POST", "/v1/users", globex.secret, person)
	if mine.text("id") == theirs.text("id") {
		t.Error("two tenants share a user")
	}
	if again := w.call(t, "POST", "/v1/users", acme.secret, person); again.status != http.StatusConflict {
		t.Errorf("the same user twice: %s", again)
	}
	for _, c := range []*customer{acme, globex} {
		list := w.must(t, "GET", "/v1/users", c.secret, nil)
		if users, _ := list.at("users").([]any); len(users) != 1 {
			t.Errorf("%s sees %d users", c.slug, len(users))
		}
		keys := w.must(t, "GET", "/admin/v1/apiKeys", c.secret, nil)
		if all, _ := keys.at("apiKeys").([]any); len(all) != 2 {
			t.Errorf("%s sees %d API keys", c.slug, len(all))
		}
		signing := w.must(t, "GET", "/admin/v1/signingKeys", c.secret, nil)
		if all, _ := signing.at("signingKeys").([]any); len(all) != 1 {
			t.Errorf("%s sees %d signing keys", c.slug, len(all))
		}
	}
}
