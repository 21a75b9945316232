package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/erasure"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/importer"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/retention"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/risk/netlist"
	"github.com/biocore-id/biocore/authcore/risk/place"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/simulation"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/audit/view"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/fetch"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/rollout"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/scoring"
	"github.com/biocore-id/biocore/tenancy/siem"
	"github.com/biocore-id/biocore/tenancy/stats"
	"github.com/biocore-id/biocore/tenancy/support"
	"github.com/biocore-id/biocore/tenancy/system"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
	"github.com/biocore-id/biocore/web/download"
	"github.com/biocore-id/biocore/web/edge"
	"github.com/biocore-id/biocore/web/oauth"
	"github.com/biocore-id/biocore/web/ofrep"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
	"github.com/biocore-id/biocore/web/static"
	"github.com/biocore-id/biocore/web/wellknown"
)

// operator is what the operator's commands work with: the control plane's services,
// without a network.
type operator struct {
	store    *db.Store
	kms      keys.KMS
	keys     *keys.Service
	users    *user.Service
	tenants  *tenant.Service
	usage    *usage.Service
	apiKeys  *apikey.Service
	members  *member.Service
	mail     *mail.Service
	stats    *stats.Service
	support  *support.Service
	debugger *debugger.Reader
	trail    *trail.Reader
	dlp      *dlp.Service
	streams  *siem.Service     // of audit logs: delivered while a server runs
	evidence *evidence.Service // without object storage, until a server has it: see platform.wire
	exports  *archive.Service  // as evidence
	reports  *report.Service   // as evidence
	shared   []report.Document // catalogues of the installation's own
	networks []netip.Prefix    // where servers that tenants name may be, beside the public Internet

	sequencer *sequencer.Sequencer // of audit logs: runs while a server does
	anchors   *anchor.Service      // of their heads: as evidence
	archived  *cold.Service        // what is old of them: as evidence
	mds       *mds.Service         // models of authenticators
	roots     *attestation.Service
	forget    func(context.Context, scope.Scope, uuid.UUID) // what Redis has of a user who is erased; nil on the command line: it goes by itself
	denials   *audit.Denials                                // refusals: recorded while a server runs, see platform.Run
}

func newOperator(ctx context.Context, cfg Config, tel *telemetry) (*operator, error) {
	k, err := kms.OpenAll(ctx, cfg.KMSURL, cfg.previousKMS())
	if err != nil {
		return nil, fmt.Errorf("KMS: %w", err)
	}
	store, err := db.Open(ctx, db.Options{
		AppURL: cfg.DatabaseURL.Reveal(), WriterURL: cfg.DatabaseWriterURL.Reveal(), ControlURL: cfg.DatabaseControlURL.Reveal(),
		SupportURL: cfg.DatabaseSupportURL.Reveal(), AuditURL: cfg.DatabaseAuditURL.Reveal(), AppConns: cfg.DatabaseConns, Tracer: tel.PostgresTracer(), Log: tel.Log,
		Version: buildInfo().Version,
	})
	if err != nil {
		return nil, err
	}
	o := &operator{store: store, kms: k}
	if o.shared, err = cfg.reportCatalogues(); err != nil {
		store.Close()
		return nil, err
	}
	if o.mds, err = newMDS(cfg, store, tel.Log); err != nil {
		store.Close()
		return nil, err
	}
	o.keys = keys.New(keys.Options{
		Store: store, KMS: k, Plan: o.keyPlan, Log: tel.Log,
		Reseal: func(ctx context.Context, sc scope.Scope, limit int) (int, error) {
			users, err := o.users.Reseal(ctx, sc, limit)
			records, more := o.evidence.Reseal(ctx, sc, limit-users)
			archives, still := o.exports.Reseal(ctx, sc, limit-users-records)
			logs, yet := o.sequencer.Reseal(ctx, sc, limit-users-records-archives)
			credentials, and := o.streams.Reseal(ctx, sc, limit-users-records-archives-logs)
			heads, last := o.anchors.Reseal(ctx, sc, limit-users-records-archives-logs-credentials)
			reports, end := o.reports.Reseal(ctx, sc, limit-users-records-archives-logs-credentials-heads)
			services, finally := risk.Reseal(ctx, store, o.keys, sc, limit-users-records-archives-logs-credentials-heads-reports)
			return users + records + archives + logs + credentials + heads + reports + services, errors.Join(err, more, still, yet, and, last, end, finally)
		},
	})
	_, host, _ := strings.Cut(cfg.PublicURL, "://")
	o.sequencer = sequencer.New(sequencer.Options{Store: store, Keys: o.keys, Log: tel.Log, Host: host})
	o.anchors = anchor.New(anchor.Options{Store: store, Keys: o.keys, Log: tel.Log, Host: host})
	queue, err := jobs.NewQueue()
	if err != nil {
		store.Close()
		return nil, err
	}
	o.users = user.New(user.Options{Store: store, Keys: o.keys, Queue: queue, MayLeave: func(ctx context.Context, person uuid.UUID) error {
		return o.members.MayLeave(ctx, person)
	}, Erased: func(ctx context.Context, sc scope.Scope, id uuid.UUID) {
		if o.forget != nil {
			o.forget(ctx, sc, id)
		}
	}})
	o.evidence = evidence.New(evidence.Options{Store: store, Keys: o.keys, Log: tel.Log})
	o.exports = archive.New(archive.Options{Store: store, Keys: o.keys, Evidence: o.evidence, Log: tel.Log})
	o.reports = report.New(report.Options{Store: store, Keys: o.keys, Shared: o.shared, Log: tel.Log})
	o.roots = attestation.New(store)
	o.stats = stats.New(store)
	var guesses *ratelimit.Guesses
	if !cfg.NoLimits {
		guesses = ratelimit.NewGuesses(store.Now)
	}
	fetcher, prober, err := newProber(cfg)
	if err != nil {
		store.Close()
		return nil, err
	}
	o.tenants = tenant.New(tenant.Options{
		Store: store, Keys: o.keys, FirstKeys: apikey.First, Guesses: guesses, ConsoleRPID: tenant.ConsoleRPID(cfg.PublicURL), Prober: prober, Fetch: fetcher,
	})
	if o.mail, err = o.newMail(&cfg, tel); err != nil {
		store.Close()
		return nil, fmt.Errorf("mail: %w", err)
	}
	o.members = member.New(member.Options{Store: store, Keys: o.keys, Mail: o.mail})
	o.support = support.New(support.Options{Store: store, Keys: o.keys, Members: o.members, Mail: o.mail, Name: func(ctx context.Context, person uuid.UUID) (string, error) {
		u, err := o.users.Get(ctx, scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "support"}), user.ID(person))
		return u.Name, err
	}})
	o.debugger, o.trail = debugger.NewReader(store, o.keys), trail.NewReader(store, o.keys)
	if o.networks, err = cfg.fetchNetworks(); err != nil {
		store.Close()
		return nil, err
	}
	o.dlp = dlp.New(dlp.Options{Store: store, Keys: o.keys, Trail: o.trail, Log: tel.Log})
	o.streams = siem.New(siem.Options{Store: store, Keys: o.keys, Trail: o.trail, Log: tel.Log, Allowed: o.networks, Resolver: cfg.resolver(), Host: host})
	o.usage = usage.New(usage.Options{Store: store, Mail: o.mail})
	o.denials = audit.NewDenials(audit.DenialsOptions{Store: store, Log: tel.Log})
	o.apiKeys = apikey.New(apikey.Options{Store: store, Keys: o.keys, Tenants: o.tenants, Denials: o.denials, Guesses: guesses})
	return o, nil
}

// newErasures tells of users who were erased, with the ledger that is kept where the configuration says.
func (o *operator) newErasures(kept *ledger.Ledger, archived *cold.Service, backupDays int) *erasure.Service {
	return erasure.New(erasure.Options{
		Store: o.store, Keys: o.keys, Users: o.users, Trail: o.trail, Archived: archived, Streams: o.streams, Ledger: kept, BackupDays: backupDays,
	})
}

// newProber makes what looks at tenants' domains.
func newProber(cfg Config) (*fetch.Client, *rp.Prober, error) {
	networks, err := cfg.fetchNetworks()
	if err != nil {
		return nil, nil, err
	}
	resolver := cfg.resolver()
	client := fetch.New(fetch.Options{Allowed: networks, Resolver: resolver})
	return client, rp.NewProber(rp.ProberOptions{Fetch: client, Resolver: resolver}), nil
}

// resolver finds the addresses of servers that tenants name.
func (c *Config) resolver() *net.Resolver {
	if c.DNSServer == "" {
		return &net.Resolver{}
	}
	server := c.DNSServer
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
}

// keyPlan is what a tenant's policy asks of its keys.
func (o *operator) keyPlan(ctx context.Context, sc scope.Scope) (keys.Plan, error) {
	snap, err := o.tenants.Current(ctx, sc)
	if err != nil {
		return keys.Plan{}, err
	}
	return keys.Plan{
		Algorithm: string(snap.Policy.SigningAlgorithm), InKMS: snap.Policy.SigningKeyLocation == policy.KeysInKMS,
		Since: snap.PolicySince, Ending: snap.State == tenant.Deleting,
		RotateSigningAfter: snap.Policy.SigningKeyRotation(), RotateDataAfter: snap.Policy.DataKeyRotation(),
	}, nil
}

// policyOf is the policy of a tenant as it is.
func (o *operator) policyOf(ctx context.Context, sc scope.Scope) (policy.Document, error) {
	snap, err := o.tenants.Current(ctx, sc)
	if err != nil {
		return policy.Document{}, err
	}
	return snap.Policy, nil
}

// Close ends the connections.
func (o *operator) Close() { o.store.Close() }

// platform is one server: every service, wired.
type platform struct {
	*operator
	cfg      Config
	tel      *telemetry
	redis    *ephemeral.Client
	objects  *blob.Bucket // nil: none is configured
	erasures *erasure.Service
	risk     *risk.Service
	tail     *tail.Service
	places   *place.Service   // countries and networks of addresses
	lists    *netlist.Service // of networks, by label
	scores   *scoring.Counts  // of all tenants' risk scoring services
	blast    *blastradius.Service
	limits   *ratelimit.Limiter
	flags    *flag.Service
	rollouts *rollout.Reader // Biocore's own switches
	faults   *stats.Faults
	system   *system.Service
	runner   *jobs.Runner
	rpc      *connect.Server
	open     *connect.Server // what takes no key
	rest     *rest.Handler
	events   *rpc.CeremonyEvents
	oauth    *oauth.Handler
	ofrep    *ofrep.Handler
	static   *static.Files
	console  *console.Console

	downloads   *download.Handler
	auditLog    *download.Audit
	oldLog      *download.Audit
	personFiles *download.Person
	reportFiles *download.Report

	postgres pinger      // for those who ask whether the server is ready
	draining atomic.Bool // no longer ready: the load balancer sends no more
}

func newPlatform(ctx context.Context, cfg Config, tel *telemetry) (*platform, error) {
	op, err := newOperator(ctx, cfg, tel)
	if err != nil {
		return nil, err
	}
	p := &platform{operator: op, cfg: cfg, tel: tel, static: static.New(), postgres: pinger{ping: op.store.Ping}}
	if err := p.wire(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// wire makes every service in the order of what it needs.
func (p *platform) wire(ctx context.Context) error {
	if err := errors.Join(p.tel.ObserveStore(p.store), p.tel.ObserveKeys(p.keys.KMSHealth), p.tel.ObserveMDS(p.mds, p.store.Now), p.tel.ObserveAudit(p.sequencer.Stats), p.tel.ObserveStreams(p.streams.Stats)); err != nil {
		return err
	}
	if p.cfg.ObjectStorageURL != "" {
		var err error
		if p.objects, err = blob.Open(ctx, p.cfg.ObjectStorageURL); err != nil {
			return fmt.Errorf("object storage: %w", err)
		}
		if err := p.tel.ObserveObjects(p.objects.Stats); err != nil {
			return err
		}
	}
	var err error
	if p.redis, err = ephemeral.Open(p.cfg.RedisURL.Reveal()); err != nil {
		return err
	}
	p.places = p.cfg.openPlaces(ctx, p.tel, p.store.Now)
	if p.lists, err = p.cfg.openLists(ctx, p.tel, p.store.Now); err != nil {
		return err
	}
	p.scores = new(scoring.Counts)
	if err := errors.Join(p.tel.ObserveRiskData(p.places, p.lists, p.store.Now), p.tel.ObserveScoring(p.scores)); err != nil {
		return err
	}
	p.limits = ratelimit.New(ratelimit.Options{Counters: p.redis, Off: p.cfg.NoLimits, Log: p.tel.Log})
	if err := p.tel.ObserveLimits(p.limits.Stats); err != nil {
		return err
	}
	p.flags = flag.New(p.store, p.keys)
	if err := p.openRollouts(ctx); err != nil {
		return err
	}
	p.runner = jobs.NewRunner(jobs.Options{URL: p.cfg.DatabaseJobsURL.Reveal(), Now: p.store.Now, Log: p.tel.Log})

	p.runner.MaintainKeys(p.keys.Maintain)
	p.mail.Handle(p.runner)
	p.runner.MaintainDomains(func(ctx context.Context, sc scope.Scope) error {
		_, err := p.tenants.VerifyDomain(ctx, sc)
		return err
	})
	p.users.Handle(p.runner)
	p.evidence = evidence.New(evidence.Options{Store: p.store, Keys: p.keys, Objects: p.objects, Policy: p.policyOf, Log: p.tel.Log})
	if err := p.tel.ObserveEvidence(p.evidence.Stats); err != nil {
		return err
	}
	p.runner.MaintainEvidence(p.evidence.Maintain)
	_, host, _ := strings.Cut(p.cfg.PublicURL, "://")
	p.anchors = anchor.New(anchor.Options{
		Store: p.store, Keys: p.keys, Objects: p.objects, Log: p.tel.Log, Host: host, LockFor: time.Duration(p.cfg.AuditLockDays) * 24 * time.Hour,
	})
	if p.objects != nil {
		if err := p.tel.ObserveAnchors(p.anchors.Stats); err != nil {
			return err
		}
	}
	p.archived = cold.New(cold.Options{
		Store: p.store, Keys: p.keys, Trail: p.trail, Objects: p.objects, Policy: p.policyOf, LockFor: time.Duration(p.cfg.AuditLockDays) * 24 * time.Hour,
		On: p.rollouts.Of(rollout.AuditArchiving),
	})
	if p.objects != nil {
		if err := p.tel.ObserveArchives(p.archived.Stats); err != nil {
			return err
		}
	}
	p.runner.ArchiveAudit(cold.Longest, p.usage.Tenants, p.archived.Maintain)
	p.exports = archive.New(archive.Options{Store: p.store, Keys: p.keys, Evidence: p.evidence, Archived: p.archived, Objects: p.objects, Log: p.tel.Log})
	p.runner.MaintainExports(archive.Longest+5*time.Minute, p.exports.Maintain) // what has ended is removed before
	p.reports = report.New(report.Options{Store: p.store, Keys: p.keys, Members: p.members, Policy: p.policyOf, Names: p.namesOf, Objects: p.objects, Shared: p.shared, Log: p.tel.Log})
	p.runner.MaintainReports(report.Longest+5*time.Minute, p.reports.Maintain)
	p.dlp = dlp.New(dlp.Options{Store: p.store, Keys: p.keys, Trail: p.trail, Sources: []dlp.Source{p.users.Texts(), p.exports.Texts()}, On: p.rollouts.Of(rollout.TextScans), Log: p.tel.Log})
	p.runner.ScanTexts(dlp.Longest+time.Minute, p.dlp.Maintain)
	kept := ledger.New(ledger.Options{Store: p.store, Keys: p.keys, Objects: p.objects, Log: p.tel.Log})
	p.erasures = p.newErasures(kept, p.archived, p.cfg.BackupDays)
	p.runner.KeepErasures(kept.Store)
	p.runner.MaintainStats(p.stats.Maintain)
	p.runner.MeterUsage(p.usage.Tenants, p.usage.Measure)
	p.runner.ApplyRetention(p.usage.Tenants, retention.New(retention.Options{Store: p.store, Policy: p.policyOf}).Apply)
	p.runner.DestroyTenants(func(ctx context.Context, sc scope.Scope) error {
		home := scope.New(scope.PlatformTenant, sc.Actor())
		return p.tenants.Destroy(ctx, home, tenant.DestroyRequest{
			ID: sc.Tenant(), Issuer: token.Issuer(p.cfg.PublicURL, platformSlug), Subjects: []tenant.Subject{p.exports, p.reports, p.evidence, p.archived},
		})
	})
	if err := p.followMDS(); err != nil {
		return err
	}

	credentials := credential.New(credential.Options{Store: p.store, Keys: p.keys, Tenants: p.tenants, Reported: p.reportedModels})
	sessions, err := session.New(session.Options{Store: p.store, Keys: p.keys, Tenants: p.tenants, PublicURL: p.cfg.PublicURL, Denials: p.denials})
	if err != nil {
		return err
	}
	if p.tail, err = tail.New(tail.Options{Reader: p.debugger, Keys: p.keys, Redis: p.redis, Now: p.store.Now, On: p.rollouts.Of(rollout.LiveStreams), Log: p.tel.Log}); err != nil {
		return err
	}
	if err := p.tel.ObserveTail(p.tail.Stats); err != nil {
		return err
	}
	if p.risk, err = risk.New(risk.Options{Store: p.store, Keys: p.keys, Ephemeral: p.redis, Locate: p.locate, Distance: kilometres, Allowed: p.networks, Resolver: p.cfg.resolver(), Counts: p.scores, Log: p.tel.Log}); err != nil {
		return err
	}
	p.forget = p.risk.Forget
	if err := p.tel.ObserveRisk(p.risk.Stats); err != nil {
		return err
	}
	ceremonies, err := ceremony.New(ceremony.Options{
		Store: p.store, Keys: p.keys, Tenants: p.tenants, Sessions: sessions, Ephemeral: p.redis, Denials: p.denials, Evidence: p.evidence, Risk: p.risk, Limits: p.limits, Tail: p.tail,
		Metadata: p.mds.Current, Roots: p.roots.Current,
	})
	if err != nil {
		return err
	}

	p.faults = stats.NewFaults(p.store, p.tel.Log)
	p.system = p.newSystem()
	recoveries, err := recovery.New(recovery.Options{Store: p.store, Keys: p.keys, Tenants: p.tenants, Denials: p.denials})
	if err != nil {
		return err
	}

	models, err := authenticator.NewCatalogue(authenticator.Options{Keys: p.keys, Metadata: p.mds.Current, Now: p.store.Now})
	if err != nil {
		return err
	}
	simulations := simulation.New(simulation.Options{Store: p.store}) // one for both: a tenant runs one at a time
	boards, views := dashboard.New(p.store), view.New(p.store)
	p.console, err = console.New(console.Options{ //nolint:contextcheck // its handlers have their requests'
		Members: p.members, Ceremonies: ceremonies, Users: p.users, Credentials: credentials, Sessions: sessions, Tenants: p.tenants, Support: p.support, Parties: rp.New(rp.Options{Store: p.store}),
		Stats: p.stats, Dashboards: boards, Usage: p.usage, System: p.system,
		APIKeys: p.apiKeys, Keys: p.keys, Simulations: simulations, Trail: trail.NewReader(p.store, p.keys), Anchors: p.anchors, Archives: p.archived, Views: views, Streams: p.streams, Reports: p.reports, DLP: p.dlp, Flags: p.flags, Risk: p.risk, Blast: p.blast, Models: models, Roots: p.roots,
		Recovery: recoveries, Evidence: p.evidence, Exports: p.exports, Erasures: p.erasures, Places: p.places, Debugger: p.debugger, Tail: p.tail,
		Metadata: p.mds.Current, Static: p.static, PublicURL: p.cfg.PublicURL, Origin: rpc.OriginFromContext, Limits: p.limits, Log: p.tel.Log, Now: p.store.Now,
	})
	if err != nil {
		return err
	}

	observe, err := p.tel.RPCInterceptor()
	if err != nil {
		return err
	}
	validate, err := rpc.Validate()
	if err != nil {
		return err
	}
	// The first is the outermost. Nothing is decoded before the key is known to be
	// good and within its limits.
	p.rpc = connect.NewServer(
		observe,
		rpc.MapErrors(p.tel.Log),
		rpc.Authenticate(p.apiKeys, p.tenants, p.faults),
		rpc.Limit(p.limits),
		validate,
		rpc.Idempotency(p.claim, p.keys),
	)
	faces := rpc.Faces{Metadata: p.mds.Current, PublicURL: p.cfg.PublicURL}
	authv1connect.RegisterRegistrationServiceHandler(p.rpc, rpc.NewRegistrationHandler(ceremonies, faces))
	authv1connect.RegisterAuthenticationServiceHandler(p.rpc, rpc.NewAuthenticationHandler(ceremonies, faces))
	authv1connect.RegisterUserServiceHandler(p.rpc, rpc.NewUserHandler(p.users))
	authv1connect.RegisterCredentialServiceHandler(p.rpc, rpc.NewCredentialHandler(credentials, faces))
	authv1connect.RegisterRecoveryServiceHandler(p.rpc, rpc.NewRecoveryHandler(recoveries))
	authv1connect.RegisterSessionServiceHandler(p.rpc, rpc.NewSessionHandler(sessions, p.places))
	adminv1connect.RegisterTenantServiceHandler(p.rpc, rpc.NewTenantHandler(p.tenants, p.members, p.joinLink))
	adminv1connect.RegisterExportServiceHandler(p.rpc, rpc.NewExportHandler(p.exports))
	adminv1connect.RegisterUsageServiceHandler(p.rpc, rpc.NewUsageHandler(p.usage, p.tenants, p.limits))
	adminv1connect.RegisterSettingsServiceHandler(p.rpc, rpc.NewSettingsHandler(p.tenants, p.cfg.PublicURL))
	adminv1connect.RegisterPolicyServiceHandler(p.rpc, rpc.NewPolicyHandler(p.tenants, simulations))
	adminv1connect.RegisterRiskRulesServiceHandler(p.rpc, rpc.NewRiskRulesHandler(p.risk))
	authv1connect.RegisterRiskServiceHandler(p.rpc, rpc.NewRiskHandler(p.risk))
	adminv1connect.RegisterRecoveryServiceHandler(p.rpc, rpc.NewRecoveryDeskHandler(recoveries))
	adminv1connect.RegisterSupportServiceHandler(p.rpc, rpc.NewSupportHandler(p.support))
	adminv1connect.RegisterAttestationRootServiceHandler(p.rpc, rpc.NewAttestationRootHandler(p.roots))
	adminv1connect.RegisterAuthenticatorServiceHandler(p.rpc, rpc.NewAuthenticatorHandler(p.blast, models, faces, p.store.Now))
	adminv1connect.RegisterEvidenceServiceHandler(p.rpc, rpc.NewEvidenceHandler(p.evidence))
	adminv1connect.RegisterMemberServiceHandler(p.rpc, rpc.NewMemberHandler(rpc.MemberOptions{
		Members: p.members, Names: p.namesOf, Link: p.joinLink,
	}))
	adminv1connect.RegisterApiKeyServiceHandler(p.rpc, rpc.NewAPIKeyHandler(p.apiKeys, p.store.Now))
	adminv1connect.RegisterCeremonyServiceHandler(p.rpc, rpc.NewCeremonyHandler(p.debugger))
	adminv1connect.RegisterAuditServiceHandler(p.rpc, rpc.NewAuditHandler(p.trail, p.anchors, p.archived, views))
	adminv1connect.RegisterLogStreamServiceHandler(p.rpc, rpc.NewLogStreamHandler(p.streams))
	adminv1connect.RegisterReportServiceHandler(p.rpc, rpc.NewReportHandler(p.reports))
	adminv1connect.RegisterDataMapServiceHandler(p.rpc, rpc.NewDataMapHandler())
	adminv1connect.RegisterErasureServiceHandler(p.rpc, rpc.NewErasureHandler(p.erasures))
	adminv1connect.RegisterDlpServiceHandler(p.rpc, rpc.NewDLPHandler(p.dlp))
	adminv1connect.RegisterSigningKeyServiceHandler(p.rpc, rpc.NewSigningKeyHandler(p.keys))
	adminv1connect.RegisterImportServiceHandler(p.rpc, rpc.NewImportHandler(importer.New(importer.Options{
		Store: p.store, Keys: p.keys, Tenants: p.tenants, Metadata: p.mds.Current,
	})))
	adminv1connect.RegisterRelyingPartyServiceHandler(p.rpc, rpc.NewRelyingPartyHandler(rp.New(rp.Options{Store: p.store}), p.tenants))
	adminv1connect.RegisterStatsServiceHandler(p.rpc, rpc.NewStatsHandler(p.stats))
	adminv1connect.RegisterDashboardServiceHandler(p.rpc, rpc.NewDashboardHandler(boards))
	adminv1connect.RegisterFlagServiceHandler(p.rpc, rpc.NewFlagHandler(p.flags))
	adminv1connect.RegisterSegmentServiceHandler(p.rpc, rpc.NewSegmentHandler(p.flags))
	adminv1connect.RegisterSystemServiceHandler(p.rpc, rpc.NewSystemHandler(p.system))
	gate := rpc.NewGate(p.apiKeys, p.tenants, p.limits)
	p.events = rpc.NewCeremonyEvents(p.tail, gate, p.tel.Log)
	p.ofrep = ofrep.New(gate, p.flags, p.tel.Log)
	p.oauth = oauth.New(oauth.Options{Sessions: sessions, Gate: gate, Tenants: p.tenants, Log: p.tel.Log})
	p.downloads, p.auditLog, p.oldLog = download.New(p.exports, gate, p.tel.Log), download.NewAudit(p.trail, gate, p.tel.Log), download.NewArchives(p.archived, gate, p.tel.Log)
	p.reportFiles, p.personFiles = download.NewReport(p.reports, gate, p.tel.Log), download.NewPerson(p.exports, gate, p.tel.Log)
	p.open = connect.NewServer(rpc.MapErrors(p.tel.Log))
	rpc.RegisterHealth(p.open, p.serving, p.rpc)
	if err := rpc.RegisterReflection(p.open, p.rpc); err != nil {
		return err
	}
	p.rest, err = rest.New(p.rpc, rest.Options{})
	return err
}

// namesOf tells how people of the console are called.
func (p *platform) namesOf(ctx context.Context, people []uuid.UUID) (map[uuid.UUID]string, error) {
	return p.users.Names(ctx, scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "console"}), people)
}

// joinLink is the page that takes the token of an invitation.
func (p *platform) joinLink(token string) string { return joinURL(p.cfg.PublicURL, token) }

// claim claims the Idempotency-Key of a call that has no transaction to claim it in.
func (p *platform) claim(ctx context.Context, call *idempotency.Call) error {
	return p.store.InTenant(idempotency.NewContext(ctx, call), call.Scope, func(*db.TenantTx) error { return nil })
}

// public is the handler of the public port; demo may be nil.
func (p *platform) public(demo http.Handler) http.Handler {
	return edge.New(edge.Options{
		RPC: p.rpc, Open: p.open, REST: p.rest, Events: p.events, Reference: rest.Reference(), Schema: edge.Constant("application/schema+json", policy.Schema()), Static: p.static,
		Icons: edge.Icons(p.icon, p.static.AuthenticatorIcon()), JWKS: edge.JWKS(p.tel.Log, p.keySet), OAuth: p.oauth, OFREP: p.ofrep, Exports: p.downloads, AuditLog: p.auditLog, Archives: p.oldLog, Person: p.personFiles, Reports: p.reportFiles,
		Logo: edge.Logo(p.tel.Log, p.logo), Configuration: edge.Document(p.tel.Log, p.configuration), Metadata: edge.Document(p.tel.Log, p.metadata), Demo: demo, Console: p.console,
		RelatedOrigins:     edge.Place(p.tel.Log, p.place(func(t *tenant.Tenant) any { return wellknown.RelatedOriginsOf(t) })),
		PasskeyEndpoints:   edge.Place(p.tel.Log, p.place(func(t *tenant.Tenant) any { return wellknown.PasskeyEndpointsOf(t) })),
		AssetLinks:         edge.Place(p.tel.Log, p.place(func(t *tenant.Tenant) any { return wellknown.AssetLinksOf(t) })),
		AppSiteAssociation: edge.Place(p.tel.Log, p.place(func(t *tenant.Tenant) any { return wellknown.AppSiteAssociationOf(t) })),
		Ready:              p.ready, TrustedHops: p.cfg.TrustedHops, HSTS: p.cfg.PublicURL[:5] == "https", Log: p.tel.Log,
	})
}

// ops is the handler of the operations port.
func (p *platform) ops() http.Handler {
	return edge.NewOps(edge.OpsOptions{Metrics: p.tel.Metrics, Ready: p.ready, Hosts: p.cfg.opsHosts()})
}

var errDraining = errors.New("shutting down")

// ready tells how each dependency is. Redis is not among what makes a server unready:
// sign-ins, tokens and reads go on without it.
func (p *platform) ready(r *http.Request) map[string]error {
	out := map[string]error{"postgres": p.postgres.Ping(r.Context()), "kms": nil, "server": nil}
	if h := p.keys.KMSHealth(); h.Err != nil && h.Left > 0 {
		out["kms"] = edge.Degraded(fmt.Errorf("no answer; opened keys go on for %s", h.Left.Round(time.Second)))
	} else if h.Err != nil {
		out["kms"] = errors.New("no answer for too long")
	}
	if err := p.rollouts.Health(); err != nil {
		out["flags"] = edge.Degraded(err)
	}
	if p.draining.Load() {
		out["server"] = errDraining
	}
	return out
}

// serving is ready as one answer, for those who ask by gRPC.
func (p *platform) serving(ctx context.Context) error {
	if p.draining.Load() {
		return errDraining
	}
	return p.postgres.Ping(ctx)
}

// countFlags writes what was counted of feature flags.
func (p *platform) countFlags(ctx context.Context) error { return p.flags.Run(ctx, p.tel.Log) }

// Run does everything that goes on beside requests, until ctx ends. It returns
// when all of it has stopped: the first error, or nil.
func (p *platform) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := []func(context.Context) error{
		p.store.Run, p.keys.Run, p.limits.Run, p.apiKeys.Run, p.denials.Run, p.sequencer.Run, p.anchors.Run, p.streams.Run, p.faults.Run, p.mds.Run, p.runner.Run, p.tail.Run, p.risk.Run, p.rollouts.Run, p.places.Run, p.lists.Run, p.countFlags, p.keepKMS,
	}
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			if errs[i] = part(ctx); errs[i] != nil {
				cancel() // a server that is missing a part must not go on
			}
		})
	}
	wg.Wait()
	// Not before: what still runs asks it.
	if err := p.rollouts.Close(ctx); err != nil {
		p.tel.Log.WarnContext(ctx, "the provider of feature flags did not end well", "err", err)
	}
	return errors.Join(errs...)
}

// keepKMS keeps the access to the KMS alive, which is seldom asked.
func (p *platform) keepKMS(ctx context.Context) error { return kms.Run(ctx, p.kms) }

// Close ends the connections, after Run has returned.
func (p *platform) Close() {
	if p.redis != nil {
		_ = p.redis.Close()
	}
	p.operator.Close()
}
