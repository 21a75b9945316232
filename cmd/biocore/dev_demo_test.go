package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
)

// How many days there are is asked within bounds, before anything is started.
func TestDemoDays(t *testing.T) {
	for _, days := range []string{"0", "-1", "91", "week"} {
		if code, _, errs := runToEnd(t, launch{dir: folder(t), args: []string{"dev", "--demo-data", "--demo-days", days}}); code != 2 || !strings.Contains(errs, "demo-days") {
			t.Errorf("--demo-days %s: exit %d, %s", days, code, errs)
		}
	}
}

// The past that a demo shows is made of what the product writes: it lies where it should
// lie, and has what a page must be able to show.
func TestDemoData(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	tel, err := startTelemetry(t.Context(), TelemetryConfig{LogOutput: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlatform(t.Context(), cfg, tel)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	made, err := past{days: 4, people: 40, perDay: 150}.live(t.Context(), p, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := settle(t.Context(), p, cfg); err != nil {
		t.Fatal(err)
	}
	if made.Users < 30 || made.SignIns < 200 || made.Failures < 5 {
		t.Errorf("made %+v, want users, sign-ins and failures", made)
	}
	count := func(sql string, arguments ...any) (n int) {
		t.Helper()
		if err := store.Superuser(t).QueryRow(t.Context(), sql, arguments...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const acme = `tenant_id = (SELECT id FROM tenants WHERE slug = 'acme')`
	if n := count(`SELECT count(*) FROM ceremonies WHERE kind = 'AUTHENTICATION' AND outcome = 'ALLOW' AND ` + acme); n != made.SignIns {
		t.Errorf("%d sign-ins have a row, want %d", n, made.SignIns)
	}
	now := time.Now()
	if n := count(`SELECT count(*) FROM ceremonies WHERE (at < $1 OR at > $2) AND `+acme, now.AddDate(0, 0, -5), now); n != 0 {
		t.Errorf("%d ceremonies lie outside of the past", n)
	}
	if n := count(`SELECT count(DISTINCT date_trunc('day', at)) FROM ceremonies WHERE ` + acme); n < 4 {
		t.Errorf("ceremonies of %d days, want 4", n)
	}
	day, night := count(`SELECT count(*) FROM ceremonies WHERE extract(hour FROM at AT TIME ZONE 'UTC') BETWEEN 8 AND 11 AND `+acme), count(`SELECT count(*) FROM ceremonies WHERE extract(hour FROM at AT TIME ZONE 'UTC') BETWEEN 1 AND 4 AND `+acme)
	if day < 3*night {
		t.Errorf("%d ceremonies before noon and %d in the night, want a rhythm", day, night)
	}
	if n := count(`SELECT count(DISTINCT aaguid) FROM credentials WHERE ` + acme); n < 3 {
		t.Errorf("%d models of authenticators, want several", n)
	}
	if n := count(`SELECT count(*) FROM audit_records WHERE at < $1 AND `+acme, now.Add(-time.Hour)); n < made.SignIns {
		t.Errorf("%d audit entries of the past, want one for each sign-in at least", n)
	}
	if n := count(`SELECT count(DISTINCT date_trunc('day', at)) FROM ceremonies WHERE outcome = 'FAILED' AND ` + acme); n < 3 {
		t.Errorf("failures of %d days, want some each day", n)
	}
	if n := count(`SELECT count(*) FROM sessions s WHERE NOT EXISTS (SELECT FROM ceremonies c WHERE c.tenant_id = s.tenant_id AND c.id = s.id AND c.at = s.created_at) AND s.` + acme); n != 0 {
		t.Errorf("%d sessions began at another time than their sign-in", n)
	}
	if n := count(`SELECT count(*) FROM user_facts WHERE last_sign_in_at > $1 AND `+acme, now.Add(-time.Minute)); n != 0 {
		t.Errorf("%d users have signed in just now, want all in the past", n)
	}
	if n := count(`SELECT count(DISTINCT monthly_active_users) FROM usage_days WHERE ` + acme); n < 2 && now.UTC().Day() > 2 {
		t.Error("active users do not grow from day to day")
	}
	if n := count(`SELECT coalesce(sum(faults), 0)::integer FROM stats_faults WHERE at > $1 AND at < $2 AND `+acme, now.AddDate(0, 0, -5), now); n != 1 {
		t.Errorf("%d faults of four days, want 1", n)
	}
	if n := count(`SELECT month_answered::integer FROM tenants WHERE slug = 'acme' AND month_faults = 1`); n < made.SignIns {
		t.Errorf("the tenant's month has %d that were answered, and a fault, want each sign-in at least", n)
	}
	// Risk is looked at from the first days on, and enforced in the end: most sign-ins are usual, some are not, and the fraud desk
	// has heard of some of those.
	if n := count(`SELECT count(*) FROM risk_rulesets WHERE created_at < $1 AND `+acme, now.AddDate(0, 0, -1).Truncate(24*time.Hour).Add(time.Minute)); n != 2 {
		t.Errorf("%d versions of risk rules, want 2", n)
	}
	scored := func(what string) int {
		return count(`SELECT count(*) FROM ceremonies WHERE kind = 'AUTHENTICATION' AND (facts::json #>> '{risk,score}')::integer ` + what + ` AND ` + acme)
	}
	if low, some := scored("< 30"), scored(">= 30"); low < 5*some || some < 2 {
		t.Errorf("%d sign-ins were usual and %d were not, want many and some", low, some)
	}
	if n := count(`SELECT count(*) FROM ceremonies WHERE facts::json #>> '{risk,facts,userFailures}' <> '' AND (facts::json #>> '{risk,facts,userFailures}')::integer >= 5 AND ` + acme); n == 0 {
		t.Error("nobody has signed in after a burst of failures")
	}
	if n := count(`SELECT count(*) FROM risk_profiles WHERE ` + acme); n < made.Users/3 {
		t.Errorf("%d profiles of %d users", n, made.Users)
	}
	if n := count(`SELECT count(*) FROM ceremonies WHERE reason IN ('RISK_RULE', 'RISK_SCORE') AND ` + acme); n == 0 {
		t.Error("nobody was asked for more by the rules")
	}
	if n := count(`SELECT count(*) FROM risk_feedback WHERE ` + acme); n == 0 {
		t.Error("no feedback")
	}
	// Flags ask for segments, which have a history, and the application has asked for flags each day.
	if n := count(`SELECT count(*) FROM flag_segments s WHERE EXISTS (SELECT FROM flag_targeting t WHERE t.tenant_id = s.tenant_id AND t.rules::text LIKE '%"segment": "' || s.key || '"%') AND s.` + acme); n < 3 {
		t.Errorf("rules ask for %d segments", n)
	}
	if n := count(`SELECT count(DISTINCT action) FROM flag_segment_changes WHERE changed_at < $1 AND `+acme, now.Add(-time.Hour)); n < 4 {
		t.Errorf("segments have %d kinds of changes, want 4: made, changed, listed and kept out", n)
	}
	if n := count(`SELECT min(days)::integer FROM (SELECT count(DISTINCT day) AS days FROM flag_counts WHERE environment = 'production' AND ` + acme + ` GROUP BY flag_key) f`); n < 4 {
		t.Errorf("a flag was evaluated on %d days", n)
	}
	if n := count(`SELECT count(DISTINCT variant) FROM flag_counts WHERE flag_key = 'approval-number-matching' AND environment = 'production' AND ` + acme); n != 2 {
		t.Errorf("a rollout served %d variants", n)
	}
	// The page of any of them is found by its id.
	if n := count(`SELECT count(*) FROM ceremonies WHERE abs(extract(epoch FROM at) * 1000 - ('x0000' || substr(replace(id::text, '-', ''), 1, 12))::bit(64)::bigint) > 60000 AND ` + acme); n != 0 {
		t.Errorf("%d ceremonies have an id of another time than theirs", n)
	}
	// The tenant goes on from there: who signs in now is after them all.
	if n := count(`SELECT count(*) FROM tenants WHERE slug = 'acme' AND created_at > $1`, now.AddDate(0, 0, -4).Add(24*time.Hour)); n != 0 {
		t.Error("the tenant is younger than what happened in it")
	}
}
