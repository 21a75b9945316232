package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// effect is one mutating method: how to call it, which audit entry its success
// leaves, and what a repeat with the same Idempotency-Key is answered.
type effect struct {
	procedure string
	call      func(t *testing.T, w *world, c *customer) (method, path, key string, body any)
	action    string // of the audit entry
	home      bool   // the entry stands in a tenant that the call makes, not in c's
	repeat    string // "" for the first answer again, or the reason of the refusal, or anew
}

const (
	notReplayable = "IDEMPOTENCY_NOT_REPLAYABLE"
	anew          = "another answer" // a begin has no effect to repeat: its key is ignored
)

func effects() []effect {
	post := func(path string, body map[string]any) func(*testing.T, *world, *customer) (string, string, string, any) {
		return func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "POST", fill(path, c), c.secret, body
		}
	}
	return []effect{
		{authv1connect.UserServiceCreateUserProcedure, post("/v1/users", map[string]any{"externalId": "new", "name": "new"}), "user.create", false, ""},
		{authv1connect.UserServiceUpdateUserProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PATCH", "/v1/users/" + c.user, c.secret, map[string]any{"name": "renamed"}
		}, "user.update", false, ""},
		{authv1connect.UserServiceBlockUserProcedure, post("/v1/users/{user}:block", map[string]any{"reason": "fraud"}), "user.block", false, ""},
		{authv1connect.UserServiceUnblockUserProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.must(t, "POST", "/v1/users/"+c.user+":block", c.secret, map[string]any{})
			return "POST", "/v1/users/" + c.user + ":unblock", c.secret, map[string]any{}
		}, "user.unblock", false, ""},
		{authv1connect.UserServiceDeleteUserProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "DELETE", "/v1/users/" + c.user, c.secret, nil
		}, "user.delete", false, ""},
		{authv1connect.CredentialServiceUpdateCredentialProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PATCH", "/v1/credentials/" + c.credential, c.secret, map[string]any{"nickname": "Blue key"}
		}, "credential.update", false, ""},
		{authv1connect.CredentialServiceRevokeCredentialProcedure, post("/v1/credentials/{credential}:revoke", map[string]any{"reason": "lost", "allowLast": true}), "credential.revoke", false, ""},
		{authv1connect.CredentialServiceSuspendCredentialProcedure, post("/v1/credentials/{credential}:suspend", map[string]any{"reason": "odd"}), "credential.suspend", false, ""},
		{authv1connect.CredentialServiceResumeCredentialProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.must(t, "POST", "/v1/credentials/"+c.credential+":suspend", c.secret, map[string]any{})
			return "POST", "/v1/credentials/" + c.credential + ":resume", c.secret, map[string]any{}
		}, "credential.resume", false, ""},
		{authv1connect.CredentialServiceVouchCredentialProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.lower(t, c)
			return "POST", "/v1/credentials/" + c.credential + ":vouch", c.secret, map[string]any{"reason": "met her"}
		}, "credential.vouch", false, ""},
		{authv1connect.RecoveryServiceCreateRecoveryCodesProcedure, post("/v1/users/{user}/recoveryCodes", map[string]any{}), "recovery.codes_create", false, notReplayable},
		{authv1connect.RecoveryServiceDeleteRecoveryCodesProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.recoveryCode(t, c)
			return "DELETE", "/v1/users/" + c.user + "/recoveryCodes", c.secret, nil
		}, "recovery.codes_delete", false, ""},
		{authv1connect.RecoveryServiceRedeemRecoveryCodeProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/v1/recoveries:redeem", c.secret, map[string]any{"externalId": c.external, "code": w.recoveryCode(t, c)}
		}, "recovery.redeem", false, notReplayable},
		{adminv1connect.RecoveryServiceCreateEnrollmentLinkProcedure, post("/admin/v1/users/{user}/enrollmentLinks", map[string]any{"reason": "lost"}), "recovery.link_create", false, notReplayable},
		{adminv1connect.RecoveryServiceApproveRecoveryProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/recoveries/" + w.pendingRecovery(t, c) + ":approve", w.secondKey(t, c), map[string]any{"reason": "called her"}
		}, "recovery.approve", false, ""},
		{adminv1connect.RecoveryServiceRefuseRecoveryProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/recoveries/" + w.pendingRecovery(t, c) + ":refuse", c.secret, map[string]any{"reason": "not her"}
		}, "recovery.refuse", false, ""},
		{adminv1connect.RecoveryServiceRevokeRecoveryProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/recoveries/" + w.pendingRecovery(t, c) + ":revoke", c.secret, map[string]any{"reason": "a mistake"}
		}, "recovery.revoke", false, ""},
		{authv1connect.SessionServiceRevokeSessionProcedure, post("/v1/sessions/{session}:revoke", map[string]any{}), "session.revoke", false, ""},
		{authv1connect.SessionServiceBatchRevokeSessionsProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "POST", "/v1/sessions:batchRevoke", c.secret, map[string]any{"sessionIds": []string{c.session}, "reason": "lost"}
		}, "session.revoke", false, ""},
		{authv1connect.SessionServiceRevokeAllSessionsProcedure, post("/v1/users/{user}/sessions:revoke", map[string]any{}), "session.revoke_all", false, ""},
		{authv1connect.SessionServiceRefreshSessionProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": c.refresh}
		}, "session.refresh", false, notReplayable},
		{authv1connect.RegistrationServiceCreateRegistrationTokenProcedure, post("/v1/registrationTokens", map[string]any{"user": map[string]any{"externalId": "u2", "name": "u2"}}), "registration.token", false, notReplayable},
		{authv1connect.RegistrationServiceBeginRegistrationProcedure, post("/v1/registrations:begin", map[string]any{"user": map[string]any{"externalId": "u2", "name": "u2"}}), "", false, anew},
		{authv1connect.RegistrationServiceFinishRegistrationProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			begun := w.must(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"user": map[string]any{"externalId": "u3", "name": "u3"}})
			response, err := c.authenticator.Create(marshal(t, begun.at("options")), origin)
			if err != nil {
				t.Fatal(err)
			}
			return "POST", "/v1/registrations:finish", c.secret,
				map[string]any{"registrationId": begun.text("registrationId"), "credential": json.RawMessage(marshal(t, response))}
		}, "registration.finish", false, notReplayable},
		{authv1connect.AuthenticationServiceBeginAuthenticationProcedure, post("/v1/authentications:begin", map[string]any{}), "", false, anew},
		{authv1connect.AuthenticationServiceFinishAuthenticationProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/v1/authentications:finish", c.secret, w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{})
		}, "authentication.finish", false, notReplayable},
		{authv1connect.AuthenticationServiceExchangeCodeProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			a := w.must(t, "POST", "/v1/authentications:finish", c.publishable, w.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{}))
			return "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": a.text("code")}
		}, "authentication.exchange", false, notReplayable},
		{adminv1connect.SettingsServiceUpdateSettingsProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PATCH", "/admin/v1/settings", c.secret, map[string]any{"tokens": map[string]any{"audience": "https://api.example.com"}, "reason": "the new gateway"}
		}, "settings.update", false, ""},
		{adminv1connect.PolicyServicePutPolicyProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PUT", "/admin/v1/policy", c.secret, map[string]any{"document": map[string]any{"accessTokenSeconds": 300}, "reason": "shorter"}
		}, "policy.update", false, ""},
		{adminv1connect.PolicyServiceRollbackPolicyProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.setPolicy(t, c, `{"accessTokenSeconds":300}`)
			return "POST", "/admin/v1/policy:rollback", c.secret, map[string]any{"version": 1, "reason": "too short"}
		}, "policy.update", false, ""},
		{adminv1connect.RiskRulesServicePutRiskRulesProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PUT", "/admin/v1/riskRules", c.secret, map[string]any{"document": map[string]any{"mode": "SHADOW"}, "reason": "a look first"}
		}, "risk_rules.update", false, ""},
		{adminv1connect.RiskRulesServiceRollbackRiskRulesProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.setRisk(t, c, `{"mode":"SHADOW"}`)
			w.setRisk(t, c, `{"mode":"ENFORCE"}`)
			return "POST", "/admin/v1/riskRules:rollback", c.secret, map[string]any{"version": 1, "reason": "too early"}
		}, "risk_rules.update", false, ""},
		{adminv1connect.RiskRulesServicePutRiskProviderProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PUT", "/admin/v1/riskProvider", c.secret, riskProvider()
		}, "risk_provider.update", false, ""},
		{adminv1connect.RiskRulesServiceDeleteRiskProviderProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.must(t, "PUT", "/admin/v1/riskProvider", c.secret, riskProvider())
			return "DELETE", "/admin/v1/riskProvider?reason=over", c.secret, nil
		}, "risk_provider.delete", false, ""},
		{authv1connect.RiskServiceEvaluateRiskProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.setRisk(t, c, `{"mode":"SHADOW"}`)
			return "POST", "/v1/risk:evaluate", c.secret, map[string]any{"userId": c.user, "action": "transfer"}
		}, "risk.evaluate", false, ""},
		{authv1connect.RiskServiceReportRiskProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.setRisk(t, c, `{"mode":"SHADOW"}`)
			id := w.must(t, "POST", "/v1/risk:evaluate", c.secret, map[string]any{"action": "transfer"}).text("evaluationId")
			return "POST", "/v1/risk:report", c.secret, map[string]any{"decisionId": id, "verdict": "FRAUD"}
		}, "risk.report", false, ""},
		{adminv1connect.EvidenceServiceDownloadEvidenceProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/evidence/" + w.evidence(t, c) + ":download", c.secret, map[string]any{}
		}, "evidence.download", false, anew},
		{adminv1connect.ImportServiceCreateImportProcedure, post("/admin/v1/imports", map[string]any{"rpId": "example.com"}), "import.create", false, ""},
		{adminv1connect.ImportServiceAppendImportLinesProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			at := w.checkedImport(t, c)
			w.must(t, "POST", at+":run", c.secret, map[string]any{})
			return "POST", at + ":append", c.secret, map[string]any{"firstLine": 1, "lines": []string{importedLine}}
		}, "import.write", false, ""},
		{adminv1connect.ImportServiceCompleteImportProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", w.newImport(t, c) + ":complete", c.secret, map[string]any{}
		}, "import.check", false, ""},
		{adminv1connect.ImportServiceRunImportProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", w.checkedImport(t, c) + ":run", c.secret, map[string]any{}
		}, "import.start", false, ""},
		{adminv1connect.ImportServiceCancelImportProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", w.newImport(t, c) + ":cancel", c.secret, map[string]any{}
		}, "import.cancel", false, ""},
		{adminv1connect.AuthenticatorServiceDisposeAuthenticatorProcedure, post("/admin/v1/authenticators/ee882879-721c-4913-9775-3dfcce97072a:dispose", map[string]any{"disposition": "FLAG", "reason": "drill"}), "authenticator.dispose", false, ""},
		{adminv1connect.DashboardServiceCreateDashboardProcedure, post("/admin/v1/dashboards", map[string]any{"title": "Morning", "charts": []any{map[string]any{"metric": "signIns"}}}), "dashboard.create", false, ""},
		{adminv1connect.DashboardServiceUpdateDashboardProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PUT", "/admin/v1/dashboards/" + w.dashboard(t, c), c.secret, map[string]any{"title": "Evening"}
		}, "dashboard.update", false, ""},
		{adminv1connect.DashboardServiceDeleteDashboardProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "DELETE", "/admin/v1/dashboards/" + w.dashboard(t, c) + "?reason=over", c.secret, nil
		}, "dashboard.delete", false, ""},
		{adminv1connect.FlagServiceCreateFlagProcedure, post("/admin/v1/flags", map[string]any{"key": "dark-mode", "type": "BOOLEAN", "name": "Dark mode"}), "flag.create", false, ""},
		{adminv1connect.FlagServiceUpdateFlagProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PATCH", "/admin/v1/flags/" + w.flag(t, c), c.secret, map[string]any{"enabled": true}
		}, "flag.update", false, ""},
		{adminv1connect.FlagServiceSetFlagRulesProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PUT", "/admin/v1/flags/" + w.flag(t, c) + "/rules", c.secret, map[string]any{"rules": []any{map[string]any{"variant": "on"}}}
		}, "flag.update", false, ""},
		{adminv1connect.FlagServiceDeleteFlagProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "DELETE", "/admin/v1/flags/" + w.flag(t, c) + "?reason=over", c.secret, nil
		}, "flag.delete", false, ""},
		{adminv1connect.FlagServiceRestoreFlagProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			key := w.flag(t, c)
			for _, on := range []bool{true, false} {
				w.must(t, "PATCH", "/admin/v1/flags/"+key, c.secret, map[string]any{"defaultVariant": map[bool]string{true: "on", false: "off"}[on]})
			}
			list, _ := w.must(t, "GET", "/admin/v1/flags/"+key+"/changes", c.secret, nil).at("flagChanges").([]any)
			change, _ := list[1].(map[string]any)
			return "POST", "/admin/v1/flags/" + key + ":restore", c.secret, map[string]any{"changeId": change["id"]}
		}, "flag.update", false, ""},
		{adminv1connect.SegmentServiceCreateSegmentProcedure, post("/admin/v1/segments", map[string]any{"key": "drill", "name": "Drill"}), "segment.create", false, ""},
		{adminv1connect.SegmentServiceUpdateSegmentProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PATCH", "/admin/v1/segments/" + w.segment(t, c), c.secret, map[string]any{"name": "Testers of the beta"}
		}, "segment.update", false, ""},
		{adminv1connect.SegmentServiceAddSegmentMembersProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/segments/" + w.segment(t, c) + ":addMembers", c.secret, map[string]any{"targetingKeys": []any{"u-1", "u-2"}}
		}, "segment.members.add", false, ""},
		{adminv1connect.SegmentServiceRemoveSegmentMembersProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			key := w.segment(t, c)
			w.must(t, "POST", "/admin/v1/segments/"+key+":addMembers", c.secret, map[string]any{"targetingKeys": []any{"u-1"}})
			return "POST", "/admin/v1/segments/" + key + ":removeMembers", c.secret, map[string]any{"targetingKeys": []any{"u-1"}}
		}, "segment.members.remove", false, ""},
		{adminv1connect.SegmentServiceRestoreSegmentProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			key := w.segment(t, c)
			w.must(t, "PATCH", "/admin/v1/segments/"+key, c.secret, map[string]any{"name": "Testers of the beta"})
			changes := w.must(t, "GET", "/admin/v1/segments/"+key+"/changes", c.secret, nil)
			return "POST", "/admin/v1/segments/" + key + ":restore", c.secret, map[string]any{"changeId": changes.text("segmentChanges", "1", "id")}
		}, "segment.update", false, ""},
		{adminv1connect.SegmentServiceDeleteSegmentProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "DELETE", "/admin/v1/segments/" + w.segment(t, c) + "?reason=over", c.secret, nil
		}, "segment.delete", false, ""},
		{adminv1connect.AuditServiceCreateAuditViewProcedure, post("/admin/v1/auditViews", map[string]any{"name": "Refused", "filter": map[string]any{"outcome": "DENIED"}}), "auditview.create", false, ""},
		{adminv1connect.AuditServiceDeleteAuditViewProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "DELETE", "/admin/v1/auditViews/" + w.auditView(t, c), c.secret, nil
		}, "auditview.delete", false, ""},
		{adminv1connect.AttestationRootServiceCreateAttestationRootProcedure, func(t *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/attestationRoots", c.secret, map[string]any{"name": "Fleet", "certificate": rootPEM(fleet(t, uuid.New()))}
		}, "attestationroot.create", false, ""},
		{adminv1connect.AttestationRootServiceDeleteAttestationRootProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "DELETE", "/admin/v1/attestationRoots/" + w.attestationRoot(t, c, "Fleet"), c.secret, nil
		}, "attestationroot.delete", false, ""},
		{adminv1connect.LogStreamServiceCreateLogStreamProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/logStreams", c.secret, aLogStream
		}, "logstream.create", false, ""},
		{adminv1connect.LogStreamServiceUpdateLogStreamProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PATCH", w.logStream(t, c), c.secret, map[string]any{"name": "SOC", "replace": map[string]any{"outcomes": []string{"denied"}}, "reason": "less"}
		}, "logstream.update", false, ""},
		{adminv1connect.LogStreamServicePauseLogStreamProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", w.logStream(t, c) + ":pause", c.secret, map[string]any{"reason": "moving"}
		}, "logstream.pause", false, ""},
		{adminv1connect.LogStreamServiceResumeLogStreamProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			at := w.logStream(t, c)
			w.must(t, "POST", at+":pause", c.secret, map[string]any{})
			return "POST", at + ":resume", c.secret, map[string]any{}
		}, "logstream.resume", false, ""},
		{adminv1connect.LogStreamServiceReplayLogStreamProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", w.logStream(t, c) + ":replay", c.secret, map[string]any{"seq": "0", "reason": "lost an index"}
		}, "logstream.replay", false, ""},
		{adminv1connect.LogStreamServiceTestLogStreamProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", w.logStream(t, c) + ":test", c.secret, map[string]any{}
		}, "logstream.test", false, ""},
		{adminv1connect.LogStreamServiceDeleteLogStreamProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "DELETE", w.logStream(t, c), c.secret, nil
		}, "logstream.delete", false, ""},
		{adminv1connect.ReportServiceCreateReportProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/reports", c.secret, aReport()
		}, "report.start", false, ""},
		{adminv1connect.ReportServiceDeleteReportProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "DELETE", w.report(t, c), c.secret, nil
		}, "report.delete", false, ""},
		{adminv1connect.ReportServicePutReportScheduleProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PUT", "/admin/v1/reportSchedules/soc2", c.secret, map[string]any{"cadence": "MONTHLY", "reason": "asked for"}
		}, "reportschedule.update", false, ""},
		{adminv1connect.ReportServiceDeleteReportScheduleProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.must(t, "PUT", "/admin/v1/reportSchedules/iso27001", c.secret, map[string]any{"cadence": "QUARTERLY"})
			return "DELETE", "/admin/v1/reportSchedules/iso27001", c.secret, nil
		}, "reportschedule.delete", false, ""},
		{adminv1connect.ReportServicePutReportCatalogueProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PUT", "/admin/v1/reportCatalogues/ours", c.secret, map[string]any{"document": aCatalogue("ours"), "reason": "our own"}
		}, "reportcatalogue.update", false, ""},
		{adminv1connect.ReportServiceDeleteReportCatalogueProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.must(t, "PUT", "/admin/v1/reportCatalogues/gone", c.secret, map[string]any{"document": aCatalogue("gone")})
			return "DELETE", "/admin/v1/reportCatalogues/gone", c.secret, nil
		}, "reportcatalogue.delete", false, ""},
		{adminv1connect.DlpServiceStartDlpScanProcedure, post("/admin/v1/dlpScans", map[string]any{"days": 7, "reason": "quarterly"}), "dlpscan.start", false, ""},
		{adminv1connect.DlpServiceCancelDlpScanProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			id := w.must(t, "POST", "/admin/v1/dlpScans", c.secret, map[string]any{}).text("id")
			return "POST", "/admin/v1/dlpScans/" + id + ":cancel", c.secret, map[string]any{"reason": "at night instead"}
		}, "dlpscan.cancel", false, ""},
		{adminv1connect.DlpServicePutDlpScheduleProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "PUT", "/admin/v1/dlpSchedule", c.secret, map[string]any{"cadence": "WEEKLY", "reason": "asked for"}
		}, "dlpschedule.update", false, ""},
		{adminv1connect.DlpServiceDeleteDlpScheduleProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.must(t, "PUT", "/admin/v1/dlpSchedule", c.secret, map[string]any{"cadence": "DAILY"})
			return "DELETE", "/admin/v1/dlpSchedule", c.secret, nil
		}, "dlpschedule.delete", false, ""},
		{adminv1connect.DlpServiceDecideDlpFindingProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/dlpFindings/" + w.dlpFinding(t, c) + ":decide", c.secret, map[string]any{"state": "DISMISSED", "reason": "a test card"}
		}, "dlpfinding.decide", false, ""},
		{adminv1connect.DlpServiceImportDlpFindingsProcedure, post("/admin/v1/dlpFindings:import", importedFindings("17")), "dlpfinding.import", false, ""},
		{adminv1connect.SupportServiceRequestSupportAccessProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/supportGrants:request", w.platformKey, map[string]any{
				"tenantId": c.id, "personId": w.staffPerson(t, "Sam").String(), "reason": "why", "ticket": "T", "minutes": 5, "access": "VIEW",
			}
		}, "support.request", false, ""},
		{adminv1connect.SupportServiceGrantSupportAccessProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/supportGrants/" + w.supportRequest(t, c) + ":grant", w.ownersKey(t, c), map[string]any{"reason": "go on"}
		}, "support.grant", false, ""},
		{adminv1connect.SupportServiceRefuseSupportAccessProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/supportGrants/" + w.supportRequest(t, c) + ":refuse", c.secret, map[string]any{"reason": "not now"}
		}, "support.refuse", false, ""},
		{adminv1connect.SupportServiceRevokeSupportAccessProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			at := "/admin/v1/supportGrants/" + w.supportRequest(t, c)
			key := w.ownersKey(t, c)
			w.must(t, "POST", at+":grant", key, map[string]any{"reason": "go on"})
			return "POST", at + ":revoke", key, map[string]any{"reason": "enough"}
		}, "support.revoke", false, ""},
		{adminv1connect.ApiKeyServiceCreateApiKeyProcedure, post("/admin/v1/apiKeys", map[string]any{"kind": "SECRET", "name": "ci", "scopes": []string{"users:read"}}), "apikey.create", false, notReplayable},
		{adminv1connect.ApiKeyServiceRotateApiKeyProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/apiKeys/" + w.apiKey(t, c) + ":rotate", c.secret, map[string]any{"overlapSeconds": 60}
		}, "apikey.rotate", false, notReplayable},
		{adminv1connect.ApiKeyServiceLockApiKeyProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/apiKeys/" + w.apiKey(t, c) + ":lock", c.secret, map[string]any{"reason": "seen in a log"}
		}, "apikey.lock", false, ""},
		{adminv1connect.ApiKeyServiceUnlockApiKeyProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			id := w.apiKey(t, c)
			w.must(t, "POST", "/admin/v1/apiKeys/"+id+":lock", c.secret, map[string]any{})
			return "POST", "/admin/v1/apiKeys/" + id + ":unlock", c.secret, map[string]any{}
		}, "apikey.unlock", false, ""},
		{adminv1connect.ApiKeyServiceRevokeApiKeyProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/apiKeys/" + w.apiKey(t, c) + ":revoke", c.secret, map[string]any{}
		}, "apikey.revoke", false, ""},
		{adminv1connect.SigningKeyServiceRotateSigningKeyProcedure, post("/admin/v1/signingKeys:rotate", map[string]any{"reason": "yearly"}), "signingkey.create", false, ""},
		{adminv1connect.SigningKeyServiceRevokeSigningKeyProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/signingKeys/" + w.signingKey(t, c) + ":revoke", c.secret, map[string]any{"reason": "leaked"}
		}, "signingkey.revoke", false, ""},
		{adminv1connect.TenantServiceCreateTenantProcedure, func(_ *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/tenants", w.platformKey, map[string]any{
				"slug": c.slug + "-two", "name": "Two", "mode": "TEST", "rpId": "localhost", "origins": []string{"http://localhost:3000"},
			}
		}, "tenant.create", true, notReplayable},
		{adminv1connect.SystemServiceRetryJobProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			if _, err := w.store.Superuser(t).Exec(t.Context(), `INSERT INTO river.river_job (id, state, attempt, max_attempts, attempted_at, finalized_at, created_at, scheduled_at, kind, queue, args, priority)
				VALUES (1000000, 'discarded', 8, 8, now(), now(), now(), now() + interval '1 day', 'key_maintenance', 'default', jsonb_build_object('tenantId', $1::text), 1)`, c.id); err != nil {
				t.Fatal(err)
			}
			return "POST", "/admin/v1/system/jobs/1000000:retry", w.platformKey, map[string]any{"reason": "the database is back"}
		}, "job.retry", true, ""},
		{adminv1connect.TenantServiceUpdateTenantProcedure, func(_ *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PATCH", "/admin/v1/tenants/" + c.id, w.platformKey, map[string]any{"name": "Renamed"}
		}, "tenant.update", false, ""},
		{adminv1connect.TenantServiceInviteTenantProcedure, func(_ *testing.T, w *world, _ *customer) (string, string, string, any) {
			return "POST", "/admin/v1/tenants:invite", w.platformKey, map[string]any{"label": "Ana", "mode": "TEST", "reason": "a new customer"}
		}, "", false, notReplayable},
		{adminv1connect.TenantServiceRevokeTenantInvitationProcedure, func(t *testing.T, w *world, _ *customer) (string, string, string, any) {
			made := w.must(t, "POST", "/admin/v1/tenants:invite", w.platformKey, map[string]any{"label": "Ana", "mode": "TEST"})
			return "POST", "/admin/v1/tenantInvitations/" + made.text("invitationId") + ":revoke", w.platformKey, map[string]any{}
		}, "member.uninvite", true, ""},
		{adminv1connect.TenantServiceVouchDomainProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.unprove(t, c)
			return "POST", "/admin/v1/tenants/" + c.id + ":vouchDomain", w.platformKey, map[string]any{"reason": "contract 4711"}
		}, "domain.vouch", false, ""},
		{adminv1connect.MemberServiceInviteMemberProcedure, post("/admin/v1/members:invite", map[string]any{"role": "viewer", "label": "Ana", "reason": "new here"}), "member.invite", false, notReplayable},
		{adminv1connect.MemberServiceRevokeInvitationProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/invitations/" + w.invitation(t, c) + ":revoke", c.secret, map[string]any{}
		}, "member.uninvite", false, ""},
		{adminv1connect.MemberServiceUpdateMemberProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PATCH", "/admin/v1/members/" + w.colleague(t, c, member.Viewer), c.secret, map[string]any{"role": "auditor", "reason": "new job"}
		}, "member.update", false, ""},
		{adminv1connect.MemberServiceRemoveMemberProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/members/" + w.colleague(t, c, member.Viewer) + ":remove", c.secret, map[string]any{"reason": "has left"}
		}, "member.remove", false, ""},
		{adminv1connect.RelyingPartyServiceVerifyDomainProcedure, post("/admin/v1/relyingParty:verifyDomain", map[string]any{}), "domain.verify", false, ""},
		{adminv1connect.TenantServiceSuspendTenantProcedure, func(_ *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/tenants/" + c.id + ":suspend", w.platformKey, map[string]any{"reason": "unpaid"}
		}, "tenant.suspend", false, ""},
		{adminv1connect.TenantServiceResumeTenantProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.must(t, "POST", "/admin/v1/tenants/"+c.id+":suspend", w.platformKey, map[string]any{})
			return "POST", "/admin/v1/tenants/" + c.id + ":resume", w.platformKey, map[string]any{}
		}, "tenant.resume", false, ""},
		{adminv1connect.ExportServiceStartExportProcedure, func(_ *testing.T, _ *world, c *customer) (string, string, string, any) {
			return "POST", "/admin/v1/tenants/" + c.id + ":export", c.secret, map[string]any{"reason": "we are leaving"}
		}, "export.start", false, ""},
		{adminv1connect.ExportServiceCancelExportProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			return "POST", w.export(t, c) + ":cancel", w.platformKey, map[string]any{"reason": "a mistake"}
		}, "export.cancel", false, ""},
		{adminv1connect.TenantServiceDeleteTenantProcedure, func(_ *testing.T, w *world, c *customer) (string, string, string, any) {
			return "DELETE", "/admin/v1/tenants/" + c.id + "?reason=over", w.platformKey, nil
		}, "tenant.delete", false, ""},
		{adminv1connect.TenantServiceRestoreTenantProcedure, func(t *testing.T, w *world, c *customer) (string, string, string, any) {
			w.must(t, "DELETE", "/admin/v1/tenants/"+c.id, w.platformKey, nil)
			return "POST", "/admin/v1/tenants/" + c.id + ":restore", w.platformKey, map[string]any{"reason": "not over"}
		}, "tenant.restore", false, ""},
		{adminv1connect.UsageServiceUpdateTenantQuotasProcedure, func(_ *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PATCH", "/admin/v1/tenants/" + c.id + "/quotas", w.platformKey, map[string]any{"set": []map[string]any{{"kind": "CEREMONIES", "most": 1000}}}
		}, "quota.set", false, ""},
		{adminv1connect.UsageServiceUpdateTenantLimitsProcedure, func(_ *testing.T, w *world, c *customer) (string, string, string, any) {
			return "PATCH", "/admin/v1/tenants/" + c.id + "/limits", w.platformKey, map[string]any{"set": []map[string]any{{"name": "key", "calls": 2000}}, "reason": "contract"}
		}, "limits.set", false, ""},
	}
}

// apiKey makes a server key of the tenant's, and returns its id.
func (w *world) apiKey(t *testing.T, c *customer) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "old", "scopes": []string{"users:read"}}).text("id")
}

func fill(path string, c *customer) string {
	return strings.NewReplacer("{user}", c.user, "{credential}", c.credential, "{session}", c.session).Replace(path)
}

// Every mutating method leaves an audit entry when it succeeds; a repeat under the
// same Idempotency-Key changes nothing and is answered as the table says; another
// body under that key is refused. The audit entry removed from a service, or its
// Result, turns its case red.
func TestEveryMutatingMethod(t *testing.T) {
	w := newWorld(t)
	covered := map[string]bool{}
	for i, e := range effects() {
		covered[e.procedure] = true
		t.Run(strings.TrimPrefix(e.procedure, "/biocore."), func(t *testing.T) {
			c := w.tenant(t, fmt.Sprintf("tenant-%d", i))
			w.enroll(t, c, "alice")
			w.signIn(t, c)
			method, path, key, body := e.call(t, w, c)
			before := w.auditCount(t, c.id, e.action)
			idempotency := uuid.NewString()

			first := w.call(t, method, path, key, body, "Idempotency-Key", idempotency)
			if first.status != http.StatusOK {
				t.Fatalf("first call: %s", first)
			}
			if first.header.Get("X-Request-Id") == "" {
				t.Error("no request id")
			}
			in := c.id
			if e.home {
				if in = first.text("tenant", "id"); in == "" { // the platform's
					in = scope.PlatformTenant.String()
				}
				before = 0
			}
			if after := w.auditCount(t, in, e.action); e.action != "" && after != before+1 {
				t.Errorf("audit entries %s: %d, want %d more than %d", e.action, after, 1, before)
			}
			settled := w.auditCount(t, in, e.action)

			second := w.call(t, method, path, key, body, "Idempotency-Key", idempotency)
			switch {
			case e.repeat == "" && (second.status != http.StatusOK || second.raw != first.raw):
				t.Errorf("the repeat is answered otherwise:\n%s\n%s", first, second)
			case e.repeat == anew:
				if second.status != http.StatusOK || second.raw == first.raw {
					t.Errorf("the repeat of a begin: %s", second)
				}
				if n := w.keptKeys(t, c.id); n != 0 {
					t.Errorf("a begin wrote %d idempotency keys", n)
				}
				return
			case e.repeat != "" && (second.status != http.StatusConflict || second.reason() != e.repeat):
				t.Errorf("the repeat: %s, want 409 %s", second, e.repeat)
			}
			if again := w.auditCount(t, in, e.action); again != settled {
				t.Errorf("the repeat took effect: %d audit entries, then %d", settled, again)
			}
			if b, ok := body.(map[string]any); ok && method != http.MethodDelete {
				other := map[string]any{"reason": "another"}
				maps.Copy(other, b)
				other["reason"] = "another body"
				if _, has := b["reason"]; has {
					if a := w.call(t, method, path, key, other, "Idempotency-Key", idempotency); a.reason() != "IDEMPOTENCY_KEY_REUSED" {
						t.Errorf("another body under the same key: %s", a)
					}
				}
			}
		})
	}
	for spec := range w.rpc.Specs() {
		if spec.IdempotencyLevel != 1 && !covered[spec.Procedure] && spec.Procedure != authv1connect.SessionServiceVerifySessionProcedure {
			t.Errorf("%s changes something and has no case here", spec.Procedure)
		}
	}
}

// A publishable key is read off a page by anybody: it must not write a row a call.
func TestPublishableKeysKeepNoIdempotencyKeys(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	if a := w.call(t, "POST", "/v1/authentications:begin", c.publishable, map[string]any{}, "Idempotency-Key", "a"); a.status != http.StatusOK {
		t.Errorf("a begin, which ignores the key: %s", a)
	}
	body := w.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{})
	a := w.call(t, "POST", "/v1/authentications:finish", c.publishable, body, "Idempotency-Key", "b")
	if a.status != http.StatusForbidden || a.reason() != "IDEMPOTENCY_KEY_NOT_ALLOWED" {
		t.Errorf("a finish: %s", a)
	}
	if n := w.keptKeys(t, c.id); n != 0 {
		t.Errorf("%d idempotency keys are kept", n)
	}
	w.must(t, "POST", "/v1/authentications:finish", c.publishable, body)
}

// keptKeys counts a tenant's idempotency keys.
func (w *world) keptKeys(t *testing.T, tenantID string) (n int64) {
	t.Helper()
	if err := w.store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM idempotency_keys WHERE tenant_id = $1", tenantID).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// auditCount counts a tenant's audit entries of one action that succeeded, as
// anybody with the database would.
func (w *world) auditCount(t *testing.T, tenantID, action string) (n int64) {
	t.Helper()
	if action == "" {
		return 0
	}
	if err := w.store.Superuser(t).QueryRow(t.Context(),
		"SELECT count(*) FROM audit_records WHERE tenant_id = $1 AND action = $2 AND entry::jsonb->>'outcome' = 'success'", tenantID, action).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// reasonOf is why a tenant's latest act of one kind was done, as its audit entry says.
func (w *world) reasonOf(t *testing.T, tenantID, action string) (reason string) {
	t.Helper()
	var slug string
	if err := w.store.Superuser(t).QueryRow(t.Context(), "SELECT slug FROM tenants WHERE id = $1", tenantID).Scan(&slug); err != nil {
		t.Fatal(err)
	}
	var found []auditJSON
	out := newShell(t, w.cfg).must(t, "audit", "list", "--tenant", slug, "--filter", "action = "+action, "--limit", "1", "--json")
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found) == 0 {
		t.Fatalf("entries of %s: %v\n%s", action, err, out)
	}
	return found[0].Reason
}

// A suspended tenant, a revoked key and a blocked user stop within a second, on the
// server that was told and on the other one.
func TestRevocationIsSeenByEveryServer(t *testing.T) {
	w := newWorld(t)
	other := startWorld(t, w.store, w.cfgForReplica())
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	w.signIn(t, c)
	verify := func(w *world) string {
		a := w.call(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access})
		if a.status != http.StatusOK {
			return a.reason()
		}
		return fmt.Sprint(a.at("active"))
	}
	within := func(what, want string, ask func() string) {
		t.Helper()
		dbtest.Seen(t, what+" at the other server", unless(want, ask))
	}
	within("signed in", "true", func() string { return verify(other) })
	w.must(t, "POST", "/v1/sessions/"+c.session+":revoke", c.secret, map[string]any{})
	if got := verify(w); got != "false" {
		t.Errorf("the server that revoked the session still answers %s", got)
	}
	within("session revoked", "false", func() string { return verify(other) })

	w.must(t, "POST", "/admin/v1/tenants/"+c.id+":suspend", w.platformKey, map[string]any{})
	within("tenant suspended", "TENANT_SUSPENDED", func() string { return verify(other) })
	w.must(t, "POST", "/admin/v1/tenants/"+c.id+":resume", w.platformKey, map[string]any{})
	within("tenant resumed", "false", func() string { return verify(other) })

	id := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "short-lived", "scopes": []string{"users:read"}})
	short := id.text("key")
	ask := func() string {
		return other.call(t, "GET", "/v1/users", short, nil).reason()
	}
	within("key created", "", ask)
	w.must(t, "POST", "/admin/v1/apiKeys/"+id.text("id")+":revoke", c.secret, map[string]any{})
	within("key revoked", "API_KEY_REVOKED", ask)
}

// cfgForReplica is the configuration of a second server on the same stores.
func (w *world) cfgForReplica() Config {
	cfg := w.cfg
	cfg.Listen, cfg.OpsListen = "127.0.0.1:0", "127.0.0.1:0"
	return cfg
}

// pause waits between two looks at what happens elsewhere.
func pause(t testing.TB, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}
