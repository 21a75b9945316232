package browsertest_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/web/browsertest"
)

// monthOfCounts are rollups of sixty days with a daily rhythm, a night of failures, and
// seven models: what the job would have counted.
const monthOfCounts = `
WITH h AS (SELECT s.step, t.at, (0.25 + 0.75 * power(sin(pi() * ((extract(hour FROM t.at) + extract(minute FROM t.at) / 60 + 22)::numeric % 24) / 24.0), 2)) * s.step / 3600.0
    * (1 + 0.09 * sin(extract(epoch FROM t.at) / 5001.0) + 0.05 * sin(extract(epoch FROM t.at) / 901.0)) AS load,
  CASE WHEN extract(hour FROM t.at) = 3 AND s.step < 86400 THEN 5 ELSE 1 END AS trouble, 100 + (4 * sin(extract(epoch FROM t.at) / 7001.0))::int AS slow
  FROM (VALUES (300, 8), (3600, 60), (86400, 60)) s (step, days),
  LATERAL generate_series(date_bin(make_interval(secs => s.step), now() - make_interval(days => s.days), 'epoch'), now(), make_interval(secs => s.step)) t (at))
INSERT INTO stats_counts (tenant_id, step, at, counts)
SELECT $1::uuid, step, at, json_build_object(
  'outcomes', json_build_object('AUTHENTICATION/ALLOW/', (3200 * load)::int, 'AUTHENTICATION/STEP_UP/AAL_TOO_LOW', (60 * load)::int, 'AUTHENTICATION/DENY/SIGN_COUNT_ROLLBACK', (2 * load)::int,
    'AUTHENTICATION/FAILED/CHALLENGE_EXPIRED', (11 * load * trouble)::int, 'AUTHENTICATION/FAILED/CREDENTIAL_REVOKED', (9 * load)::int, 'AUTHENTICATION/FAILED/USER_BLOCKED', (4 * load)::int, 'REGISTRATION/ALLOW/', (60 * load)::int, 'REGISTRATION/DENY/ATTESTATION_UNTRUSTED', (6 * load)::int),
  'models', json_build_object('fbfc3007-154e-4ecc-8c0b-6e020557d7bd', (1430 * load)::int, 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4', (1010 * load)::int, '08987058-cadc-4b81-b6e1-30de50dcbe96', (520 * load)::int,
    'ee882879-721c-4913-9775-3dfcce97072a', (140 * load)::int, 'bada5566-a7aa-401f-bd96-45619a55120d', (70 * load)::int, 'd548826e-79b4-db40-a3d8-11116f7e8349', (20 * load)::int, '00000000-0000-0000-0000-000000000000', (10 * load)::int),
  'latency', json_build_object('AUTHENTICATION', json_build_object('from', slow, 'n', ARRAY[2, 4, 9, 20, 41, 60, 82, 90, 84, 70, 52, 39, 28, 20, 13, 8, 5, 3, 2, 1])),
  'first', (36 * load)::int, 'second', (16 * load)::int, 'further', (8 * load)::int)::text FROM h
ON CONFLICT (tenant_id, step, at) DO UPDATE SET counts = excluded.counts`

const monthOfUsers = `INSERT INTO stats_gauges (tenant_id, at, users, enrolled, several, active_hour, active_day, active_week, active_month)
SELECT $1::uuid, date_bin('5 minutes', at, 'epoch'), 26000 + 12 * n, 18100 + 14 * n, 5000 + 4 * n, 900, 9000, 13100, 13600
FROM (SELECT at, row_number() OVER (ORDER BY at)::int / 24 AS n FROM generate_series(now() - interval '60 days', now(), '1 hour') at) s
ON CONFLICT (tenant_id, at) DO UPDATE SET users = excluded.users, enrolled = excluded.enrolled, several = excluded.several, active_day = excluded.active_day`

// TestConsoleStatistics is what people look at first, before anything has happened and
// after sixty days, and a board of their own.
func TestConsoleStatistics(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.SeeURL("/console/t/acme")
	ana.See("main", "Get ready")
	ana.Inspect("console-overview-empty")
	ana.Open(ana.url + "/t/acme/dashboards")
	ana.See("main", "No dashboards yet")
	ana.Inspect("console-dashboards-empty")

	conn, err := pgx.Connect(t.Context(), biocore.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{monthOfCounts, monthOfUsers} {
		if _, err := conn.Exec(t.Context(), sql, biocore.Tenants[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	ana.Open(ana.url + "/t/acme")
	ana.See("main", "Sign-in success")
	ana.happens(t, biocore, chromium)
	ana.Inspect("console-overview")
	ana.Follow(`.seg a[href$="range=30d"]`)
	ana.SeeURL("range=30d")
	ana.See("main", "vs. the 30 days before")
	ana.Inspect("console-overview-30d")
	// The values below the pointer are told.
	browsertest.Eval[bool](ana.Visitor, `(() => {
		const plot = document.querySelector("[data-chart] .plot"), box = plot.getBoundingClientRect();
		plot.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width / 2, clientY: box.top + 9, bubbles: true }));
		return true;
	})()`)
	ana.See(".tip", "Let in")

	ana.Open(ana.url + "/t/acme/dashboards")
	ana.Type("#new-title", "Morning look")
	ana.Follow("main form button")
	ana.See("h1", "Edit Morning look")
	ana.Inspect("console-dashboard-edit")
	ana.Follow(`button[value="add"]`)
	ana.See("main", "Chart 6")
	ana.Follow(`button[value="up:5"]`)
	ana.SeeNothing(`#title-4[value="Reasons"]`) // the one that was the fifth is the last now
	ana.Follow(`.actions button[value="save"]`)
	ana.See(".toast", "Dashboard saved")
	if n := browsertest.Eval[int](ana.Visitor, `document.querySelectorAll(".board > article").length`); n != 6 {
		t.Errorf("the board has %d charts, want 6", n)
	}
	ana.Inspect("console-dashboard")
	board := browsertest.Eval[string](ana.Visitor, `location.href`)
	ana.Open(ana.url + "/t/acme/dashboards")
	ana.See("main", "Morning look")
	ana.Inspect("console-dashboards")
	ana.Open(board + "/edit")
	ana.Type("#delete-confirm", "Morning look")
	ana.Type("#delete-reason", "nobody looks")
	ana.Follow("#delete .danger")
	ana.See(".toast", "Dashboard deleted")
	ana.See("main", "No dashboards yet")
	if at := browsertest.Eval[string](ana.Visitor, `location.href`); !strings.HasSuffix(at, "/dashboards") {
		t.Errorf("afterwards at %s", at)
	}
}

// happens looks on while a customer registers and signs in, and then only begins to.
func (c colleague) happens(t *testing.T, biocore *browsertest.Biocore, chromium *browsertest.Chromium) {
	t.Helper()
	customer := bank{biocore: biocore, chromium: chromium}.openAccount(t)
	c.See("tr.fresh", "Registration")
	c.See("tr.fresh", "Sign-in")
	c.See("tr.fresh", "Ingrid Halvorsen")
	c.See("tr.fresh", "Allowed")
	customer.signOut()
	c.See("tr[data-begun]", "Challenge live for") // autofill waits
}
