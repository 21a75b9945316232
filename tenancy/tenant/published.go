package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"sync"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/fetch"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// PublishedState is how a document at the tenant's domain is.
type PublishedState string

// The states.
const (
	PublishedOK          PublishedState = "OK"
	PublishedNotNeeded   PublishedState = "NOT_NEEDED"  // the settings ask for nothing in it, and it is not there
	PublishedWrong       PublishedState = "WRONG"       // something of the settings is missing, or clients would refuse it
	PublishedUnreachable PublishedState = "UNREACHABLE" // nobody who may be asked answers
)

// Published is one document at the tenant's domain, as clients would find it.
type Published struct {
	URL      string
	Purpose  string
	State    PublishedState
	Problems []string // what to mend, for people; empty where State is OK or NOT_NEEDED
}

// document is one that clients look for at an RP ID's domain.
type document struct {
	path    string
	purpose string
	needed  func(*Tenant) bool
	judge   func(body []byte, t *Tenant) []string // of a document in JSON
}

// notJSON is a document of which nothing can be read.
var notJSON = []string{"it is not JSON in the form that clients expect"}

var published = []document{
	{
		"/.well-known/webauthn", "Related origins: browsers let pages of other domains use the RP ID",
		func(t *Tenant) bool { return len(t.RelatedOrigins) > 0 },
		func(body []byte, t *Tenant) []string {
			var d struct {
				Origins []string `json:"origins"`
			}
			if json.Unmarshal(body, &d) != nil {
				return notJSON
			}
			problems := lacking("origins", t.RelatedOrigins, d.Origins)
			if b := rp.Count(d.Origins); b.Over() {
				problems = append(problems, fmt.Sprintf("it names %d registrable labels, and clients heed %d", len(b.Labels), b.Limit))
			}
			return problems
		},
	},
	{
		"/.well-known/assetlinks.json", "Android: apps that share the site's passkeys",
		func(t *Tenant) bool { return len(t.AndroidApps) > 0 },
		func(body []byte, t *Tenant) []string {
			var statements []struct {
				Relation []string `json:"relation"`
				Target   struct {
					Package      string   `json:"package_name"`
					Fingerprints []string `json:"sha256_cert_fingerprints"`
				} `json:"target"`
			}
			if json.Unmarshal(body, &statements) != nil {
				return notJSON
			}
			var has []string
			for _, s := range statements {
				if slices.Contains(s.Relation, "delegate_permission/common.get_login_creds") {
					for _, f := range s.Target.Fingerprints {
						has = append(has, s.Target.Package+" with "+f)
					}
				}
			}
			var wants []string
			for _, a := range t.AndroidApps {
				for _, f := range a.Fingerprints {
					wants = append(wants, a.PackageName+" with "+f)
				}
			}
			return lacking("get_login_creds", wants, has)
		},
	},
	{
		"/.well-known/apple-app-site-association", "iOS and macOS: apps that share the site's passkeys",
		func(t *Tenant) bool { return len(t.IOSApps) > 0 },
		func(body []byte, t *Tenant) []string {
			var d struct {
				WebCredentials struct {
					Apps []string `json:"apps"`
				} `json:"webcredentials"`
			}
			if json.Unmarshal(body, &d) != nil {
				return notJSON
			}
			return lacking("webcredentials.apps", t.IOSApps, d.WebCredentials.Apps)
		},
	},
	{
		"/.well-known/passkey-endpoints", "Credential managers: where people make and manage their passkeys",
		func(t *Tenant) bool { return t.PasskeyEndpoints != PasskeyEndpoints{} },
		func(body []byte, t *Tenant) []string {
			var d struct {
				Enroll string `json:"enroll"`
				Manage string `json:"manage"`
			}
			if json.Unmarshal(body, &d) != nil {
				return notJSON
			}
			var problems []string
			for _, of := range [][3]string{{"enroll", t.PasskeyEndpoints.Enroll, d.Enroll}, {"manage", t.PasskeyEndpoints.Manage, d.Manage}} {
				if of[1] != "" && of[1] != of[2] {
					problems = append(problems, of[0]+" is not "+of[1])
				}
			}
			return problems
		},
	},
}

// lacking names what a list of a document lacks of what the settings have.
func lacking(list string, wants, has []string) (problems []string) {
	for _, w := range wants {
		if !slices.Contains(has, w) {
			problems = append(problems, list+" lacks "+w)
		}
	}
	return problems
}

// Published fetches the documents that clients look for at the tenant's RP ID, and says
// where they differ from the settings. It changes nothing. ErrNotFound, ErrDomainLocal.
func (s *Service) Published(ctx context.Context, sc scope.Scope) ([]Published, error) {
	if sc.Tenant() == scope.PlatformTenant {
		return nil, ErrNotFound
	}
	var t Tenant
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetTenant(ctx)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		t = fromRow(row)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case rp.IsLocalhost(t.RPID):
		return nil, ErrDomainLocal
	}
	found := make([]Published, len(published))
	var wg sync.WaitGroup
	for i, d := range published {
		wg.Go(func() {
			answer, err := s.fetch.Get(ctx, t.RPID, d.path)
			found[i] = judgeDocument(&d, &t, answer, err)
		})
	}
	wg.Wait()
	return found, ctx.Err()
}

// judgeDocument says what a client would make of an answer.
func judgeDocument(d *document, t *Tenant, answer fetch.Document, err error) Published {
	p := Published{URL: "https://" + t.RPID + d.path, Purpose: d.purpose, State: PublishedOK}
	needed := d.needed(t)
	switch {
	case err != nil:
		p.State, p.Problems = PublishedUnreachable, []string{err.Error()}
	case answer.Status >= 300 && answer.Status < 400:
		p.Problems = []string{"it redirects: Android and Apple do not follow redirects"}
	case answer.Status != 200:
		p.Problems = []string{fmt.Sprintf("it answers %d", answer.Status)}
	default:
		if typ, _, _ := mime.ParseMediaType(answer.ContentType); typ != "application/json" {
			p.Problems = append(p.Problems, "its Content-Type is not application/json")
		}
		p.Problems = append(p.Problems, d.judge(answer.Body, t)...)
	}
	switch {
	case len(p.Problems) > 0 && !needed:
		p.State, p.Problems = PublishedNotNeeded, nil
	case len(p.Problems) > 0 && p.State == PublishedOK:
		p.State = PublishedWrong
	}
	return p
}
