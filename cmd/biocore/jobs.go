package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/tenancy/system"
)

// newSystem is what tells the staff how the installation is.
func (p *platform) newSystem() *system.Service {
	b := buildInfo()
	o := system.Options{
		Store: p.store, JobsURL: p.cfg.DatabaseJobsURL.Reveal(), Redis: p.redis.Version,
		KMS: func() system.KMS {
			h := p.keys.KMSHealth()
			return system.KMS{Key: p.kms.KeyName(), Err: h.Err, Left: h.Left}
		},
		Metadata: func(ctx context.Context) (system.Dependency, error) { return metadataHealth(ctx, p.mds, p.store.Now) },
		Stats:    p.stats, Objective: p.cfg.objective(),
		Version: b.Version, Revision: b.Revision,
	}
	if p.objects != nil {
		o.Objects = func(ctx context.Context) (string, error) { return p.objects.Name(), p.objects.Probe(ctx) }
	}
	return system.New(o)
}

// metadataHealth is how old the FIDO metadata is.
func metadataHealth(ctx context.Context, s *mds.Service, now func() time.Time) (system.Dependency, error) {
	d := system.Dependency{Name: "metadata", Health: system.Well}
	state, err := s.State(ctx)
	switch {
	case err != nil:
		return d, err
	case state == nil:
		d.Health, d.Detail = system.Absent, "None was fetched yet: run biocore mds sync"
	case state.Stale(now()):
		d.Health, d.Detail = system.Degraded, fmt.Sprintf("Number %d of %s was to be replaced by %s", state.Number, state.FetchedAt.Format("2 Jan 2006"), state.NextUpdate.Format("2 Jan 2006"))
	default:
		d.Detail = fmt.Sprintf("Number %d, %d models, the next one by %s", state.Number, state.Entries, state.NextUpdate.Format("2 Jan 2006"))
	}
	return d, nil
}

// jobJSON is a job that was given up, as the API spells it.
type jobJSON struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	TenantID string `json:"tenantId"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
	At       string `json:"at"`
}

func runJobsList(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "jobs list", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	return onQueue(ctx, env, *config, func(_ *control, s *system.Service) error {
		list, err := s.GivenUp(ctx)
		if err != nil {
			return err
		}
		rows, out := [][]string{{"ID", "KIND", "TENANT", "TRIES", "GIVEN UP", "ERROR"}}, []jobJSON{}
		for i := range list {
			d := &list[i]
			id, tenant := strconv.FormatInt(d.ID, 10), ""
			if d.Tenant != uuid.Nil {
				tenant = d.Tenant.String()
			}
			rows = append(rows, []string{id, d.Kind, orDash(tenant), strconv.Itoa(d.Attempts), moment(&d.At), d.Error})
			out = append(out, jobJSON{ID: id, Kind: d.Kind, TenantID: tenant, Attempts: d.Attempts, Error: d.Error, At: moment(&d.At)})
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"discarded": out})
		}
		return table(env.out, rows)
	})
}

func runJobsRetry(ctx context.Context, env *environment, args []string) error {
	const command = "jobs retry"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	reason := fs.String("reason", "", "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *reason == "" {
		return misuse(env, command, "--reason is required")
	}
	id := fs.Arg(0)
	return onQueue(ctx, env, *config, func(c *control, s *system.Service) error {
		if err := s.Retry(ctx, c.home, id, *reason); err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, map[string]string{"id": id})
		}
		_, err := fmt.Fprintf(env.out, "Job %s is in the queue again.\n", id)
		return err
	})
}

// onQueue opens the stores and the queue of the configuration at path.
func onQueue(ctx context.Context, env *environment, path string, fn func(*control, *system.Service) error) error {
	cfg, err := loadConfig(ctx, path, env.dir)
	if err != nil {
		return err
	}
	c, err := openControl(ctx, env, path)
	if err != nil {
		return err
	}
	defer c.Close()
	return fn(c, system.New(system.Options{Store: c.store, JobsURL: cfg.DatabaseJobsURL.Reveal()}))
}
