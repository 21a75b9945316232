package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// walkedKeys is what a walk through all tenants' keys has found.
type walkedKeys struct {
	tenants  int      // the platform's own among them, and those whose keys are destroyed not
	shredded int      // whose keys are destroyed, as they should be
	keyless  bool     // the platform has no keys yet
	closed   []string // whose data keys do not open, and why
	unsigned []string // active tenants whose tokens nobody can sign
	previous []string // whose data keys are under another KMS key than the current one
	strayed  []string // whose tokens are signed in another KMS than the current one
	late     []string // whose keys should have had a successor, and why
	active   []signer // of active tenants
}

// signer is a tenant's active signing key.
type signer struct{ slug, kid string }

const fixKMS = "let BIOCORE_KMS_URL name the key that wrapped the tenants' data keys: without it what they seal is lost"

// kmsFix is what to do about a KMS that does not open.
func kmsFix(err error) string {
	switch {
	case errors.Is(err, keys.ErrKMSUnavailable):
		return "see that the KMS runs and that this machine reaches it: docs/kms.md"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return "see that the file which BIOCORE_KMS_URL needs is there and readable: docs/kms.md"
	}
	return fixKMS
}

// openKMS opens the KMS, and has it wrap and unwrap a key that belongs to nobody.
func (d *checkup) openKMS(ctx context.Context) finding {
	if d.cfg.KMSURL == "" {
		return fail(fixKMS, "BIOCORE_KMS_URL is not set")
	}
	opened, err := kms.OpenAll(ctx, d.cfg.KMSURL, d.cfg.previousKMS())
	if err != nil {
		return fail(kmsFix(err), "%s", explain(err))
	}
	if err := keys.CheckKMS(ctx, opened); err != nil {
		return fail(kmsFix(err), "%s", explain(err))
	}
	d.kms = opened
	return ok("%s wraps and unwraps", opened.KeyName())
}

func (d *checkup) dataKeys(ctx context.Context) finding {
	switch {
	case d.store == nil:
		return skip("roles")
	case d.kms == nil:
		return skip("kms")
	}
	walk, err := walkKeys(ctx, d.store, keys.New(keys.Options{Store: d.store, KMS: d.kms}),
		tenant.New(tenant.Options{Store: d.store}), d.kms.KeyName())
	if err != nil {
		return fail("run `biocore migrate up`", "%s", explain(err))
	}
	d.walk = &walk
	switch {
	case len(walk.closed) > 0:
		return fail(fixKMS, "%d of %d tenants' do not open:\n%s", len(walk.closed), walk.tenants, some(walk.closed, "\n"))
	case len(walk.previous) > 0:
		return warn("run `biocore keys rewrap`, then drop BIOCORE_KMS_PREVIOUS_URLS",
			"those of %d tenants open, and those of %s are under another KMS key than %s", walk.tenants, some(walk.previous, ", "), d.kms.KeyName())
	case walk.keyless:
		return warn("start a server, or run `biocore apikey create --kind platform`: either makes them", "those of %d tenants open%s; the platform has none yet", walk.tenants-1, walk.destroyed())
	}
	return ok("those of %d tenants open, the platform's among them%s", walk.tenants, walk.destroyed())
}

// destroyed tells how many tenants have no keys, and shall have none.
func (w *walkedKeys) destroyed() string {
	switch w.shredded {
	case 0:
		return ""
	case 1:
		return ", those of 1 are destroyed"
	}
	return fmt.Sprintf(", those of %d are destroyed", w.shredded)
}

func (d *checkup) signingKeys(context.Context) finding {
	switch {
	case d.walk == nil:
		return skip("data keys")
	case len(d.walk.unsigned) > 0:
		return fail("restore the signing_keys of these tenants from a backup: nobody of theirs can sign in", "none of %s", some(d.walk.unsigned, ", "))
	}
	if len(d.walk.strayed) > 0 {
		return warn("wait until a server has given them successors, a quarter of an hour, before BIOCORE_KMS_PREVIOUS_URLS goes",
			"those of %s are in another KMS than %s", some(d.walk.strayed, ", "), d.kms.KeyName())
	}
	if len(d.walk.late) > 0 {
		return warn("see that a server runs and that its jobs do: the check \"jobs\" tells", "late:\n%s", some(d.walk.late, "\n"))
	}
	return ok("there for every active tenant whose data keys open, none older than its policy says")
}

// keySets holds what a server publishes against what signs: a key that verifiers cannot
// find is a tenant whose users cannot work.
func (d *checkup) keySets(ctx context.Context) finding {
	switch {
	case d.walk == nil:
		return skip("data keys")
	case validPublicURL(d.cfg.PublicURL) != nil:
		return skip("configuration")
	case len(d.walk.active) == 0 && len(d.walk.closed) > 0: // which key signs is not known
		return skip("data keys")
	case len(d.walk.active) == 0:
		return ok("no tenant has one")
	}
	client := &http.Client{Timeout: 3 * time.Second}
	var wrong []string
	looked := d.walk.active[:min(len(d.walk.active), keySetsLookedAt)]
	for i, s := range looked {
		kids, err := publishedKIDs(ctx, client, token.Issuer(d.cfg.PublicURL, s.slug)+"/.well-known/jwks.json")
		switch {
		case i == 0 && unreachable(err):
			return finding{Verdict: unchecked, Detail: "not checked: no server answers at " + d.cfg.PublicURL}
		case err != nil:
			wrong = append(wrong, s.slug+": "+explain(err))
		case !slices.Contains(kids, s.kid):
			wrong = append(wrong, s.slug+": the key that signs is not published")
		}
	}
	if len(wrong) > 0 {
		return fail("look for a cache in front of /t/ that keeps answers for longer than their Cache-Control, and whether BIOCORE_PUBLIC_URL is this installation's",
			"%d of %d:\n%s", len(wrong), len(looked), some(wrong, "\n"))
	}
	return ok("%d are published with the key that signs", len(looked))
}

// unreachable tells that nobody listens where the server should: it may not run yet. A
// server that answers something else than a key set, or hangs, is another matter.
func unreachable(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// keySetsLookedAt bounds how many the doctor reads over the network.
const keySetsLookedAt = 20

func publishedKIDs(ctx context.Context, client *http.Client, url string) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the key set: status %d", res.StatusCode)
	}
	var set struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&set); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	kids := make([]string, len(set.Keys))
	for i, k := range set.Keys {
		kids[i] = k.KID
	}
	return kids, nil
}

// lateAfter: the maintenance looks at a key each six hours, and at what is due each minute.
const lateAfter = 24 * time.Hour

// age notes what is older than it should be.
func (w *walkedKeys) age(
	ctx context.Context, service *keys.Service, tenants *tenant.Service, sc scope.Scope, slug, kmsKey string, now time.Time,
) {
	snap, err := tenants.Current(ctx, sc)
	if err != nil {
		w.late = append(w.late, slug+": "+explain(err))
		return
	}
	data, err := service.DataKeys(ctx, sc)
	if err != nil {
		w.late = append(w.late, slug+": "+explain(err))
		return
	}
	if slices.ContainsFunc(data, func(k keys.DataKey) bool { return k.KMSKey != kmsKey }) {
		w.previous = append(w.previous, slug)
	}
	if limit := snap.Policy.DataKeyRotation(); limit > 0 && now.Sub(data[0].CreatedAt) > limit+lateAfter {
		w.late = append(w.late, slug+": its data key is from "+moment(&data[0].CreatedAt))
	}
	signing, err := service.SigningKeys(ctx, sc)
	if err != nil {
		w.late = append(w.late, slug+": "+explain(err))
		return
	}
	for _, k := range signing {
		switch limit := snap.Policy.SigningKeyRotation(); {
		case k.State == keys.Active && limit > 0 && k.ActivatedAt != nil && now.Sub(*k.ActivatedAt) > limit+lateAfter:
			w.late = append(w.late, slug+": its signing key signs since "+moment(k.ActivatedAt))
		case k.State == keys.Pending && k.ActivateAt != nil && now.Sub(*k.ActivateAt) > lateAfter:
			w.late = append(w.late, slug+": the successor of its signing key should sign since "+moment(k.ActivateAt))
		case k.State == keys.Retiring && k.RevokeAt != nil && now.Sub(*k.RevokeAt) > lateAfter:
			w.late = append(w.late, slug+": a retired signing key verifies still")
		}
	}
}

// walkKeys opens the keys of every tenant. It goes past the tenants' services, which
// need keys of the platform's that may be just what does not open.
func walkKeys(ctx context.Context, store *db.Store, service *keys.Service, tenants *tenant.Service, kmsKey string) (walkedKeys, error) {
	walk := walkedKeys{tenants: 1}
	open := func(id uuid.UUID, slug string, state tenant.State) {
		ring, err := service.Ring(ctx, scope.New(id, cliActor()))
		switch {
		case errors.Is(err, keys.ErrNoKeys) && id == scope.PlatformTenant:
			walk.keyless = true
		case errors.Is(err, keys.ErrNoKeys) && state == tenant.Deleting:
			walk.shredded++
			walk.tenants--
		case err != nil:
			walk.closed = append(walk.closed, slug+": "+explain(err))
		case ring.Signer() == nil && state == tenant.Active:
			walk.unsigned = append(walk.unsigned, slug)
		default:
			if state == tenant.Active && id != scope.PlatformTenant {
				walk.active = append(walk.active, signer{slug, ring.Signer().KID})
			}
			if home := ring.Signer(); home != nil && home.Home() != "" && home.Home() != kmsKey {
				walk.strayed = append(walk.strayed, slug)
			}
			walk.age(ctx, service, tenants, scope.New(id, cliActor()), slug, kmsKey, store.Now())
		}
	}
	open(scope.PlatformTenant, platformSlug, tenant.Active)
	params := platformq.ListTenantsParams{MaxRows: 500}
	for _, state := range tenant.States() {
		params.States = append(params.States, string(state))
	}
	for {
		var page []platformq.Tenant
		if err := store.InPlatform(ctx, "open the keys of every tenant", func(tx *db.PlatformTx) (err error) {
			page, err = tx.ListTenants(ctx, params)
			return err
		}); err != nil {
			return walk, fmt.Errorf("list tenants: %w", err)
		}
		for _, row := range page {
			open(row.ID, row.Slug, tenant.State(row.State))
		}
		walk.tenants += len(page)
		if len(page) < int(params.MaxRows) {
			return walk, nil
		}
		params.BeforeID = &page[len(page)-1].ID
	}
}
