package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// verdict is how a check ended.
type verdict string

const (
	well      verdict = "ok"
	doubtful  verdict = "warn" // works, but look at it
	unwell    verdict = "fail"
	unchecked verdict = "skip" // what it needs is itself unwell
)

// finding is what one check found, as `doctor --json` prints it.
type finding struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"` // well or doubtful
	Verdict verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	Fix     string  `json:"fix,omitempty"` // what to do
}

func ok(format string, args ...any) finding {
	return finding{Verdict: well, Detail: fmt.Sprintf(format, args...)}
}

func warn(fix, format string, args ...any) finding {
	return finding{Verdict: doubtful, Fix: fix, Detail: fmt.Sprintf(format, args...)}
}

func fail(fix, format string, args ...any) finding {
	return finding{Verdict: unwell, Fix: fix, Detail: fmt.Sprintf(format, args...)}
}

func skip(needs string) finding {
	return finding{Verdict: unchecked, Detail: "not checked: " + needs}
}

// checkup goes through everything that a server depends on. It changes nothing,
// except that it puts an object and removes it.
// Later checks use what earlier ones have opened.
type checkup struct {
	cfg       Config
	tel       *telemetry
	control   *db.Login    // nil: Postgres cannot be reached
	store     *db.Store    // nil: not every role logs in
	telling   []string     // roles whose bound parameters Postgres may log
	kms       keys.KMS     // nil: it cannot be opened
	objects   *blob.Bucket // nil: there is none, or it does not work
	behind    []string     // migrations that the database lacks
	misplaced bool         // pgcrypto is where it keeps 0015 from running
	walk      *walkedKeys  // nil until the data keys were walked
	found     []finding
}

func runDoctor(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "doctor", &asJSON)
	config := configFlag(fs)
	var isolation isolationFlags
	fs.StringVar(&isolation.file, "isolation-report", "", "instead, write into this `file` how tenants are kept apart, and its signature beside it")
	fs.StringVar(&isolation.release, "release-report", "", "take in the isolation report of the release, from this `file`")
	fs.StringVar(&isolation.releaseKeys, "release-keys", "", "the publisher's key set, in this `file`, which verifies it")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if isolation.release != "" && (isolation.file == "" || isolation.releaseKeys == "") {
		return misuse(env, "doctor", "--release-report goes with --isolation-report and --release-keys")
	}
	d := &checkup{tel: quietTelemetry(env)}
	cfg, err := loadConfig(ctx, *config, env.dir)
	if isolation.file != "" {
		if err != nil {
			return err
		}
		d.cfg = cfg
		return d.isolate(ctx, env.out, isolation)
	}
	if err != nil {
		d.add("configuration", fail("see docs/configuration.md", "%s", explain(err)))
	} else {
		d.cfg = cfg
		d.run(ctx)
	}
	if err := d.print(env.out, asJSON); err != nil {
		return err
	}
	failed := 0
	for _, f := range d.found {
		if f.Verdict == unwell {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(d.found))
	}
	return nil
}

func (d *checkup) run(ctx context.Context) {
	defer func() {
		if d.store != nil {
			d.store.Close()
		}
	}()
	for _, c := range []struct {
		name  string
		check func(context.Context) finding
	}{
		{"configuration", d.configuration},
		{"postgres", d.postgres},
		{"clock", d.clock},
		{"roles", d.roles},
		{"statement log", d.statementLog},
		{"schema", d.schema},
		{"tenant wall", d.wall},
		{"data map", d.dataMap},
		{"partitions", d.partitions},
		{"jobs", d.jobs},
		{"redis", d.redis},
		{"object storage", d.objectStorage},
		{"audit heads", d.auditHeads},
		{"metadata", d.metadata},
		{"mail", d.mail},
		{"feature flags", d.featureFlags},
		{"risk data", d.riskData},
		{"kms", d.openKMS},
		{"data keys", d.dataKeys},
		{"signing keys", d.signingKeys},
		{"key sets", d.keySets},
		{"audit archives", d.auditArchives},
		{"erasures", d.erasures},
	} {
		d.add(c.name, c.check(ctx))
	}
}

func (d *checkup) add(name string, f finding) {
	f.Name, f.OK = name, f.Verdict == well || f.Verdict == doubtful
	f.Detail = scrub(f.Detail)
	d.found = append(d.found, f)
}

func (d *checkup) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, d.found)
	}
	for _, f := range d.found {
		mark := string(f.Verdict)
		if f.Verdict == unwell {
			mark = "FAIL"
		}
		if _, err := fmt.Fprintf(w, "%-5s %-14s %s\n", mark, f.Name, strings.ReplaceAll(f.Detail, "\n", "\n"+strings.Repeat(" ", 21))); err != nil {
			return err
		}
		if f.Fix == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%21s-> %s\n", "", f.Fix); err != nil {
			return err
		}
	}
	return nil
}

func (d *checkup) configuration(context.Context) finding {
	_, levelErr := d.cfg.logLevel()
	_, tlsErr := d.cfg.tls()
	switch err := errors.Join(d.cfg.validateServe(), levelErr, tlsErr); {
	case err != nil:
		return fail("serve refuses to start with it", "%s", explain(err))
	case d.cfg.NoLimits:
		return warn("unset BIOCORE_NO_LIMITS, unless this is for load tests", "rate limits are off")
	}
	if ways := d.cfg.openWays(); len(ways) > 0 {
		return warn("encrypt what leaves this machine, and set passwords, unless the network is trusted like it", "%s", some(ways, "\n"))
	}
	return ok("complete, for %s", d.cfg.PublicURL)
}
