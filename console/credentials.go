package console

import (
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// credentialRoutes are the passkeys of a tenant's users.
func (c *Console) credentialRoutes(mux *router) {
	base := Path + "/t/{slug}/credentials"
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeUsersRead, c.showCredentials))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(apikey.ScopeExportUsers, c.exportCredentials))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(apikey.ScopeUsersRead, c.showCredential))
	mux.HandleFunc("GET "+base+"/{id}"+activityPath, c.inTenant(apikey.ScopeUsersRead, c.showCredential))
	mux.HandleFunc("POST "+base+"/{id}/nickname", c.inTenant(apikey.ScopeUsersWrite, c.renameCredential))
	mux.HandleFunc("GET "+base+"/{id}/act/{act}", c.inTenant(apikey.ScopeUsersRead, c.showCredentialAct))
	mux.HandleFunc("POST "+base+"/{id}/act/{act}", c.inTenant(apikey.ScopeUsersRead, c.actOnCredential))
	mux.HandleFunc("POST "+base+"/{id}/evidence", c.inTenant(apikey.ScopeEvidenceRead, c.downloadEvidence))
	mux.HandleFunc("GET "+base+"/{id}/evidence", c.inTenant(apikey.ScopeEvidenceRead, c.verifyEvidence))
}

// credentialView is a credential, as lists and cards have it.
type credentialView struct {
	modelFace

	ID      string
	Href    string
	Title   string // its nickname, or what it is
	Kind    string // the authenticator's name
	Owner   string // who has it
	OwnerAt string // address of theirs
	State   string
	Badge   string // class of the state; empty while active, which is not worth a badge
	Sync    string
	Trust   string
	Proof   string // class of the trust's badge
	Used    *ui.Moment
	Added   ui.Moment
	Ways    string // transports
	Count   string
	Notes   []string // what there is to know besides: recovered, reported
	Off     bool
}

func (c *Console) credentialView(k *credential.Credential, p *place) credentialView {
	face := c.newPasskeyView(k)
	v := credentialView{
		ID: face.ID, Href: p.base + "/credentials/" + face.ID, Title: face.Name, Kind: face.Kind, modelFace: face.modelFace,
		Used: face.Used, Added: face.Added, Count: "Not kept", Off: k.State != credential.Active, Sync: "Device-bound",
	}
	if k.BackupEligible {
		v.Sync = "Synced"
	}
	v.State, v.Badge = credentialState(k.State)
	v.Trust, v.Proof = trustOf(k.Trust)
	v.Ways = "Not said"
	for i, way := range k.Transports {
		if i == 0 {
			v.Ways = way
		} else {
			v.Ways += ", " + way
		}
	}
	if k.SignCount > 0 {
		v.Count = ui.Thousands(int(k.SignCount))
	}
	if k.Lowered {
		v.Notes = append(v.Notes, "Recovered")
	}
	if len(c.against(k.AAGUID)) > 0 {
		v.Notes = append(v.Notes, "Reported model")
	}
	return v
}

// against are the statuses that the metadata has against a model now.
func (c *Console) against(aaguid uuid.UUID) []string {
	snap := c.metadata()
	if snap == nil {
		return nil
	}
	e, ok := snap.Lookup(aaguid)
	if !ok {
		return nil
	}
	return e.Against(c.now())
}

func credentialState(s credential.State) (label, class string) {
	switch s {
	case credential.Suspended:
		return "Suspended", "warn"
	case credential.Revoked:
		return "Revoked", "idle"
	default:
		return "Active", "ok"
	}
}

// trustOf is how far an attestation proves the model, for a badge.
func trustOf(t credential.Trust) (label, class string) {
	switch t {
	case credential.TrustMDS:
		return "Attestation verified", "ok"
	case credential.TrustTenantRoot:
		return "Verified by your root", "ok"
	case credential.TrustSelf:
		return "Self-attested", "plain"
	case credential.TrustUntrusted:
		return "Untrusted attestation", "warn"
	default:
		return "No attestation", "plain"
	}
}

type credentialsView struct {
	ui.Page

	Base    string
	Total   string
	Filters ui.Filters
	Columns ui.Columns
	Rows    []credentialView
	Pager   ui.Pager
	None    bool
	CSV     string
	JSON    string
}

func credentialFilters(a ui.Address) []ui.Filter {
	filters := []ui.Filter{
		{Name: "state", Label: "State", Choices: []ui.Choice{{Label: "Any"}, {Value: "active", Label: "Active"}, {Value: "suspended", Label: "Suspended"}, {Value: "revoked", Label: "Revoked"}}},
		{Name: "kind", Label: "Kept", Choices: []ui.Choice{{Label: "Anywhere"}, {Value: "synced", Label: "Synced"}, {Value: "bound", Label: "On one device"}}},
		{Name: "trust", Label: "Attestation", Choices: []ui.Choice{
			{Label: "Any"}, {Value: "MDS", Label: "Verified by FIDO metadata"}, {Value: "TENANT_ROOT", Label: "Verified by your root"}, {Value: "SELF", Label: "Self-attested"},
			{Value: "UNTRUSTED", Label: "Untrusted"}, {Value: "NONE", Label: "None"},
		}},
		{Name: "status", Label: "Model in FIDO metadata", Choices: []ui.Choice{{Label: "Any"}, {Value: "reported", Label: "Reported: something speaks against it"}, {Value: "clean", Label: "Nothing against it"}}},
		{Name: "used", Label: "Last used", Choices: []ui.Choice{{Label: "Any time"}, {Value: "7d", Label: "Within 7 days"}, {Value: "30d", Label: "Within 30 days"}, {Value: "over90d", Label: "Stale: not for 90 days"}}},
		{Name: "created", Label: "Created", Choices: []ui.Choice{{Label: "Any time"}, {Value: "1d", Label: "Within a day"}, {Value: "7d", Label: "Within 7 days"}, {Value: "30d", Label: "Within 30 days"}}},
	}
	for i := range filters {
		filters[i].Value = a.Get(filters[i].Name)
		filters[i].Value = chosen(filters[i])
	}
	model := ui.Filter{Name: "aaguid", Label: "AAGUID", Hint: "Of the model, as 00000000-0000-0000-0000-000000000000"}
	if id, err := uuid.Parse(a.Get("aaguid")); err == nil {
		model.Value = id.String()
	}
	return append(filters, model)
}

func (c *Console) credentialsRequest(r *http.Request) (ui.Address, []ui.Filter, listing.Request) {
	a := addressOf(r, "state", "kind", "trust", "status", "used", "created", "aaguid")
	filters := credentialFilters(a)
	now := c.asOf(r)
	var terms []string
	for _, f := range filters {
		if f.Value == "" {
			continue
		}
		switch f.Name {
		case "state":
			terms = append(terms, "state = "+map[string]string{"active": "ACTIVE", "suspended": "SUSPENDED", "revoked": "REVOKED"}[f.Value])
		case "kind":
			terms = append(terms, "synced = "+strconv.FormatBool(f.Value == "synced"))
		case "trust":
			terms = append(terms, "trust = "+f.Value)
		case "status":
			terms = append(terms, "reported = "+strconv.FormatBool(f.Value == "reported"))
		case "used":
			if f.Value == "over90d" {
				terms = append(terms, "lastUsedAt < "+instant(now.Add(-days["90d"])))
			} else {
				terms = append(terms, "lastUsedAt >= "+instant(now.Add(-days[f.Value])))
			}
		case "created":
			terms = append(terms, "createdAt >= "+instant(now.Add(-days[f.Value])))
		case "aaguid":
			terms = append(terms, "aaguid = "+f.Value)
		}
	}
	return a, filters, requestOf(r, a, terms)
}

func (c *Console) showCredentials(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	a, filters, req := c.credentialsRequest(r)
	list, err := c.credentials.List(r.Context(), p.sc, req)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	total, err := c.credentials.Count(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	base := p.base + "/credentials"
	view := credentialsView{
		Base: base, Total: counted(total.Active, total.More, "credential") + " can sign in", Filters: ui.Filters{At: a, Chips: ui.ChipsOf(filters), Add: filters},
		Columns: columnsOf(r, v, a, "credentials", ui.Column{Label: "Passkey"}, ui.Column{Label: "User", Name: "user"}, ui.Column{Label: "State", Name: "state"},
			ui.Column{Label: "Kept", Name: "kept"}, ui.Column{Label: "Attestation", Name: "attestation"}, ui.Column{Label: "Last used", Name: "used"},
			ui.Column{Label: "Created", Class: "num", Name: "created"}),
		Pager: pagerOf(r, c.asOf(r), a, len(list.Items), "credential", list.NextToken, true),
		None:  len(list.Items) == 0 && len(req.Filter) == 0 && req.PageToken == "",
	}
	if p.may(apikey.ScopeExportUsers) {
		exported := ui.Address{Path: base + "/export", Query: a.Query}
		view.CSV, view.JSON = exported.Without(), exported.With("format", "json")
	}
	owners := make([]user.ID, len(list.Items))
	for i := range list.Items {
		owners[i] = list.Items[i].UserID
	}
	names, err := c.profiles(r, p, owners)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for i := range list.Items {
		row := c.credentialView(&list.Items[i], p)
		row.Owner, _ = called(names[owners[i]])
		row.OwnerAt = p.base + "/users/" + owners[i].String()
		view.Rows = append(view.Rows, row)
	}
	view.Page = c.frame(w, r, v, p, "Credentials", base)
	c.render(w, r, http.StatusOK, c.credentialsPage(view))
}

func (c *Console) exportCredentials(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	_, _, req := c.credentialsRequest(r)
	req.PageSize = listing.MaxPageSize
	c.export(w, r, v, exported{
		Name: "credentials",
		Columns: []string{
			"id", "userId", "nickname", "authenticator", "aaguid", "state", "synced", "trust", "certification", "signCount", "createdAt", "lastUsedAt",
		},
		Next: func(token string) ([][]string, string, error) {
			req.PageToken = token
			list, err := c.credentials.List(r.Context(), p.sc, req)
			rows := make([][]string, len(list.Items))
			for i := range list.Items {
				k := &list.Items[i]
				rows[i] = []string{
					k.ID.String(), k.UserID.String(), k.Nickname, authenticator.Describe(k.AAGUID, c.metadata(), authenticator.Traits{Transports: k.Transports, BackupEligible: k.BackupEligible}),
					k.AAGUID.String(), string(k.State), strconv.FormatBool(k.BackupEligible), string(k.Trust), k.Certification,
					strconv.FormatUint(uint64(k.SignCount), 10), iso(&k.CreatedAt), iso(k.LastUsedAt),
				}
			}
			return rows, list.NextToken, err
		},
	})
}

// findCredentials knows a credential by its id alone: nicknames have no index.
func (c *Console) findCredentials(r *http.Request, p *place, q string) ([]hit, error) {
	id, err := credential.ParseID(q)
	if err != nil || len(q) < 16 {
		return nil, nil //nolint:nilerr // what is no id finds nothing
	}
	k, err := c.credentials.Get(r.Context(), p.sc, id)
	if err != nil {
		return nil, nil //nolint:nilerr // nobody has it
	}
	v := c.credentialView(&k, p)
	return []hit{{Href: v.Href, Icon: "key", Label: v.Title, Note: v.Kind}}, nil
}
