package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/governance"
	"github.com/biocore-id/biocore/tenancy/secret"
)

const (
	minPostgres = 150000 // server_version_num of 15.0
	minRedis    = 7      // EXPIRE NX
	// maxSkew is what a clock may be off: servers correct for Postgres's, but people
	// compare logs.
	maxSkew = time.Second
	// partitionsAhead is how far partitions must reach: registration tokens live so
	// long, and so may a night without anybody to make more.
	partitionsAhead = 24 * time.Hour
	// maxLate is how long a job that is due may wait where anybody works.
	maxLate = time.Minute
	// maxNamed bounds how many things one line names.
	maxNamed = 10
)

func (d *checkup) postgres(ctx context.Context) finding {
	const fix = "start PostgreSQL 15 or newer, and let BIOCORE_DATABASE_CONTROL_URL lead to it"
	if d.cfg.DatabaseControlURL.Reveal() == "" {
		return fail(fix, "BIOCORE_DATABASE_CONTROL_URL is not set")
	}
	l, err := db.Probe(ctx, d.cfg.DatabaseControlURL.Reveal())
	if errors.Is(err, db.ErrUnavailable) {
		return fail(fix, "%s", explain(err))
	} else if err != nil {
		return fail(fixRoles, "%s", explain(err))
	}
	d.control = &l
	if l.Version < minPostgres {
		return fail("Biocore needs PostgreSQL 15 or newer", "version %s", l.Server)
	}
	return ok("version %s, database %s", l.Server, l.Database)
}

func (d *checkup) clock(context.Context) finding {
	switch {
	case d.control == nil:
		return skip("postgres")
	case d.control.Skew.Abs() > maxSkew:
		return warn("set both clocks by NTP", "Postgres's clock is %s off this machine's", d.control.Skew.Round(time.Millisecond))
	}
	return ok("within %s of Postgres's", maxSkew)
}

const fixRoles = "run `biocore migrate up --bootstrap file:ADMIN_URL`: it makes the roles, with the passwords of this configuration"

// roles logs every role in, and opens the store that the next checks ask.
func (d *checkup) roles(ctx context.Context) finding {
	if d.control == nil {
		return skip("postgres")
	}
	var in, out []string
	for _, login := range []struct {
		role string
		url  secret.Text
	}{
		{db.RoleApp, d.cfg.DatabaseURL}, {db.RoleWriter, d.cfg.DatabaseWriterURL}, {db.RoleControl, d.cfg.DatabaseControlURL},
		{db.RoleJobs, d.cfg.DatabaseJobsURL}, {db.RoleSupport, d.cfg.DatabaseSupportURL}, {db.RoleAudit, d.cfg.DatabaseAuditURL}, {db.RoleMigrator, d.cfg.DatabaseMigratorURL},
	} {
		if login.url.Reveal() == "" && login.role == db.RoleMigrator {
			continue // serve does not need it, and need not have it
		}
		if problem := d.login(ctx, login.role, login.url.Reveal()); problem != "" {
			out = append(out, login.role+": "+problem)
		} else {
			in = append(in, login.role)
		}
	}
	if len(out) > 0 {
		return fail(fixRoles, "%s", some(out, "\n"))
	}
	var err error
	if d.store, err = db.Open(ctx, db.Options{
		AppURL: d.cfg.DatabaseURL.Reveal(), WriterURL: d.cfg.DatabaseWriterURL.Reveal(), ControlURL: d.cfg.DatabaseControlURL.Reveal(),
		SupportURL: d.cfg.DatabaseSupportURL.Reveal(), AuditURL: d.cfg.DatabaseAuditURL.Reveal(), AppConns: 2, Log: d.tel.Log,
	}); err != nil {
		return fail(fixRoles, "%s", explain(err))
	}
	return ok("%s log in", strings.Join(in, ", "))
}

// login says what is wrong with a role's URL: "" for nothing.
func (d *checkup) login(ctx context.Context, role, url string) string {
	if url == "" {
		return "no URL is configured"
	}
	l, err := db.Probe(ctx, url)
	switch {
	case err != nil:
		return explain(err)
	case l.Role != role:
		return "the URL logs in as " + l.Role
	case l.Database != d.control.Database || !l.Started.Equal(d.control.Started):
		return "the URL leads to another database than " + db.RoleControl + "'s"
	}
	if l.LogsParameters {
		d.telling = append(d.telling, role)
	}
	return ""
}

// statementLog tells where Postgres's log would show what statements were given: contact
// data, and the keys that open it. While it does, calls with contact data are refused.
func (d *checkup) statementLog(context.Context) finding {
	if d.store == nil {
		return skip("roles")
	}
	if len(d.telling) > 0 {
		return warn("as a superuser, for each of these roles: ALTER ROLE name SET log_parameter_max_length = 0; `biocore migrate up --bootstrap ADMIN_URL` does so",
			"a log of statements would show bound parameters of %s, keys of contact data among them", some(d.telling, ", "))
	}
	return ok("shows no bound parameters")
}

func (d *checkup) schema(ctx context.Context) finding {
	if d.store == nil {
		return skip("roles")
	}
	const fix = "run `biocore migrate up`"
	var err error
	if d.behind, err = d.store.SchemaBehind(ctx); err != nil {
		return fail(fix, "%s", explain(err))
	}
	if len(d.behind) > 0 {
		place, err := d.store.PgcryptoElsewhere(ctx)
		if err != nil {
			return fail(fix, "%s", explain(err))
		}
		// Once 0015 has run, pgcrypto elsewhere is a hole, and not in the way.
		if d.misplaced = place != "" && slices.Contains(d.behind, "0015_contact.sql"); d.misplaced {
			return fail("as the owner of the extension: CREATE SCHEMA IF NOT EXISTS sealing AUTHORIZATION bc_owner; ALTER EXTENSION pgcrypto SET SCHEMA sealing; then "+fix,
				"the database lacks %s, and has pgcrypto in schema %s", some(d.behind, ", "), place)
		}
		return fail(fix, "the database lacks %s", some(d.behind, ", "))
	}
	return ok("up to date")
}

func (d *checkup) wall(ctx context.Context) finding {
	if d.store == nil {
		return skip("roles")
	}
	holes, err := d.store.CheckWall(ctx)
	if err != nil {
		return fail("run `biocore migrate up`", "%s", explain(err))
	}
	if d.misplaced { // the schema's finding says so, and the sealed values that it would open are not there yet
		holes = slices.DeleteFunc(holes, func(h db.WallFinding) bool { return h.Object == "pgcrypto" })
	}
	if len(holes) == 0 {
		return ok("no holes")
	}
	lines := make([]string, len(holes))
	for i, h := range holes {
		lines[i] = h.Object + ": " + h.Problem
	}
	return fail("stop serving: a tenant may reach another's rows. Undo what changed the schema beside the migrations", "%s", some(lines, "\n"))
}

// dataMap looks for columns that nobody has classed: somebody has changed the schema beside the migrations, and
// no erasure knows of them.
func (d *checkup) dataMap(ctx context.Context) finding {
	if d.store == nil {
		return skip("roles")
	}
	if len(d.behind) > 0 {
		return skip("schema")
	}
	drift, err := governance.Compare(ctx, d.store)
	if err != nil {
		return fail("run `biocore migrate up`", "%s", explain(err))
	}
	if odd := slices.Concat(drift.Unclassed, drift.Gone); len(odd) > 0 {
		return warn("undo what changed the schema beside the migrations; a newer release's columns are no fault", "the data map and the schema disagree: %s", some(odd, ", "))
	}
	return ok("every column has a class")
}

func (d *checkup) partitions(ctx context.Context) finding {
	if d.store == nil {
		return skip("roles")
	}
	missing, err := d.store.MissingPartitions(ctx, partitionsAhead)
	if err != nil {
		return fail("run `biocore migrate up`", "%s", explain(err))
	}
	if len(missing) > 0 {
		return fail("start a server, which makes them at once; if one runs, its log says why its housekeeping fails", "missing: %s", some(missing, ", "))
	}
	return ok("there for the next %s", partitionsAhead)
}

func (d *checkup) jobs(ctx context.Context) finding {
	if d.store == nil {
		return skip("roles")
	}
	b, err := jobs.Inspect(ctx, d.cfg.DatabaseJobsURL.Reveal())
	switch {
	case err != nil:
		return fail("run `biocore migrate up`", "%s", explain(err))
	case b.Late > maxLate:
		return warn("start a server: nobody works off jobs", "%d wait, the oldest for %s", b.Waiting, b.Late.Round(time.Second))
	case b.Discarded > 0:
		return warn("river.river_job keeps each one's errors", "%d were given up", b.Discarded)
	}
	return ok("%d wait", b.Waiting)
}

func (d *checkup) redis(ctx context.Context) finding {
	const fix = "start Redis 7 or newer, and let BIOCORE_REDIS_URL lead to it: without it nobody can register"
	if d.cfg.RedisURL.Reveal() == "" {
		return fail(fix, "BIOCORE_REDIS_URL is not set")
	}
	client, err := ephemeral.Open(d.cfg.RedisURL.Reveal())
	if err != nil {
		return fail(fix, "%s", explain(err))
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return fail(fix, "%s", explain(err))
	}
	version, err := client.Version(ctx)
	if err != nil {
		return warn("let the user of BIOCORE_REDIS_URL call INFO", "its version is not known: %s", explain(err))
	}
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < minRedis {
		return fail("Biocore needs Redis 7 or newer", "version %s", version)
	}
	return ok("version %s", version)
}

// objectStorage writes, reads and removes an object of its own.
func (d *checkup) objectStorage(ctx context.Context) finding {
	if d.cfg.ObjectStorageURL == "" {
		return warn("let BIOCORE_OBJECT_STORAGE_URL name a bucket: docs/object-storage.md", "there is none: evidence stays in Postgres, and no ledger of erasures is kept (docs/gdpr.md)")
	}
	bucket, err := blob.Open(ctx, d.cfg.ObjectStorageURL)
	if err != nil {
		return fail("let BIOCORE_OBJECT_STORAGE_URL name a bucket as docs/object-storage.md says; until then evidence stays in Postgres", "%s", explain(err))
	}
	if err := bucket.Probe(ctx); err != nil {
		return fail("see that "+bucket.Name()+" is there, and that this machine may put, get and delete objects in it: docs/object-storage.md. "+
			"Until then evidence stays in Postgres", "%s", explain(err))
	}
	d.objects = bucket
	return ok("%s takes, gives and removes objects", bucket.Name())
}

// some joins what a line names, or the first of them if there are many.
func some(things []string, by string) string {
	if len(things) <= maxNamed {
		return strings.Join(things, by)
	}
	return strings.Join(things[:maxNamed], by) + fmt.Sprintf("%sand %d more", by, len(things)-maxNamed)
}
