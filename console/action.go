package console

import (
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/audit"
)

// actionLine is how an action of the audit log looks in a timeline, and what it is called once it
// is done.
type actionLine struct{ icon, class, words string }

// sentences are actions that are told by a sentence of their own, whatever they are about.
var sentences = map[string]actionLine{
	"authentication.exchange":              {"enter", "ok", "Code exchanged for a session"},
	"authentication.finish":                {"finger", "ok", "Signed in"},
	"credential.backup_eligibility_change": {"warn", "warn", "Backup eligibility changed"},
	"credential.dispose":                   {"shieldbad", "warn", "Held by an order about its model"},
	"credential.sign_count_roll_back":      {"warn", "warn", "Sign count went back"},
	"domain.verify":                        {"globe", "ok", "Domain proven"},
	"domain.vouch":                         {"globe", "info", "Domain vouched for"},
	"evidence.download":                    {"export", "info", "Evidence downloaded"},
	"evidence.expire":                      {"clock", "", "Evidence expired"},
	"logstream.test":                       {"send", "info", "Test event sent"},
	"member.uninvite":                      {"x", "", "Invitation taken back"},
	"policy.update":                        {"shield", "info", "Policy changed"},
	"quota.reach":                          {"gauge", "warn", "Quota reached"},
	"risk_rules.update":                    {"risk", "info", "Risk rules changed"},
	"recovery.codes_create":                {"hash", "info", "Recovery codes made"},
	"recovery.codes_delete":                {"hash", "warn", "Recovery codes deleted"},
	"recovery.link_create":                 {"link", "info", "Enrolment link made"},
	"recovery.redeem":                      {"hash", "warn", "Recovery code used"},
	"registration.finish":                  {"finger", "ok", "Passkey made"},
	"registration.token":                   {"link", "info", "Enrolment link opened"},
	"session.refresh":                      {"refresh", "", "Session refreshed"},
	"session.revoke_all":                   {"logout", "warn", "All sessions revoked"},
	"settings.update":                      {"sliders", "info", "Settings changed"},
	"user.open":                            {"eye", "", "Contact shown"},
}

// verbs are the others: the end of an action, told after what it was done to.
var verbs = map[string]actionLine{
	"activate": {"play", "ok", "activated"},
	"approve":  {"approve", "ok", "approved"},
	"block":    {"ban", "bad", "blocked"},
	"cancel":   {"x", "", "cancelled"},
	"complete": {"check", "ok", "completed"},
	"create":   {"plus", "ok", "created"},
	"decide":   {"check", "info", "decided"},
	"delete":   {"trash", "bad", "deleted"},
	"destroy":  {"trash", "bad", "destroyed"},
	"dispose":  {"shieldbad", "warn", "ordered about"},
	"download": {"export", "info", "downloaded"},
	"end":      {"x", "", "ended"},
	"expire":   {"clock", "", "expired"},
	"export":   {"export", "info", "exported"},
	"finish":   {"check", "ok", "finished"},
	"found":    {"plus", "ok", "founded"},
	"grant":    {"check", "ok", "granted"},
	"import":   {"upload", "info", "imported"},
	"invite":   {"mail", "info", "invited"},
	"join":     {"userplus", "ok", "joined"},
	"lock":     {"lock", "warn", "locked"},
	"measure":  {"gauge", "", "measured"},
	"pause":    {"pause", "warn", "paused"},
	"refuse":   {"ban", "bad", "refused"},
	"remove":   {"trash", "bad", "removed"},
	"rename":   {"edit", "", "renamed"},
	"replay":   {"repeat", "info", "replayed"},
	"request":  {"bell", "warn", "requested"},
	"restore":  {"refresh", "ok", "restored"},
	"resume":   {"play", "ok", "resumed"},
	"retire":   {"history", "warn", "retired"},
	"revoke":   {"ban", "bad", "revoked"},
	"rotate":   {"refresh", "info", "rotated"},
	"set":      {"gauge", "info", "set"},
	"start":    {"play", "info", "started"},
	"suspend":  {"pause", "warn", "suspended"},
	"unblock":  {"check", "ok", "unblocked"},
	"unlock":   {"key", "ok", "unlocked"},
	"update":   {"edit", "info", "changed"},
	"view":     {"eye", "", "looked at"},
	"vouch":    {"shieldok", "ok", "vouched for"},
}

// objects are what those of the audit log are called, where their word says too little.
var objects = map[string]string{"apikey": "API key", "signingkey": "Signing key", "datakey": "Data key", "credential": "Passkey", "logstream": "Log stream", "report": "Report", "risk_provider": "Scoring service", "dlpscan": "Scan", "dlpfinding": "Finding", "dlpschedule": "Schedule of scans"}

// actionLineOf is what an action is in the timeline of an object of a kind: apikey.rotate is
// "Rotated" on the page of a key, and settings.update "Settings changed" wherever it stands.
// What did not come about is said to be refused, or to have failed.
func actionLineOf(action, kind string, outcome audit.Outcome) actionLine {
	noun, verb, _ := strings.Cut(action, ".")
	called := objects[noun]
	if called == "" {
		called = reasonWords(noun)
	}
	d, whole := sentences[action]
	if !whole {
		var known bool
		if d, known = verbs[verb]; !known {
			d = actionLine{"activity", "", strings.ReplaceAll(verb, "_", " ")}
		}
		if noun == kind {
			d.words = ui.Upper(d.words)
		} else {
			d.words = called + " " + d.words
		}
	}
	switch outcome {
	case audit.Denied:
		d.icon, d.class, d.words = "ban", "bad", "Refused: "+d.words
	case audit.Failed:
		d.icon, d.class, d.words = "badc", "bad", "Failed: "+d.words
	case audit.Success:
	}
	return d
}
