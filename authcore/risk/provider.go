package risk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/scoring"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/strictjson"
)

// Errors of providers. Each Reason is part of the public API.
var (
	ErrNoProvider = fault.New(fault.NotFound, "RISK_PROVIDER_UNKNOWN", "no risk scoring service is configured")
	ErrProvider   = fault.New(fault.Invalid, "RISK_PROVIDER_INVALID", "the risk scoring service is not configured as it can be")
)

var credentialField = keys.Field{Table: "risk_providers", Column: "credential"}

// Provider is the scoring service that a tenant has asked: its score is a signal like others.
type Provider struct {
	ID     uuid.UUID // of the audit log's target; another one after it was removed
	Config scoring.Config
	// CredentialAt is since when the credential is the one that it is; zero where a release before put it, which did not note it.
	CredentialAt time.Time
	UpdatedBy    string // kind:id
	UpdatedAt    time.Time
	ETag         string // without quotes
}

// PutProviderRequest is a service to ask from now on.
type PutProviderRequest struct {
	secret.Hidden

	Config     []byte // JSON, see scoring.Config; unknown members are refused
	Credential string // empty: the one that is there stays, for the server and the kind that it is for
	Reason     string // for the audit log: up to 256 characters; may be empty
	IfMatch    string // the ETag that the caller read, or NoProvider; empty: whatever there is
}

// NoProvider is the ETag of a tenant that has no service asked.
const NoProvider = "none"

// Provider returns the service that the tenant has asked. ErrNoProvider.
func (s *Service) Provider(ctx context.Context, sc scope.Scope) (Provider, error) {
	var p Provider
	err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := provider(ctx, tx)
		if err != nil {
			return err
		}
		p, err = providerFromRow(&row)
		return err
	})
	return p, err
}

func provider(ctx context.Context, tx *db.TenantTx) (tenantq.RiskProvider, error) {
	row, err := tx.GetRiskProvider(ctx)
	if db.IsNoRows(err) {
		return row, ErrNoProvider
	} else if err != nil {
		return row, fmt.Errorf("get risk provider: %w", err)
	}
	return row, nil
}

// stored is what risk_providers.config holds: what the tenant settled, and since when the credential beside it is there.
type stored struct {
	scoring.Config

	CredentialAt time.Time `json:"credentialAt,omitzero"`
}

func storedProvider(row *tenantq.RiskProvider) (s stored, err error) {
	if err = json.Unmarshal(row.Config, &s); err != nil {
		return s, fmt.Errorf("stored risk provider: %w", err)
	}
	return s, nil
}

func providerFromRow(row *tenantq.RiskProvider) (Provider, error) {
	s, err := storedProvider(row)
	if err != nil {
		return Provider{}, err
	}
	return Provider{
		ID: row.ID, Config: s.Config, CredentialAt: s.CredentialAt, UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt, ETag: providerETag(row),
	}, nil
}

func providerETag(row *tenantq.RiskProvider) string {
	return etag.Of("risk provider", row.ID[:], row.Version)
}

// PutProvider makes every server ask req's service within a second, while risk is on. Its credential is sealed, and never answered. ErrProvider with the
// field, ErrReason, etag.ErrMismatch.
func (s *Service) PutProvider(ctx context.Context, sc scope.Scope, req PutProviderRequest) (Provider, error) {
	config, err := s.parseProvider(req.Config)
	if err != nil {
		return Provider{}, err
	}
	if req.Credential != "" {
		if err := scoring.CheckCredential(req.Credential); err != nil {
			return Provider{}, ErrProvider.WithMessage(err.Error()).With("field", "credential")
		}
	}
	if !isReason(req.Reason) {
		return Provider{}, ErrReason
	}
	ring, err := s.o.Keys.Ring(ctx, sc)
	if err != nil {
		return Provider{}, fmt.Errorf("keys: %w", err)
	}
	var p Provider
	err = s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.LockRiskRulesets(ctx); err != nil { // two at once would make two ids
			return fmt.Errorf("lock risk: %w", err)
		}
		before, err := provider(ctx, tx)
		fresh := errors.Is(err, ErrNoProvider)
		if err != nil && !fresh {
			return err
		}
		tag := NoProvider
		if !fresh {
			tag = providerETag(&before)
		}
		if err := etag.Match(req.IfMatch, tag); err != nil {
			return err
		}
		is := stored{Config: config, CredentialAt: tx.Now()}
		switch {
		case fresh && req.Credential == "":
			return ErrProvider.WithMessage("credential is what the service knows you by").With("field", "credential")
		case fresh:
			if before.ID, err = uuid.NewV7(); err != nil {
				return fmt.Errorf("mint risk provider id: %w", err)
			}
		default:
			if err := keepCredential(&before, &is, req.Credential); err != nil {
				return err
			}
		}
		text, err := json.Marshal(is)
		if err != nil {
			return fmt.Errorf("risk provider: %w", err)
		}
		params := tenantq.PutRiskProviderParams{
			ID: before.ID, Config: text, Credential: before.Credential, KeyVersion: before.KeyVersion, UpdatedBy: sc.Actor().String(), UpdatedAt: tx.Now(),
		}
		if req.Credential != "" {
			if params.Credential, err = ring.Seal(credentialField, before.ID[:], []byte(req.Credential)); err != nil {
				return fmt.Errorf("seal credential: %w", err)
			}
			params.KeyVersion = int64(ring.SealingVersion())
		}
		row, err := tx.PutRiskProvider(ctx, params)
		if err != nil {
			return fmt.Errorf("put risk provider: %w", err)
		}
		if p, err = providerFromRow(&row); err != nil {
			return err
		}
		if err := recordProvider(ctx, tx, "risk_provider.update", req.Reason, before.ID, attr.Text("kind", string(config.Kind)), attr.Text("address", config.Address),
			attr.Bool("credential", req.Credential != "")); err != nil {
			return err
		}
		tx.Result(p)
		return nil
	})
	if err != nil {
		return Provider{}, err
	}
	s.providers.Forget(sc.Tenant(), "")
	return p, nil
}

// keepCredential has is keep the time of the credential that stays, where credential names no other. What one server is shown no other
// is: who may change the address could read it otherwise.
func keepCredential(before *tenantq.RiskProvider, is *stored, credential string) error {
	if credential != "" {
		return nil
	}
	was, err := storedProvider(before)
	if err != nil {
		return err
	}
	if was.Host() != is.Host() || was.Kind != is.Kind {
		return ErrProvider.WithMessage("credential is needed anew: it is another service").With("field", "credential")
	}
	is.CredentialAt = was.CredentialAt
	return nil
}

// RemoveProvider has no service asked any more. ErrNoProvider, ErrReason, etag.ErrMismatch.
func (s *Service) RemoveProvider(ctx context.Context, sc scope.Scope, reason, ifMatch string) error {
	if !isReason(reason) {
		return ErrReason
	}
	err := s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := provider(ctx, tx)
		if err != nil {
			return err
		}
		if err := etag.Match(ifMatch, providerETag(&row)); err != nil {
			return err
		}
		if n, err := tx.DeleteRiskProvider(ctx, row.ID); err != nil {
			return fmt.Errorf("delete risk provider: %w", err)
		} else if n == 0 {
			return ErrNoProvider
		}
		tx.Result(Provider{})
		return recordProvider(ctx, tx, "risk_provider.delete", reason, row.ID)
	})
	if err == nil {
		s.providers.Forget(sc.Tenant(), "")
	}
	return err
}

func recordProvider(ctx context.Context, tx *db.TenantTx, action, reason string, id uuid.UUID, detail ...attr.Attr) error {
	if err := audit.Append(ctx, tx, audit.Entry{Action: action, Reason: reason, Target: audit.Target{Kind: "risk_provider", ID: id.String()}, Detail: detail}); err != nil {
		return err
	}
	if err := event.Append(ctx, tx, event.Event{Type: event.RiskProviderChanged, Data: detail}); err != nil {
		return err
	}
	return tx.Changed(ctx, db.NounRiskProvider, "")
}

// parseProvider reads a configuration. ErrProvider.
func (s *Service) parseProvider(text []byte) (scoring.Config, error) {
	var c scoring.Config
	if wrong, ok := errors.AsType[*strictjson.Error](strictjson.Check(text)); ok {
		return c, ErrProvider.WithMessage(wrong.Text).With("field", wrong.Path)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, malformed(ErrProvider, err, scoring.Fields())
	}
	if problems := c.Check(s.o.Allowed); len(problems) > 0 {
		return c, ErrProvider.WithMessage(problems[0].Error()).With("field", problems[0].Field)
	}
	return c, nil
}

// asked is a service that is ready. Its connections close by themselves when it is no longer asked.
type asked struct {
	id     uuid.UUID
	name   string
	client *scoring.Client
}

// asks returns the tenant's service; nil where it has none.
func (s *Service) asks(ctx context.Context, sc scope.Scope) (*asked, error) {
	if a, ok := s.providers.Peek(sc.Tenant(), ""); ok {
		return a, nil
	}
	return s.providers.Get(ctx, sc.Tenant(), "", func(ctx context.Context) (*asked, error) {
		var row tenantq.RiskProvider
		err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			row, err = provider(ctx, tx)
			return err
		})
		if errors.Is(err, ErrNoProvider) {
			return nil, nil // none
		} else if err != nil {
			return nil, err
		}
		p, err := providerFromRow(&row)
		if err != nil {
			return nil, err
		}
		ring, err := s.o.Keys.Ring(ctx, sc)
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		credential, err := ring.Open(credentialField, row.ID[:], row.Credential)
		if err != nil {
			return nil, fmt.Errorf("credential of the risk provider: %w", err)
		}
		client, err := scoring.New(scoring.Options{
			Config: p.Config, Credential: string(credential), Allowed: s.o.Allowed, Resolver: s.o.Resolver, Roots: s.o.Roots, Counts: s.o.Counts,
		})
		if err != nil {
			return nil, fmt.Errorf("risk provider: %w", err)
		}
		return &asked{id: row.ID, name: string(p.Config.Kind), client: client}, nil
	})
}

// ProviderStatus is how the tenant's service fares with this server; false where the server has not asked it, or anew since it was changed.
func (s *Service) ProviderStatus(sc scope.Scope) (scoring.Status, bool) {
	a, ok := s.providers.Peek(sc.Tenant(), "")
	if !ok || a == nil {
		return scoring.Status{}, false
	}
	return a.client.Status(), true
}

// ask adds what the tenant's service thinks. What it does not answer in time is not known: it never keeps anybody from signing in.
func (s *Service) ask(ctx context.Context, sc scope.Scope, ring *keys.Ring, at *Attempt, f *Facts) error {
	service, err := s.asks(ctx, sc)
	if err != nil {
		s.log.ErrorContext(ctx, "the risk scoring service of a tenant cannot be asked", "tenant", sc.Tenant(), "err", err)
		return nil
	}
	if service == nil {
		return nil
	}
	question := scoring.Facts{
		Event: scoring.SignIn, Reference: at.ID.String(), Address: at.Address, Country: f.Country, ASN: f.ASN, UserAgent: at.UserAgent, At: at.At,
	}
	if at.User != uuid.Nil {
		question.Subject = scoring.Subject(ring, service.id, at.User)
	}
	score, err := service.client.Score(ctx, question)
	if failed, ok := errors.AsType[*scoring.ScoreError](err); ok {
		f.ProviderFailed = string(failed.Reason)
		return nil
	}
	if err != nil {
		return err // the caller has gone
	}
	f.Provider, f.ProviderScore = service.name, score.Risk
	return nil
}

// Reseal seals a tenant's credential anew under the data key that seals now, where an older one sealed it, and tells how many those were.
func Reseal(ctx context.Context, store *db.Store, ks *keys.Service, sc scope.Scope, limit int) (done int, err error) {
	if limit <= 0 {
		return 0, nil
	}
	ring, err := ks.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	err = store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		done = 0 // this may be the second run
		row, err := provider(ctx, tx)
		if errors.Is(err, ErrNoProvider) || err == nil && row.KeyVersion == int64(ring.SealingVersion()) {
			return nil
		} else if err != nil {
			return err
		}
		plain, err := ring.Open(credentialField, row.ID[:], row.Credential)
		if err != nil {
			return fmt.Errorf("credential of the risk provider: %w", err)
		}
		sealed, err := ring.Seal(credentialField, row.ID[:], plain)
		if err != nil {
			return fmt.Errorf("seal credential: %w", err)
		}
		n, err := tx.ReplaceRiskProviderCredential(ctx, tenantq.ReplaceRiskProviderCredentialParams{
			ID: row.ID, Credential: sealed, KeyVersion: int64(ring.SealingVersion()), Was: row.Credential,
		})
		done = int(n)
		return err
	})
	return done, err
}
