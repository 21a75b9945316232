// Command biocore is the whole of Biocore: the server, its development default, and
// the operator's tools, one subcommand a file.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// command is one subcommand. run gets the arguments after its name, and prints
// nothing but its result to env.out: people's words by default, JSON under --json.
type command struct {
	name    string // as typed: "tenant create"
	args    string // what follows the flags, for the usage line
	summary string // one line, lower case, no period
	example string // a line that works after `biocore dev`
	run     func(ctx context.Context, env *environment, args []string) error
}

func commands() []command {
	return []command{
		{"dev", "", "start everything on this machine, for development", "biocore dev", runDev},
		{"serve", "", "serve the API", "biocore serve --config biocore.yaml", runServe},
		{"migrate up", "", "bring the database schema up to this version", "biocore migrate up", runMigrateUp},
		{"migrate status", "", "list the schema's migrations", "biocore migrate status --json", runMigrateStatus},
		{"doctor", "", "check every dependency and the tenant wall", "biocore doctor", runDoctor},
		{"secret seal", "VARIABLE", "wrap a secret of the configuration by the KMS, and print what to write in its place", "biocore secret seal BIOCORE_REDIS_URL < redis-url", runSecretSeal},
		{"secret check", "", "tell where each secret comes from, and show none", "biocore secret check", runSecretCheck},
		{"tenant create", "SLUG", "make a tenant, and print its first keys", "biocore tenant create globex --name Globex --rp-id localhost --origin http://localhost:8080 --mode test", runTenantCreate},
		{"tenant list", "", "list the tenants", "biocore tenant list --json", runTenantList},
		{"tenant settings", "SLUG", "show a tenant's settings, and change those given", "biocore tenant settings acme --audience https://api.acme.example", runTenantSettings},
		{"tenant lifetimes", "SLUG", "show how long tokens, sessions and records last, and change those given", "biocore tenant lifetimes acme --access-token 5m --keep-ceremonies 180 --reason contract", runTenantLifetimes},
		{"tenant suspend", "SLUG", "refuse every call of a tenant", "biocore tenant suspend globex --reason 'unpaid invoice'", runTenantSuspend},
		{"tenant resume", "SLUG", "undo a suspension", "biocore tenant resume globex", runTenantResume},
		{"tenant vouch-domain", "SLUG", "let a live tenant work on your word that its RP ID is its own domain", "biocore tenant vouch-domain --reason 'contract 4711 names it' acme", runTenantVouchDomain},
		{"tenant invite", "LABEL", "make a link by which somebody makes a tenant, and is its owner", "biocore tenant invite --mode test 'Ana Sousa, Bank'", runTenantInvite},
		{"tenant invitations", "", "list the open invitations to make a tenant", "biocore tenant invitations --json", runTenantInvitations},
		{"tenant uninvite", "INVITATION_ID", "take an open invitation to make a tenant back", "biocore tenant uninvite 0192f3c4-1b2a-7e1f-8a9b-0c1d2e3f4a5b", runTenantUninvite},
		{"users list", "", "list a tenant's users", "biocore users list --tenant acme --filter 'state = BLOCKED'", runUsersList},
		{"users export", "ID", "write all that a tenant has of one user, as a signed archive, for that user", "biocore users export --tenant acme --reason 'the user asked for it' --out user.zip 0193a7d2-5b1e-7000-8000-000000000000", runUsersExport},
		{"credentials list", "", "list a tenant's passkeys", "biocore credentials list --tenant acme --filter 'reported = true'", runCredentialsList},
		{"sessions list", "", "list the sessions of a tenant's users", "biocore sessions list --tenant acme --filter 'active = true'", runSessionsList},
		{"ceremonies list", "", "list what happened in a tenant's registrations and sign-ins", "biocore ceremonies list --tenant acme --filter 'outcome = FAILED'", runCeremoniesList},
		{"ceremonies tail", "", "print a tenant's registrations and sign-ins as they begin and finish, until Ctrl-C", "biocore ceremonies tail --tenant acme --outcome failed", runCeremoniesTail},
		{"ceremonies show", "ID", "print a ceremony's steps, why it failed and how to mend it", "biocore ceremonies show --tenant acme 0199f3a4-5b6c-7d8e-9f01-23456789abcd", runCeremoniesShow},
		{"audit list", "", "list who did what in a tenant", "biocore audit list --tenant acme --filter 'action = credential.revoke'", runAuditList},
		{"audit checkpoint", "", "print the signed checkpoint of a tenant's audit log, or the key that checks it", "biocore audit checkpoint --tenant acme --key > acme.vkey", runAuditCheckpoint},
		{"audit export", "", "print a tenant's audit log as a bundle that can be verified", "biocore audit export --tenant acme --from 0 > audit.jsonl", runAuditExport},
		{"audit anchor", "", "print the last head of a tenant's audit log that is in object storage, with the proof that it is there", "biocore audit anchor --tenant acme > anchor.json", runAuditAnchor},
		{"audit archives list", "", "list the pieces of a tenant's audit log that are in object storage", "biocore audit archives list --tenant acme", runAuditArchivesList},
		{"audit archives get", "FROM", "print the archive that begins at an entry of a tenant's audit log, as a bundle", "biocore audit archives get --tenant acme 0 > audit-0.jsonl", runAuditArchivesGet},
		{"audit verify", "FILE...", "verify bundles of an audit log by themselves, without a network: archives, and an export of the rest", "biocore audit verify audit.jsonl --key @acme.vkey", runAuditVerify},
		{"logstream create", "", "send a tenant's audit log to where it is watched, as it grows", "biocore logstream create --tenant acme --name SOC --kind splunk-hec --format ocsf --address https://splunk.acme.example:8088 --credential token.txt", runLogStreamCreate},
		{"logstream list", "", "list a tenant's log streams, and how far each is", "biocore logstream list --tenant acme", runLogStreamList},
		{"logstream show", "ID", "tell how a log stream is, and its last error", "biocore logstream show --tenant acme 0193a7d2-5b1e-7000-8000-000000000000", runLogStreamShow},
		{"logstream update", "ID", "change what is given of a log stream", "biocore logstream update --tenant acme --redact address,userAgent 0193a7d2-5b1e-7000-8000-000000000000", runLogStreamUpdate},
		{"logstream test", "ID", "send one event by a log stream, and tell whether the sink took it", "biocore logstream test --tenant acme 0193a7d2-5b1e-7000-8000-000000000000", runLogStreamTest},
		{"logstream pause", "ID", "send nothing until the log stream is resumed", "biocore logstream pause --tenant acme --reason maintenance 0193a7d2-5b1e-7000-8000-000000000000", runLogStreamPause},
		{"logstream resume", "ID", "go on where a log stream was paused, or at once where it is failing", "biocore logstream resume --tenant acme 0193a7d2-5b1e-7000-8000-000000000000", runLogStreamResume},
		{"logstream replay", "ID", "send entries again, from a number or a time on", "biocore logstream replay --tenant acme --since 2026-01-02T00:00:00Z --reason 'lost an index' 0193a7d2-5b1e-7000-8000-000000000000", runLogStreamReplay},
		{"logstream rejects", "ID", "list what the sink of a log stream has refused for good", "biocore logstream rejects --tenant acme 0193a7d2-5b1e-7000-8000-000000000000", runLogStreamRejects},
		{"logstream delete", "ID", "end a log stream for good", "biocore logstream delete --tenant acme 0193a7d2-5b1e-7000-8000-000000000000", runLogStreamDelete},
		{"report create", "CATALOGUE", "have a compliance report made of a period, and fetch it", "biocore report create --tenant acme --from 2026-10-01 --to 2026-10-31 --out october.zip soc2", runReportCreate},
		{"report list", "", "list a tenant's compliance reports, and what each came to", "biocore report list --tenant acme", runReportList},
		{"report download", "ID", "fetch the files of a report, or one of them", "biocore report download --tenant acme --file report.pdf --out october.pdf 0193a7d2-5b1e-7000-8000-000000000000", runReportDownload},
		{"report delete", "ID", "remove a report and what opens its files", "biocore report delete --tenant acme --reason 'made by mistake' 0193a7d2-5b1e-7000-8000-000000000000", runReportDelete},
		{"report schedule", "CATALOGUE", "have a report made of each month or quarter by itself", "biocore report schedule --tenant acme --every quarter iso27001", runReportSchedule},
		{"report catalogues", "", "list the catalogues of controls that reports are made by", "biocore report catalogues --tenant acme", runReportCatalogues},
		{"report catalogue", "NAME", "print a catalogue of controls, put one of the tenant's own, or delete it", "biocore report catalogue --tenant acme --set controls.yaml acme-controls", runReportCatalogue},
		{"report verify", "FILE", "check a report, or one file of it, by itself, without a network", "biocore report verify october.zip --jwks keys.json", runReportVerify},
		{"datamap", "", "list every field that is stored: its class, how it is sealed and kept, and what erasure does with it", "biocore datamap --class personal,high-risk --csv", runDataMap},
		{"dlp scan", "", "have a tenant's texts and audit log looked through for personal data and secrets", "biocore dlp scan --tenant acme --days 90 --reason quarterly", runDLPScan},
		{"dlp scans", "", "list a tenant's scans, and how far each is", "biocore dlp scans --tenant acme", runDLPScans},
		{"dlp findings", "", "list what scans have found, by place and shape", "biocore dlp findings --tenant acme --filter 'state = OPEN AND kind = CARD'", runDLPFindings},
		{"dlp decide", "ID", "dismiss a finding, note that it is mended, or open it again", "biocore dlp decide --tenant acme --state dismissed --reason 'a test card' 0193a7d2-5b1e-7000-8000-000000000000", runDLPDecide},
		{"dlp import", "FILE", "take in what another classifier has found; - reads standard input", "biocore dlp import --tenant acme --format macie findings.json", runDLPImport},
		{"dlp file", "FILE", "look for personal data and secrets in a file, without a network; - reads standard input", "biocore dlp file --kinds card,iban server.log", runDLPFile},
		{"erasures list", "", "list the users that a tenant has erased, by id", "biocore erasures list --tenant acme", runErasuresList},
		{"erasures certificate", "ID", "print the signed certificate of an erasure", "biocore erasures certificate --tenant acme 0193a7d2-5b1e-7000-8000-000000000000 > certificate.jws", runErasuresCertificate},
		{"erasures verify", "FILE", "verify a certificate of an erasure by itself, without a network", "biocore erasures verify certificate.jws --jwks keys.json", runErasuresVerify},
		{"erasures replay", "", "erase again whom the ledger names: after an older backup of the database was restored", "biocore erasures replay --since 2026-11-01", runErasuresReplay},
		{"tenant delete", "SLUG", "destroy a tenant in 30 days", "biocore tenant delete globex --confirm globex --reason 'contract ended'", runTenantDelete},
		{"tenant restore", "SLUG", "take a deletion back, within the 30 days", "biocore tenant restore globex --reason 'contract renewed'", runTenantRestore},
		{"tenant export", "SLUG", "have all that a tenant has written into an archive, and fetch it", "biocore tenant export acme --reason 'the contract ends' --wait --out acme.zip", runTenantExport},
		{"tenant exports", "SLUG", "list a tenant's exports, and how far each is", "biocore tenant exports acme", runTenantExports},
		{"tenant cancel-export", "ID", "end an export that is being written, and remove what is written of it", "biocore tenant cancel-export --tenant acme --reason 'asked for by mistake' 0193a7d2-5b1e-7000-8000-000000000000", runTenantCancelExport},
		{"tenant verify-export", "FILE", "check an archive by itself, without a network", "biocore tenant verify-export acme.zip", runTenantVerifyExport},
		{"tenant quotas", "SLUG", "show and settle what a tenant may use", "biocore tenant quotas acme --mau 10000 --ceremonies 1000000:hard --storage none", runTenantQuotas},
		{"tenant limits", "SLUG", "show how often a tenant may call, and settle limits of its own", "biocore tenant limits acme --set key=2000 --set tenant=20000 --unset visitor --reason contract", runTenantLimits},
		{"usage", "", "show what a tenant uses, day by day", "biocore usage --tenant acme --from 2026-11-01", runUsage},
		{"evidence list", "", "list what is kept of a tenant's registrations", "biocore evidence list --tenant acme --filter 'outcome = FAILED'", runEvidenceList},
		{"evidence download", "ID", "print one piece of evidence as a signed file", "biocore evidence download --tenant acme 0199f3a4-5b6c-7d8e-9f01-23456789abcd > evidence.json", runEvidenceDownload},
		{"evidence verify", "FILE", "verify a file of evidence by itself, without a network", "biocore evidence verify evidence.json --jwks keys.json", runEvidenceVerify},
		{"attestation roots list", "", "list the certificates that a tenant trusts to attest authenticators", "biocore attestation roots list --tenant acme", runAttestationRootsList},
		{"attestation roots add", "FILE", "trust a certificate, in PEM or DER, to attest a tenant's authenticators", "biocore attestation roots add --tenant acme --name Fleet --aaguids ee882879-721c-4913-9775-3dfcce97072a root.pem", runAttestationRootsAdd},
		{"attestation roots remove", "ID", "trust a certificate no more", "biocore attestation roots remove --tenant acme 0193a7d2-5b1e-7000-8000-000000000000", runAttestationRootsRemove},
		{"policy show", "", "print a tenant's policy, as a document to change", "biocore policy show --tenant acme > policy.json", runPolicyShow},
		{"policy schema", "", "print the JSON Schema of policies, for editors", "biocore policy schema > policy.schema.json", runPolicySchema},
		{"policy set", "FILE", "replace a tenant's policy; - reads the document from standard input", "biocore policy set --tenant acme --reason 'shorter tokens' policy.json", runPolicySet},
		{"policy versions", "", "list the versions of a tenant's policy, the newest first", "biocore policy versions --tenant acme", runPolicyVersions},
		{"policy simulate", "FILE", "say what a draft would have changed in the last days; - reads it from standard input", "biocore policy simulate --tenant acme --days 14 draft.json", runPolicySimulate},
		{"policy rollback", "VERSION", "go back to an old version of a tenant's policy, by a new version", "biocore policy rollback --tenant acme --reason 'nobody could enroll' 3", runPolicyRollback},
		{"risk rules show", "", "print a tenant's risk rules, as a document to change", "biocore risk rules show --tenant acme > risk.json", runRiskRulesShow},
		{"risk rules set", "FILE", "replace a tenant's risk rules; - reads the document from standard input", "biocore risk rules set --tenant acme --reason 'new payees' risk.json", runRiskRulesSet},
		{"risk rules versions", "", "list the versions of a tenant's risk rules, the newest first", "biocore risk rules versions --tenant acme", runRiskRulesVersions},
		{"risk rules rollback", "VERSION", "go back to an old version of a tenant's risk rules, by a new version", "biocore risk rules rollback --tenant acme --reason 'too many second sign-ins' 3", runRiskRulesRollback},
		{"risk provider show", "", "print how a tenant's scoring service is asked, as a document to change; never its credential", "biocore risk provider show --tenant acme > provider.json", runRiskProviderShow},
		{"risk provider set", "FILE", "have a scoring service asked beside a tenant's signals; - reads the document from standard input", "biocore risk provider set --tenant acme --credential token --reason 'on trial' provider.json", runRiskProviderSet},
		{"risk provider delete", "", "have none asked any more, and destroy the credential", "biocore risk provider delete --tenant acme --reason 'the trial is over'", runRiskProviderDelete},
		{"risk backtest", "", "say what risk rules would have made of the sign-ins of the last days", "biocore risk backtest --tenant acme --days 14 --draft risk.json", runRiskBacktest},
		{"risk lookup", "ADDRESS", "tell country, network and lists of an address, and how old the files are that know them", "biocore risk lookup 81.2.69.142", runRiskLookup},
		{"risk fetch", "FILE", "download a file of countries, networks or a list, and put it in place if it can be used", "biocore risk fetch --kind country --url https://mirror.example/country.mmdb /var/lib/biocore/country.mmdb", runRiskFetch},
		{"flag list", "", "list a tenant's feature flags, as they are in an environment", "biocore flag list --tenant acme --environment staging", runFlagList},
		{"flag show", "KEY", "tell what a feature flag is, in every environment", "biocore flag show --tenant acme number-matching", runFlagShow},
		{"flag create", "KEY", "make a feature flag: off everywhere, without rules", "biocore flag create --tenant acme --type string --variant blue='\"b\"' --variant green='\"g\"' --off-variant blue button-colour", runFlagCreate},
		{"flag on", "KEY", "turn a feature flag on in an environment", "biocore flag on --tenant acme --environment staging --reason 'to be tried' number-matching", runFlagOn},
		{"flag off", "KEY", "turn a feature flag off in an environment: the kill switch", "biocore flag off --tenant acme --reason 'incident 7' number-matching", runFlagOff},
		{"flag rules", "KEY FILE", "replace the rules of a feature flag in an environment; - reads them from standard input", "biocore flag rules --tenant acme --reason 'a quarter of all' number-matching rules.json", runFlagRules},
		{"flag explain", "KEY", "tell what a subject gets of a feature flag, and why", "biocore flag explain --tenant acme --targeting-key cust_0051907 --context '{\"plan\": \"pro\"}' number-matching", runFlagExplain},
		{"flag history", "KEY", "list who changed what of a feature flag, when and why, the newest first", "biocore flag history --tenant acme number-matching", runFlagHistory},
		{"flag restore", "KEY CHANGE_ID", "go back to what a feature flag was after a change", "biocore flag restore --tenant acme --reason 'it was better' number-matching 0193a7d2-5b1e-7000-8000-000000000000", runFlagRestore},
		{"flag stale", "", "list the feature flags that may be taken out of the code, and why", "biocore flag stale --tenant acme --days 60", runFlagStale},
		{"flag delete", "KEY", "remove a feature flag for good", "biocore flag delete --tenant acme --reason 'out of the code' number-matching", runFlagDelete},
		{"segment list", "", "list the groups of subjects that a tenant's flags ask for", "biocore segment list --tenant acme", runSegmentList},
		{"segment show", "KEY", "tell what a segment is, and which flags ask for it", "biocore segment show --tenant acme beta-testers", runSegmentShow},
		{"segment create", "KEY", "make a segment", "biocore segment create --tenant acme --name 'Beta testers' beta-testers", runSegmentCreate},
		{"segment update", "KEY", "change what is given of a segment", "biocore segment update --tenant acme --when condition.json beta-testers", runSegmentUpdate},
		{"segment add", "KEY [TARGETING_KEY...]", "list subjects in a segment, or keep them out of it", "biocore segment add --tenant acme --file keys.txt beta-testers", runSegmentAdd},
		{"segment remove", "KEY [TARGETING_KEY...]", "take subjects off a segment's list", "biocore segment remove --tenant acme beta-testers cust_0051907", runSegmentRemove},
		{"segment find", "KEY TARGETING_KEY", "tell whether a segment lists a subject", "biocore segment find --tenant acme beta-testers cust_0051907", runSegmentFind},
		{"segment delete", "KEY", "remove a segment that no flag asks for, for good", "biocore segment delete --tenant acme --reason 'out of use' beta-testers", runSegmentDelete},
		{"import", "FILE", "take users and public keys of another system over, after a check", "biocore import --tenant acme --rp-id localhost --dry-run users.jsonl", runImport},
		{"export users", "FILE", "write a tenant's users and public keys as an import takes them, with a manifest", "biocore export users --tenant acme users.jsonl", runExportUsers},
		{"stats overview", "", "tell how a tenant's users sign in, and how they did in the period before", "biocore stats overview --tenant acme --range 7d", runStatsOverview},
		{"stats timeseries", "METRIC", "list how a metric went", "biocore stats timeseries --tenant acme --range 24h --step 1h signIns", runStatsTimeseries},
		{"slo", "", "tell how sign-ins of all tenants fare against the objective", "biocore slo", runSLO},
		{"rp show", "", "show a tenant's relying party and count its credentials", "biocore rp show --tenant acme", runRPShow},
		{"rp prove", "", "show what proves a tenant's domain, and look for it", "biocore rp prove --tenant acme", runRPProve},
		{"rp fetch", "", "fetch what a tenant's domain publishes, and say what to mend", "biocore rp fetch --tenant acme", runRPFetch},
		{"rp check", "", "tell whether origins may use an RP ID, and why not", "biocore rp check --tenant acme --origins https://login.acme.example", runRPCheck},
		{"rp plan", "", "tell what a move to another domain would break, and how to move", "biocore rp plan --tenant acme --rp-id acme.example --origins https://login.acme.example", runRPPlan},
		{"apikey create", "", "make an API key, and print it", "biocore apikey create --tenant acme --kind secret --name ci", runAPIKeyCreate},
		{"apikey list", "", "list a tenant's API keys", "biocore apikey list --tenant acme", runAPIKeyList},
		{"apikey rotate", "ID", "put a new key in an API key's place, and print it", "biocore apikey rotate --tenant acme --overlap 48h 0193a7d2-5b1e-7000-8000-000000000000", runAPIKeyRotate},
		{"apikey lock", "ID", "refuse an API key until it is unlocked", "biocore apikey lock --tenant acme --reason 'seen in a log' 0193a7d2-5b1e-7000-8000-000000000000", runAPIKeyLock},
		{"apikey unlock", "ID", "let a locked API key work again", "biocore apikey unlock --tenant acme 0193a7d2-5b1e-7000-8000-000000000000", runAPIKeyUnlock},
		{"apikey revoke", "ID", "stop an API key for good", "biocore apikey revoke --tenant acme 0193a7d2-5b1e-7000-8000-000000000000", runAPIKeyRevoke},
		{"recovery link", "EXTERNALID", "let a user who lost all passkeys enroll one, by a link", "biocore recovery link --tenant acme --reason 'lost her phone' --expires 2h alice", runRecoveryLink},
		{"recovery list", "", "list a tenant's recoveries", "biocore recovery list --tenant acme --filter 'state = PENDING'", runRecoveryList},
		{"recovery approve", "ID", "open a recovery that waits for a second person", "biocore recovery approve --tenant acme --reason 'called her back' 0193a7d2-5b1e-7000-8000-000000000000", runRecoveryApprove},
		{"recovery refuse", "ID", "end a recovery that waits for a second person", "biocore recovery refuse --tenant acme --reason 'not her voice' 0193a7d2-5b1e-7000-8000-000000000000", runRecoveryRefuse},
		{"recovery revoke", "ID", "take back a recovery that nobody has enrolled by", "biocore recovery revoke --tenant acme --reason 'wrong address' 0193a7d2-5b1e-7000-8000-000000000000", runRecoveryRevoke},
		{"member invite", "LABEL", "make a link by which somebody becomes a member of the console", "biocore member invite --tenant acme --role admin 'Ana Sousa'", runMemberInvite},
		{"member list", "", "list who of the console works in a tenant", "biocore member list --tenant acme", runMemberList},
		{"member update", "ID", "give a member another role", "biocore member update --tenant acme --role auditor --reason 'new job' 0193a7d2-5b1e-7000-8000-000000000000", runMemberUpdate},
		{"member remove", "ID", "take a member out of a tenant", "biocore member remove --tenant acme --reason 'has left' 0193a7d2-5b1e-7000-8000-000000000000", runMemberRemove},
		{"support request", "", "ask a tenant to let somebody of the staff in", "biocore support request --tenant acme --person 0193a7d2-5b1e-7000-8000-000000000000 --ticket SUP-1 --reason 'sign-ins fail'", runSupportRequest},
		{"support list", "", "list who of the staff asked a tenant for access, and what became of it", "biocore support list --tenant acme", runSupportList},
		{"support grant", "ID", "let somebody of the staff in, by a key of the tenant's", "biocore support grant --key-file acme.key --reason 'go on' 0193a7d2-5b1e-7000-8000-000000000000", runSupportGrant},
		{"support refuse", "ID", "answer a request for access with no", "biocore support refuse --tenant acme --reason 'not now' 0193a7d2-5b1e-7000-8000-000000000000", runSupportRefuse},
		{"support revoke", "ID", "end somebody's access at once", "biocore support revoke --tenant acme --reason 'enough' 0193a7d2-5b1e-7000-8000-000000000000", runSupportRevoke},
		{"keys list", "", "list the keys of every tenant, or all keys of one", "biocore keys list --tenant acme", runKeysList},
		{"keys rotate", "", "make the successor of a tenant's signing key, or of its data key", "biocore keys rotate --tenant acme --reason yearly", runKeysRotate},
		{"keys revoke", "KID", "end a signing key that somebody else may have", "biocore keys revoke --tenant acme --reason leaked NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", runKeysRevoke},
		{"keys rewrap", "", "wrap every tenant's data keys by the KMS key that is configured now", "biocore keys rewrap", runKeysRewrap},
		{"keys jwks", "", "print a tenant's public keys, revoked ones included", "biocore keys jwks --tenant platform", runKeysJWKS},
		{"keys shred", "SLUG", "destroy the keys of a suspended tenant, for ever, and print the certificate", "biocore keys shred globex --confirm globex --reason 'contract ended'", runKeysShred},
		{"keys certify", "FILE", "verify a deletion certificate, offline", "biocore keys certify --jwks keys.json globex.jws", runKeysCertify},
		{"mds sync", "", "fetch and verify the FIDO Metadata Service's BLOB, and keep it for every server", "biocore mds sync --file blob.jwt", runMDSSync},
		{"mds status", "", "tell which models' metadata is in use, and how old it is", "biocore mds status --json", runMDSStatus},
		{"mds models", "", "list the models that the metadata describes", "biocore mds models --filter 'certification >= FIDO_CERTIFIED_L2 AND name = \"*key*\"'", runMDSModels},
		{"mds show", "AAGUID", "tell what is known of a model", "biocore mds show --tenant acme ee882879-721c-4913-9775-3dfcce97072a", runMDSShow},
		{"mds blast-radius", "", "count tenants, credentials and users of the models that are revoked or compromised", "biocore mds blast-radius --aaguid ee882879-721c-4913-9775-3dfcce97072a", runMDSBlastRadius},
		{"jobs list", "", "list the jobs that were given up", "biocore jobs list", runJobsList},
		{"jobs retry", "ID", "have a job that was given up done once more", "biocore jobs retry --reason 'the mail server is back' 4711", runJobsRetry},
		{"loadtest", "", "measure sign-ins against a server on this machine", "biocore loadtest --workers 1,16,64 --duration 10s", runLoadtest},
		{"version", "", "print the version", "biocore version --json", runVersion},
	}
}

// environment is what a command sees of the process.
type environment struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	dir string // the working directory: where .biocore is
}

// errUsage is returned by a command whose arguments cannot be used, after it has
// said why.
var errUsage = errors.New("usage")

func main() {
	// The first signal asks for a graceful end; after it the default is back, so that
	// a second one ends a process that hangs.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { <-ctx.Done(); stop() }()
	code := run(ctx, &environment{in: os.Stdin, out: os.Stdout, err: os.Stderr, dir: "."}, os.Args[1:])
	stop()
	os.Exit(code) //nolint:forbidigo // this is main
}

// run is main without the process: 0 done, 1 failed, 2 not understood.
func run(ctx context.Context, env *environment, args []string) int {
	c, rest, ok := find(args)
	switch {
	case ok:
	case asksHelp(args), len(args) == 1 && args[0] == "help":
		overview(env.out)
		return 0
	default:
		overview(env.err)
		return 2
	}
	if asksHelp(rest) { // then help is the answer, and no complaint
		env = &environment{in: env.in, out: env.out, err: env.out, dir: env.dir}
	}
	err := c.run(ctx, env, rest)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	}
	fmt.Fprintf(env.err, "biocore %s: %s\n", c.name, explain(err))
	return 1
}

func asksHelp(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return a == "--help" || a == "-help" || a == "-h" })
}

func find(args []string) (command, []string, bool) {
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == c.name {
			return c, args[len(words):], true
		}
	}
	return command{}, nil, false
}

func overview(w io.Writer) {
	fmt.Fprint(w, "Biocore: passkey authentication on your own infrastructure.\n\nUsage: biocore COMMAND [FLAGS]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-24s  %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nbiocore COMMAND --help shows a command's flags and an example.\n")
}

// flags returns the flag set of the named command, with --json, and help that ends
// with the command's example.
func flags(env *environment, name string, asJSON *bool) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(env.err)
	fs.BoolVar(asJSON, "json", false, "print JSON, for scripts")
	fs.Usage = func() {
		for _, c := range commands() {
			if c.name == name {
				fmt.Fprintf(env.err, "biocore %s: %s\n\nUsage: %s\n\n", c.name, c.summary, strings.TrimSpace("biocore "+c.name+" [FLAGS] "+c.args))
				var defaults strings.Builder
				fs.SetOutput(&defaults)
				fs.PrintDefaults()
				fs.SetOutput(env.err)
				// Both spellings work; everywhere else we write the long one.
				fmt.Fprint(env.err, strings.ReplaceAll("\n"+defaults.String(), "\n  -", "\n  --")[1:])
				fmt.Fprintf(env.err, "\nExample:\n  %s\n", c.example)
			}
		}
	}
	return fs
}

// hyphenID is an id that begins with a hyphen: of a key, of a passkey.
var hyphenID = regexp.MustCompile(`^-[A-Za-z0-9_-]{20,}$`)

// parse reads args and wants exactly positional arguments after the flags; below 0, so many or more.
func parse(fs *flag.FlagSet, args []string, positional int) error {
	// Flags may stand behind positional arguments: `tenant create acme --name Acme`. Of ids in
	// base64url one in 64 begins with a hyphen, and is no flag.
	isID := func(arg string) bool {
		return hyphenID.MatchString(arg) && fs.Lookup(strings.TrimLeft(arg, "-")) == nil
	}
	var rest []string
	for more := true; more; {
		i := slices.IndexFunc(args, isID)
		flags := args
		if more = i >= 0; more {
			flags = args[:i]
		}
		for {
			if err := fs.Parse(flags); err != nil {
				if errors.Is(err, flag.ErrHelp) {
					return err
				}
				return errUsage // the flag package has said what is wrong
			}
			if fs.NArg() == 0 {
				break
			}
			rest, flags = append(rest, fs.Arg(0)), fs.Args()[1:]
		}
		if more {
			rest, args = append(rest, args[i]), args[i+1:]
		}
	}
	if len(rest) != positional && (positional >= 0 || len(rest) < -positional) {
		fmt.Fprintf(fs.Output(), "biocore %s: want %d argument(s) beside the flags, have %d\n\n", fs.Name(), max(positional, -positional), len(rest))
		fs.Usage()
		return errUsage
	}
	return fs.Parse(append([]string{"--"}, rest...))
}

// printJSON writes v as indented JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
