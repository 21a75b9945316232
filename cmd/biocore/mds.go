package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// mdsTimeout is what a download may take; the job that waits for it has a minute.
const mdsTimeout = 45 * time.Second

// newMDS is the metadata service of the configuration.
func newMDS(cfg Config, store *db.Store, log *slog.Logger) (*mds.Service, error) {
	o := mds.ServiceOptions{
		Store: store, Fetch: fetchMDS, Source: cfg.MDSURL, MaxUnparsed: float64(cfg.MDSMaxUnparsed) / 100, Log: log,
	}
	if cfg.MDSRootsFile != "" {
		text, err := os.ReadFile(cfg.MDSRootsFile)
		if err != nil {
			return nil, fmt.Errorf("BIOCORE_MDS_ROOTS_FILE: %w", err)
		}
		o.Roots = x509.NewCertPool()
		if !o.Roots.AppendCertsFromPEM(text) {
			return nil, errors.New("BIOCORE_MDS_ROOTS_FILE holds no certificate in PEM")
		}
	}
	return mds.New(o)
}

// validMDSURL takes https, http on this machine alone, and files.
func validMDSURL(name, raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "file" && u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())) ||
		u.Scheme != "file" && u.Host == "" || u.Scheme == "file" && (u.Host != "" || !filepath.IsAbs(u.Path)):
		return errors.New(name + " is https://host/path or file:///a/file")
	case u.User != nil || secretInURL.MatchString(raw): // it is told to whoever asks, and stands in the audit log
		return errors.New(name + " carries a secret: a mirror of what is public needs none")
	}
	return nil
}

func onThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// mdsClient follows redirects within the host that was named, and to nothing less safe.
var mdsClient = &http.Client{
	Timeout: mdsTimeout,
	CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if first := via[0].URL; len(via) > 3 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
			return errors.New("it redirects elsewhere")
		}
		return nil
	},
}

// fetchMDS reads a BLOB from a file or by HTTP. It gives up on what is longer than
// mds.MaxBytes.
func fetchMDS(ctx context.Context, source string) ([]byte, error) {
	if err := validMDSURL("the source", source); err != nil {
		return nil, err
	}
	u, err := url.Parse(source)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		f, err := os.Open(u.Path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readMDS(f)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := mdsClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with status %d", resp.StatusCode)
	}
	return readMDS(resp.Body)
}

func readMDS(r io.Reader) ([]byte, error) {
	blob, err := io.ReadAll(io.LimitReader(r, mds.MaxBytes+1))
	if err == nil && len(blob) > mds.MaxBytes {
		return nil, fmt.Errorf("it has more than %d bytes", mds.MaxBytes)
	}
	return blob, err
}

// followMDS has the runner keep the metadata, and compare every tenant's credentials with
// it.
func (p *platform) followMDS() error {
	queue, err := jobs.NewQueue()
	if err != nil {
		return err
	}
	p.blast, err = blastradius.New(blastradius.Options{
		Store: p.store, Keys: p.keys, Tenants: p.tenants, Queue: queue, Reports: p.reported,
	})
	if err != nil {
		return err
	}
	p.blast.Handle(p.runner)
	p.runner.FollowMetadata(jobs.Metadata{
		Installation: p.cfg.PublicURL,

		Sync:  p.mds.SyncIfDue,
		Apply: p.mds.Apply,
		Reconcile: func(ctx context.Context, sc scope.Scope) error {
			// The server that made this job knew the newest metadata; this one need not yet.
			if err := p.mds.Load(ctx); err != nil {
				return err
			}
			_, err := p.blast.Reconcile(ctx, sc)
			return err
		},
	})
	return nil
}

// reported are the models of which the metadata in use says that they are revoked or
// compromised.
func (o *operator) reported() (int, []blastradius.Report) {
	snap := o.mds.Current()
	if snap == nil {
		return 0, nil
	}
	now := o.store.Now()
	var reports []blastradius.Report
	for e := range snap.Entries() {
		if against := e.Against(now); len(against) > 0 && e.AAGUID != [16]byte{} {
			reports = append(reports, blastradius.Report{AAGUID: e.AAGUID, Name: e.Name, Statuses: against})
		}
	}
	return snap.Number, reports
}

// icon is that of a model, by the metadata in use; nil for none.
func (p *platform) icon(aaguid uuid.UUID) []byte { return authenticator.Icon(aaguid, p.mds.Current()) }

// mdsJSON is what is known of the metadata, under --json.
type mdsJSON struct {
	Known      bool       `json:"known"`
	Number     int        `json:"number,omitempty"`
	NextUpdate string     `json:"nextUpdate,omitempty"` // a date
	Stale      bool       `json:"stale"`
	Entries    int        `json:"entries"`
	Unparsed   int        `json:"unparsed"`
	Reported   int        `json:"reported"` // models that are revoked or compromised
	Source     string     `json:"source,omitempty"`
	FetchedAt  *time.Time `json:"fetchedAt,omitempty"`
	CheckedAt  *time.Time `json:"checkedAt,omitempty"`
	AppliedAt  *time.Time `json:"appliedAt,omitempty"`
}

func (c *control) mdsStatus(ctx context.Context) (mdsJSON, error) {
	state, err := c.mds.State(ctx)
	if err != nil || state == nil {
		return mdsJSON{}, err
	}
	if err := c.mds.Load(ctx); err != nil { // what servers would refuse must not look well
		return mdsJSON{}, err
	}
	now := c.store.Now()
	out := mdsJSON{
		Known: true, Number: state.Number, NextUpdate: state.NextUpdate.Format(time.DateOnly), Stale: state.Stale(now), Entries: state.Entries,
		Unparsed: state.Unparsed, Source: state.Source, FetchedAt: &state.FetchedAt, CheckedAt: &state.CheckedAt, AppliedAt: state.AppliedAt,
	}
	for e := range c.mds.Current().Entries() {
		if len(e.Against(now)) > 0 {
			out.Reported++
		}
	}
	return out, nil
}

func runMDSStatus(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "mds status", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.mdsStatus(ctx)
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(env.out, status)
	case !status.Known:
		_, err := fmt.Fprintln(env.out, "No metadata is known: no attestation leads to a root of the FIDO Metadata Service. See biocore mds sync --help.")
		return err
	}
	next := status.NextUpdate
	if status.Stale {
		next += ", which is over: it is stale"
	}
	return table(env.out, [][]string{
		{"number", strconv.Itoa(status.Number)},
		{"next update", next},
		{"models", strconv.Itoa(status.Entries - status.Unparsed)},
		{"not readable", strconv.Itoa(status.Unparsed)},
		{"revoked or compromised", strconv.Itoa(status.Reported)},
		{"source", status.Source},
		{"fetched", moment(status.FetchedAt)},
		{"nothing newer", moment(status.CheckedAt)},
		{"tenants told", moment(status.AppliedAt)},
	})
}

// mdsChangeJSON is a model that is reported otherwise than before.
type mdsChangeJSON struct {
	AAGUID string   `json:"aaguid"`
	Name   string   `json:"name"`
	Before []string `json:"before"`
	After  []string `json:"after"`
}

func runMDSSync(ctx context.Context, env *environment, args []string) error {
	const command = "mds sync"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	from := fs.String("url", "", "`URL` to fetch from (default: BIOCORE_MDS_URL)")
	file := fs.String("file", "", "`file` to read instead: the BLOB as it was downloaded elsewhere")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	source := *from
	if *file != "" {
		if source != "" {
			return misuse(env, command, "--url and --file exclude each other")
		}
		path := *file
		if !filepath.IsAbs(path) {
			var err error
			if path, err = filepath.Abs(filepath.Join(env.dir, path)); err != nil {
				return err
			}
		}
		source = (&url.URL{Scheme: "file", Path: path}).String()
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	done, err := c.mds.Sync(ctx, mds.SyncRequest{Source: source, Actor: c.home.Actor()})
	if err != nil {
		return err
	}
	status, err := c.mdsStatus(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		changes := make([]mdsChangeJSON, len(done.Changes))
		for i, ch := range done.Changes {
			changes[i] = mdsChangeJSON{AAGUID: ch.AAGUID.String(), Name: ch.Name, Before: append([]string{}, ch.Before...), After: append([]string{}, ch.After...)}
		}
		return printJSON(env.out, struct {
			mdsJSON

			Changed bool            `json:"changed"`
			Changes []mdsChangeJSON `json:"changes"`
		}{status, done.Changed, changes})
	}
	if !done.Changed {
		_, err := fmt.Fprintf(env.out, "Number %d is known already; the next is due on %s\n", status.Number, status.NextUpdate)
		return err
	}
	_, err = fmt.Fprintf(env.out, "Number %d is in use: %d models, %d not readable; the next is due on %s\n",
		status.Number, status.Entries-status.Unparsed, status.Unparsed, status.NextUpdate)
	if err != nil || len(done.Changes) == 0 {
		return err
	}
	rows := [][]string{{"\nMODEL", "NAME", "WAS REPORTED", "IS REPORTED"}}
	for _, ch := range done.Changes {
		rows = append(rows, []string{ch.AAGUID.String(), strings.ToValidUTF8(ch.Name, "?"), joined(ch.Before), joined(ch.After)})
	}
	return table(env.out, rows)
}

// reportedModels are those that the metadata speaks against now.
func (o *operator) reportedModels() []uuid.UUID {
	snap := o.mds.Current()
	if snap == nil {
		return nil
	}
	var models []uuid.UUID
	for e := range snap.Entries() {
		if e.AAGUID != uuid.Nil && len(e.Against(o.store.Now())) > 0 {
			models = append(models, e.AAGUID)
		}
	}
	return models
}
