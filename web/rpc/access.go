package rpc

import (
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
)

// keyKinds is a set of kinds of API keys.
type keyKinds uint8

const (
	serverKey      keyKinds = 1 << iota // bk_: a tenant's server
	publishableKey                      // pk_: a tenant's web page
	platformKey                         // pf_: the operators of this installation
)

// repeat says what a second call with the same Idempotency-Key is answered.
type repeat uint8

const (
	reads        repeat = iota // the call changes nothing that a repeat would change again: the key is ignored
	replays                    // the first answer, from the transaction that gave it
	neverKept                  // 409: the answer holds a secret, and is never stored
	claimedFirst               // 409, and the key is claimed before the call: a challenge is for once
)

// access is who may call a method, and what a repeat of it means.
type access struct {
	kinds  keyKinds
	scope  string // that a server or platform key must have; publishable keys have none
	repeat repeat
}

// methods is the whole permission table of both planes. A procedure that is not
// in it is refused, and a test fails on a registered one that is missing.
var methods = map[string]access{
	authv1connect.RegistrationServiceCreateRegistrationTokenProcedure: {serverKey, apikey.ScopeRegistrations, neverKept},
	authv1connect.RegistrationServiceBeginRegistrationProcedure:       {serverKey | publishableKey, apikey.ScopeRegistrations, reads},
	authv1connect.RegistrationServiceFinishRegistrationProcedure:      {serverKey | publishableKey, apikey.ScopeRegistrations, claimedFirst},

	authv1connect.AuthenticationServiceBeginAuthenticationProcedure:  {serverKey | publishableKey, apikey.ScopeAuthentications, reads},
	authv1connect.AuthenticationServiceFinishAuthenticationProcedure: {serverKey | publishableKey, apikey.ScopeAuthentications, claimedFirst},
	authv1connect.AuthenticationServiceExchangeCodeProcedure:         {serverKey, apikey.ScopeAuthentications, neverKept},

	authv1connect.UserServiceCreateUserProcedure:        {serverKey, apikey.ScopeUsersWrite, replays},
	authv1connect.UserServiceGetUserProcedure:           {serverKey, apikey.ScopeUsersRead, reads},
	authv1connect.UserServiceLookupUserProcedure:        {serverKey, apikey.ScopeUsersRead, reads},
	authv1connect.UserServiceListUsersProcedure:         {serverKey, apikey.ScopeUsersRead, reads},
	authv1connect.UserServiceSummarizeContactsProcedure: {serverKey, apikey.ScopeUsersRead, reads},
	authv1connect.UserServiceUpdateUserProcedure:        {serverKey, apikey.ScopeUsersWrite, replays},
	authv1connect.UserServiceDeleteUserProcedure:        {serverKey, apikey.ScopeUsersWrite, replays},
	authv1connect.UserServiceBlockUserProcedure:         {serverKey, apikey.ScopeUsersWrite, replays},
	authv1connect.UserServiceUnblockUserProcedure:       {serverKey, apikey.ScopeUsersWrite, replays},

	authv1connect.CredentialServiceListCredentialsProcedure:   {serverKey, apikey.ScopeUsersRead, reads},
	authv1connect.CredentialServiceGetCredentialProcedure:     {serverKey, apikey.ScopeUsersRead, reads},
	authv1connect.CredentialServiceUpdateCredentialProcedure:  {serverKey, apikey.ScopeUsersWrite, replays},
	authv1connect.CredentialServiceRevokeCredentialProcedure:  {serverKey, apikey.ScopeUsersWrite, replays},
	authv1connect.CredentialServiceSuspendCredentialProcedure: {serverKey, apikey.ScopeUsersWrite, replays},
	authv1connect.CredentialServiceResumeCredentialProcedure:  {serverKey, apikey.ScopeUsersWrite, replays},
	authv1connect.CredentialServiceGetSignalsProcedure:        {serverKey, apikey.ScopeUsersRead, reads},
	authv1connect.CredentialServiceVouchCredentialProcedure:   {serverKey, apikey.ScopeCredentialsVouch, replays},

	authv1connect.RecoveryServiceCreateRecoveryCodesProcedure: {serverKey, apikey.ScopeRecoveries, neverKept},
	authv1connect.RecoveryServiceGetRecoveryCodesProcedure:    {serverKey, apikey.ScopeRecoveries, reads},
	authv1connect.RecoveryServiceDeleteRecoveryCodesProcedure: {serverKey, apikey.ScopeRecoveries, replays},
	authv1connect.RecoveryServiceRedeemRecoveryCodeProcedure:  {serverKey, apikey.ScopeRecoveries, neverKept},
	authv1connect.RecoveryServiceGetRecoveryProcedure:         {serverKey, apikey.ScopeRecoveries, reads},

	authv1connect.RiskServiceEvaluateRiskProcedure: {serverKey, apikey.ScopeRisk, replays},
	authv1connect.RiskServiceReportRiskProcedure:   {serverKey, apikey.ScopeRisk, replays},

	authv1connect.SessionServiceVerifySessionProcedure:       {serverKey, apikey.ScopeSessions, reads},
	authv1connect.SessionServiceRefreshSessionProcedure:      {serverKey, apikey.ScopeSessions, neverKept},
	authv1connect.SessionServiceListSessionsProcedure:        {serverKey, apikey.ScopeSessions, reads},
	authv1connect.SessionServiceRevokeSessionProcedure:       {serverKey, apikey.ScopeSessions, replays},
	authv1connect.SessionServiceBatchRevokeSessionsProcedure: {serverKey, apikey.ScopeSessions, replays},
	authv1connect.SessionServiceRevokeAllSessionsProcedure:   {serverKey, apikey.ScopeSessions, replays},

	adminv1connect.TenantServiceCreateTenantProcedure:           {platformKey, apikey.ScopeTenantsWrite, neverKept},
	adminv1connect.TenantServiceGetTenantProcedure:              {platformKey, apikey.ScopeTenantsRead, reads},
	adminv1connect.TenantServiceListTenantsProcedure:            {platformKey, apikey.ScopeTenantsRead, reads},
	adminv1connect.TenantServiceUpdateTenantProcedure:           {platformKey, apikey.ScopeTenantsWrite, replays},
	adminv1connect.TenantServiceSuspendTenantProcedure:          {platformKey, apikey.ScopeTenantsWrite, replays},
	adminv1connect.TenantServiceResumeTenantProcedure:           {platformKey, apikey.ScopeTenantsWrite, replays},
	adminv1connect.TenantServiceVouchDomainProcedure:            {platformKey, apikey.ScopeTenantsWrite, replays},
	adminv1connect.TenantServiceInviteTenantProcedure:           {platformKey, apikey.ScopeTenantsWrite, neverKept},
	adminv1connect.TenantServiceListTenantInvitationsProcedure:  {platformKey, apikey.ScopeTenantsRead, reads},
	adminv1connect.TenantServiceRevokeTenantInvitationProcedure: {platformKey, apikey.ScopeTenantsWrite, replays},
	adminv1connect.TenantServiceDeleteTenantProcedure:           {platformKey, apikey.ScopeTenantsWrite, replays},
	adminv1connect.TenantServiceRestoreTenantProcedure:          {platformKey, apikey.ScopeTenantsWrite, replays},

	adminv1connect.ExportServiceStartExportProcedure:  {serverKey | platformKey, apikey.ScopeExportTenant, replays},
	adminv1connect.ExportServiceGetExportProcedure:    {serverKey | platformKey, apikey.ScopeExportTenant, reads},
	adminv1connect.ExportServiceListExportsProcedure:  {serverKey | platformKey, apikey.ScopeExportTenant, reads},
	adminv1connect.ExportServiceCancelExportProcedure: {serverKey | platformKey, apikey.ScopeExportTenant, replays},

	adminv1connect.UsageServiceGetUsageProcedure:           {serverKey, apikey.ScopeUsageRead, reads},
	adminv1connect.UsageServiceGetTenantUsageProcedure:     {platformKey, apikey.ScopeTenantsRead, reads},
	adminv1connect.UsageServiceGetLimitsProcedure:          {serverKey, apikey.ScopeUsageRead, reads},
	adminv1connect.UsageServiceGetTenantLimitsProcedure:    {platformKey, apikey.ScopeTenantsRead, reads},
	adminv1connect.UsageServiceUpdateTenantLimitsProcedure: {platformKey, apikey.ScopeTenantsWrite, replays},
	adminv1connect.UsageServiceUpdateTenantQuotasProcedure: {platformKey, apikey.ScopeTenantsWrite, replays},

	adminv1connect.SystemServiceGetSystemProcedure: {platformKey, apikey.ScopeSystemRead, reads},
	adminv1connect.SystemServiceRetryJobProcedure:  {platformKey, apikey.ScopeSystemWrite, replays},

	adminv1connect.SettingsServiceGetSettingsProcedure:    {serverKey, apikey.ScopeSettingsRead, reads},
	adminv1connect.SettingsServiceUpdateSettingsProcedure: {serverKey, apikey.ScopeSettingsWrite, replays},

	adminv1connect.PolicyServiceGetPolicyProcedure:          {serverKey, apikey.ScopePolicyRead, reads},
	adminv1connect.PolicyServicePutPolicyProcedure:          {serverKey, apikey.ScopePolicyWrite, replays},
	adminv1connect.PolicyServiceListPolicyVersionsProcedure: {serverKey, apikey.ScopePolicyRead, reads},
	adminv1connect.PolicyServiceGetPolicyVersionProcedure:   {serverKey, apikey.ScopePolicyRead, reads},
	adminv1connect.PolicyServiceSimulatePolicyProcedure:     {serverKey, apikey.ScopePolicyRead, reads},
	adminv1connect.PolicyServiceRollbackPolicyProcedure:     {serverKey, apikey.ScopePolicyWrite, replays},

	adminv1connect.RiskRulesServiceGetRiskRulesProcedure:          {serverKey, apikey.ScopeRiskRead, reads},
	adminv1connect.RiskRulesServicePutRiskRulesProcedure:          {serverKey, apikey.ScopeRiskWrite, replays},
	adminv1connect.RiskRulesServiceListRiskRulesVersionsProcedure: {serverKey, apikey.ScopeRiskRead, reads},
	adminv1connect.RiskRulesServiceGetRiskRulesVersionProcedure:   {serverKey, apikey.ScopeRiskRead, reads},
	adminv1connect.RiskRulesServiceRollbackRiskRulesProcedure:     {serverKey, apikey.ScopeRiskWrite, replays},
	adminv1connect.RiskRulesServiceBacktestRiskRulesProcedure:     {serverKey, apikey.ScopeRiskRead, reads},
	adminv1connect.RiskRulesServiceGetRiskProviderProcedure:       {serverKey, apikey.ScopeRiskRead, reads},
	adminv1connect.RiskRulesServicePutRiskProviderProcedure:       {serverKey, apikey.ScopeRiskWrite, replays},
	adminv1connect.RiskRulesServiceDeleteRiskProviderProcedure:    {serverKey, apikey.ScopeRiskWrite, replays},

	adminv1connect.RecoveryServiceCreateEnrollmentLinkProcedure: {serverKey, apikey.ScopeRecoveryLinks, neverKept},
	adminv1connect.RecoveryServiceListRecoveriesProcedure:       {serverKey, apikey.ScopeRecoveriesRead, reads},
	adminv1connect.RecoveryServiceGetRecoveryProcedure:          {serverKey, apikey.ScopeRecoveriesRead, reads},
	adminv1connect.RecoveryServiceApproveRecoveryProcedure:      {serverKey, apikey.ScopeRecoveriesDecide, replays},
	adminv1connect.RecoveryServiceRefuseRecoveryProcedure:       {serverKey, apikey.ScopeRecoveriesDecide, replays},
	adminv1connect.RecoveryServiceRevokeRecoveryProcedure:       {serverKey, apikey.ScopeRecoveriesDecide, replays},
	adminv1connect.ImportServiceCreateImportProcedure:           {serverKey, apikey.ScopeImportsWrite, replays},
	adminv1connect.ImportServiceGetImportProcedure:              {serverKey, apikey.ScopeImportsRead, reads},
	adminv1connect.ImportServiceListImportsProcedure:            {serverKey, apikey.ScopeImportsRead, reads},
	adminv1connect.ImportServiceAppendImportLinesProcedure:      {serverKey, apikey.ScopeImportsWrite, replays},
	adminv1connect.ImportServiceCompleteImportProcedure:         {serverKey, apikey.ScopeImportsWrite, replays},
	adminv1connect.ImportServiceRunImportProcedure:              {serverKey, apikey.ScopeImportsWrite, replays},
	adminv1connect.ImportServiceCancelImportProcedure:           {serverKey, apikey.ScopeImportsWrite, replays},
	adminv1connect.ImportServiceListImportFindingsProcedure:     {serverKey, apikey.ScopeImportsRead, reads},
	adminv1connect.ImportServiceExportUsersProcedure:            {serverKey, apikey.ScopeExportUsers, reads},
	adminv1connect.ImportServiceExportContactsProcedure:         {serverKey, apikey.ScopeExportContacts, reads},

	adminv1connect.RelyingPartyServiceGetRelyingPartyProcedure:   {serverKey, apikey.ScopeSettingsRead, reads},
	adminv1connect.RelyingPartyServiceCheckRelyingPartyProcedure: {serverKey, apikey.ScopeSettingsRead, reads},
	adminv1connect.RelyingPartyServicePlanRelyingPartyProcedure:  {serverKey, apikey.ScopeSettingsRead, reads},
	adminv1connect.RelyingPartyServiceFetchRelyingPartyProcedure: {serverKey, apikey.ScopeSettingsRead, reads},
	adminv1connect.RelyingPartyServiceVerifyDomainProcedure:      {serverKey, apikey.ScopeSettingsWrite, replays},

	adminv1connect.CeremonyServiceListCeremoniesProcedure: {serverKey, apikey.ScopeCeremoniesRead, reads},
	adminv1connect.CeremonyServiceGetCeremonyProcedure:    {serverKey, apikey.ScopeCeremoniesRead, reads},

	adminv1connect.AuditServiceListAuditEventsProcedure:      {serverKey, apikey.ScopeAuditRead, reads},
	adminv1connect.AuditServiceGetAuditProofProcedure:        {serverKey, apikey.ScopeAuditRead, reads},
	adminv1connect.AuditServiceGetAuditLogProcedure:          {serverKey, apikey.ScopeAuditRead, reads},
	adminv1connect.AuditServiceListAuditCheckpointsProcedure: {serverKey, apikey.ScopeAuditRead, reads},
	adminv1connect.AuditServiceGetAuditConsistencyProcedure:  {serverKey, apikey.ScopeAuditRead, reads},
	adminv1connect.AuditServiceGetAuditAnchorProcedure:       {serverKey, apikey.ScopeAuditRead, reads},
	adminv1connect.AuditServiceListAuditArchivesProcedure:    {serverKey, apikey.ScopeAuditRead, reads},
	adminv1connect.AuditServiceListAuditViewsProcedure:       {serverKey, apikey.ScopeAuditRead, reads},
	adminv1connect.AuditServiceCreateAuditViewProcedure:      {serverKey, apikey.ScopeAuditViews, replays},
	adminv1connect.AuditServiceDeleteAuditViewProcedure:      {serverKey, apikey.ScopeAuditViews, replays},

	adminv1connect.EvidenceServiceListEvidenceProcedure:     {serverKey, apikey.ScopeEvidenceRead, reads},
	adminv1connect.EvidenceServiceGetEvidenceProcedure:      {serverKey, apikey.ScopeEvidenceRead, reads},
	adminv1connect.EvidenceServiceDownloadEvidenceProcedure: {serverKey, apikey.ScopeEvidenceRead, reads},
	adminv1connect.EvidenceServiceVerifyEvidenceProcedure:   {serverKey, apikey.ScopeEvidenceRead, reads},

	adminv1connect.AuthenticatorServiceGetMetadataProcedure:                  {serverKey, apikey.ScopeAuthenticatorsRead, reads},
	adminv1connect.AuthenticatorServiceListModelsProcedure:                   {serverKey, apikey.ScopeAuthenticatorsRead, reads},
	adminv1connect.AuthenticatorServiceGetAuthenticatorProcedure:             {serverKey, apikey.ScopeAuthenticatorsRead, reads},
	adminv1connect.AuthenticatorServiceListBlastRadiiProcedure:               {platformKey, apikey.ScopeAuthenticatorsRead, reads},
	adminv1connect.AuthenticatorServiceListAuthenticatorsProcedure:           {serverKey, apikey.ScopeAuthenticatorsRead, reads},
	adminv1connect.AuthenticatorServiceGetBlastRadiusProcedure:               {serverKey, apikey.ScopeAuthenticatorsRead, reads},
	adminv1connect.AuthenticatorServiceListAuthenticatorCredentialsProcedure: {serverKey, apikey.ScopeAuthenticatorsRead, reads},
	adminv1connect.AuthenticatorServiceDisposeAuthenticatorProcedure:         {serverKey, apikey.ScopeAuthenticatorsWrite, replays},
	adminv1connect.AuthenticatorServiceListDispositionsProcedure:             {serverKey, apikey.ScopeAuthenticatorsRead, reads},
	adminv1connect.AuthenticatorServiceGetDispositionProcedure:               {serverKey, apikey.ScopeAuthenticatorsRead, reads},

	adminv1connect.LogStreamServiceListLogStreamsProcedure:       {serverKey, apikey.ScopeLogStreamsRead, reads},
	adminv1connect.LogStreamServiceGetLogStreamProcedure:         {serverKey, apikey.ScopeLogStreamsRead, reads},
	adminv1connect.LogStreamServiceListLogStreamRejectsProcedure: {serverKey, apikey.ScopeLogStreamsRead, reads},
	adminv1connect.LogStreamServiceCreateLogStreamProcedure:      {serverKey, apikey.ScopeLogStreamsWrite, replays},
	adminv1connect.LogStreamServiceUpdateLogStreamProcedure:      {serverKey, apikey.ScopeLogStreamsWrite, replays},
	adminv1connect.LogStreamServiceDeleteLogStreamProcedure:      {serverKey, apikey.ScopeLogStreamsWrite, replays},
	adminv1connect.LogStreamServicePauseLogStreamProcedure:       {serverKey, apikey.ScopeLogStreamsWrite, replays},
	adminv1connect.LogStreamServiceResumeLogStreamProcedure:      {serverKey, apikey.ScopeLogStreamsWrite, replays},
	adminv1connect.LogStreamServiceReplayLogStreamProcedure:      {serverKey, apikey.ScopeLogStreamsWrite, replays},
	adminv1connect.LogStreamServiceTestLogStreamProcedure:        {serverKey, apikey.ScopeLogStreamsWrite, replays},

	adminv1connect.ReportServiceListReportsProcedure:            {serverKey, apikey.ScopeReportsRead, reads},
	adminv1connect.ReportServiceGetReportProcedure:              {serverKey, apikey.ScopeReportsRead, reads},
	adminv1connect.ReportServiceCreateReportProcedure:           {serverKey, apikey.ScopeReportsWrite, replays},
	adminv1connect.ReportServiceDeleteReportProcedure:           {serverKey, apikey.ScopeReportsManage, replays},
	adminv1connect.ReportServiceListReportSchedulesProcedure:    {serverKey, apikey.ScopeReportsRead, reads},
	adminv1connect.ReportServicePutReportScheduleProcedure:      {serverKey, apikey.ScopeReportsManage, replays},
	adminv1connect.ReportServiceDeleteReportScheduleProcedure:   {serverKey, apikey.ScopeReportsManage, replays},
	adminv1connect.ReportServiceListReportCataloguesProcedure:   {serverKey, apikey.ScopeReportsRead, reads},
	adminv1connect.ReportServiceGetReportCatalogueProcedure:     {serverKey, apikey.ScopeReportsRead, reads},
	adminv1connect.ReportServicePutReportCatalogueProcedure:     {serverKey, apikey.ScopeReportsManage, replays},
	adminv1connect.ReportServiceDeleteReportCatalogueProcedure:  {serverKey, apikey.ScopeReportsManage, replays},
	adminv1connect.ReportServiceListReportMeasurementsProcedure: {serverKey, apikey.ScopeReportsRead, reads},
	adminv1connect.DataMapServiceGetDataMapProcedure:            {serverKey, apikey.ScopeGovernanceRead, reads},

	adminv1connect.ErasureServiceListErasuresProcedure:          {serverKey, apikey.ScopeErasuresRead, reads},
	adminv1connect.ErasureServiceGetErasureProcedure:            {serverKey, apikey.ScopeErasuresRead, reads},
	adminv1connect.ErasureServiceGetErasureCertificateProcedure: {serverKey, apikey.ScopeErasuresRead, reads},

	adminv1connect.DlpServiceStartDlpScanProcedure:      {serverKey, apikey.ScopeDLPWrite, replays},
	adminv1connect.DlpServiceGetDlpScanProcedure:        {serverKey, apikey.ScopeDLPRead, reads},
	adminv1connect.DlpServiceListDlpScansProcedure:      {serverKey, apikey.ScopeDLPRead, reads},
	adminv1connect.DlpServiceCancelDlpScanProcedure:     {serverKey, apikey.ScopeDLPWrite, replays},
	adminv1connect.DlpServiceGetDlpScheduleProcedure:    {serverKey, apikey.ScopeDLPRead, reads},
	adminv1connect.DlpServicePutDlpScheduleProcedure:    {serverKey, apikey.ScopeDLPWrite, replays},
	adminv1connect.DlpServiceDeleteDlpScheduleProcedure: {serverKey, apikey.ScopeDLPWrite, replays},
	adminv1connect.DlpServiceListDlpFindingsProcedure:   {serverKey, apikey.ScopeDLPRead, reads},
	adminv1connect.DlpServiceDecideDlpFindingProcedure:  {serverKey, apikey.ScopeDLPWrite, replays},
	adminv1connect.DlpServiceImportDlpFindingsProcedure: {serverKey, apikey.ScopeDLPWrite, replays},

	adminv1connect.AttestationRootServiceListAttestationRootsProcedure:  {serverKey, apikey.ScopeAttestationRootsRead, reads},
	adminv1connect.AttestationRootServiceGetAttestationRootProcedure:    {serverKey, apikey.ScopeAttestationRootsRead, reads},
	adminv1connect.AttestationRootServiceCreateAttestationRootProcedure: {serverKey, apikey.ScopeAttestationRootsWrite, replays},
	adminv1connect.AttestationRootServiceDeleteAttestationRootProcedure: {serverKey, apikey.ScopeAttestationRootsWrite, replays},

	adminv1connect.MemberServiceListMembersProcedure:      {serverKey, apikey.ScopeMembersRead, reads},
	adminv1connect.MemberServiceListInvitationsProcedure:  {serverKey, apikey.ScopeMembersRead, reads},
	adminv1connect.MemberServiceInviteMemberProcedure:     {serverKey, apikey.ScopeMembersWrite, neverKept},
	adminv1connect.MemberServiceRevokeInvitationProcedure: {serverKey, apikey.ScopeMembersWrite, replays},
	adminv1connect.MemberServiceUpdateMemberProcedure:     {serverKey, apikey.ScopeMembersWrite, replays},
	adminv1connect.MemberServiceRemoveMemberProcedure:     {serverKey, apikey.ScopeMembersWrite, replays},

	adminv1connect.StatsServiceGetStatsOverviewProcedure:   {serverKey, apikey.ScopeStatsRead, reads},
	adminv1connect.StatsServiceGetStatsTimeseriesProcedure: {serverKey, apikey.ScopeStatsRead, reads},

	adminv1connect.DashboardServiceListDashboardsProcedure:  {serverKey, apikey.ScopeDashboardsRead, reads},
	adminv1connect.DashboardServiceGetDashboardProcedure:    {serverKey, apikey.ScopeDashboardsRead, reads},
	adminv1connect.DashboardServiceCreateDashboardProcedure: {serverKey, apikey.ScopeDashboardsWrite, replays},
	adminv1connect.DashboardServiceUpdateDashboardProcedure: {serverKey, apikey.ScopeDashboardsWrite, replays},
	adminv1connect.DashboardServiceDeleteDashboardProcedure: {serverKey, apikey.ScopeDashboardsWrite, replays},

	adminv1connect.FlagServiceListFlagsProcedure:        {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.FlagServiceGetFlagProcedure:          {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.FlagServiceListFlagChangesProcedure:  {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.FlagServiceEvaluateFlagProcedure:     {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.FlagServiceCreateFlagProcedure:       {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.FlagServiceUpdateFlagProcedure:       {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.FlagServiceSetFlagRulesProcedure:     {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.FlagServiceDeleteFlagProcedure:       {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.FlagServiceReportStaleFlagsProcedure: {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.FlagServiceRestoreFlagProcedure:      {serverKey, apikey.ScopeFlagsWrite, replays},

	adminv1connect.SegmentServiceListSegmentsProcedure:         {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.SegmentServiceGetSegmentProcedure:           {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.SegmentServiceFindSegmentMemberProcedure:    {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.SegmentServiceCreateSegmentProcedure:        {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.SegmentServiceUpdateSegmentProcedure:        {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.SegmentServiceDeleteSegmentProcedure:        {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.SegmentServiceAddSegmentMembersProcedure:    {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.SegmentServiceRemoveSegmentMembersProcedure: {serverKey, apikey.ScopeFlagsWrite, replays},
	adminv1connect.SegmentServiceListSegmentChangesProcedure:   {serverKey, apikey.ScopeFlagsRead, reads},
	adminv1connect.SegmentServiceRestoreSegmentProcedure:       {serverKey, apikey.ScopeFlagsWrite, replays},

	adminv1connect.SupportServiceRequestSupportAccessProcedure: {platformKey, apikey.ScopeSupportRequest, replays},
	adminv1connect.SupportServiceListSupportGrantsProcedure:    {serverKey, apikey.ScopeSupportRead, reads},
	adminv1connect.SupportServiceGetSupportGrantProcedure:      {serverKey, apikey.ScopeSupportRead, reads},
	adminv1connect.SupportServiceGrantSupportAccessProcedure:   {serverKey, apikey.ScopeSupportGrant, replays},
	adminv1connect.SupportServiceRefuseSupportAccessProcedure:  {serverKey, apikey.ScopeSupportGrant, replays},
	adminv1connect.SupportServiceRevokeSupportAccessProcedure:  {serverKey, apikey.ScopeSupportGrant, replays},
	adminv1connect.SupportServiceListSupportActionsProcedure:   {serverKey, apikey.ScopeSupportRead, reads},

	adminv1connect.ApiKeyServiceCreateApiKeyProcedure: {serverKey | platformKey, apikey.ScopeAPIKeysWrite, neverKept},
	adminv1connect.ApiKeyServiceListApiKeysProcedure:  {serverKey | platformKey, apikey.ScopeAPIKeysRead, reads},
	adminv1connect.ApiKeyServiceGetApiKeyProcedure:    {serverKey | platformKey, apikey.ScopeAPIKeysRead, reads},
	adminv1connect.ApiKeyServiceRotateApiKeyProcedure: {serverKey | platformKey, apikey.ScopeAPIKeysWrite, neverKept},
	adminv1connect.ApiKeyServiceLockApiKeyProcedure:   {serverKey | platformKey, apikey.ScopeAPIKeysWrite, replays},
	adminv1connect.ApiKeyServiceUnlockApiKeyProcedure: {serverKey | platformKey, apikey.ScopeAPIKeysWrite, replays},
	adminv1connect.ApiKeyServiceRevokeApiKeyProcedure: {serverKey | platformKey, apikey.ScopeAPIKeysWrite, replays},

	adminv1connect.SigningKeyServiceListSigningKeysProcedure:  {serverKey | platformKey, apikey.ScopeSigningKeysRead, reads},
	adminv1connect.SigningKeyServiceRotateSigningKeyProcedure: {serverKey | platformKey, apikey.ScopeSigningKeysWrite, replays},
	adminv1connect.SigningKeyServiceRevokeSigningKeyProcedure: {serverKey | platformKey, apikey.ScopeSigningKeysWrite, replays},
}

// Scope returns the scope that a server key must have to call a procedure, and whether a
// server key may call it at all.
func Scope(procedure string) (scope string, server bool) {
	m := methods[procedure]
	return m.scope, m.kinds&serverKey != 0
}
