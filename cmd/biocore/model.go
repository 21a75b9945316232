package main

import (
	"context"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/blastradius"
)

// statusReportJSON is one status report under --json, as the API spells it.
type statusReportJSON struct {
	Status          string `json:"status"`
	EffectiveDate   string `json:"effectiveDate"` // a date; empty for ever
	CertificateOnly bool   `json:"certificateOnly"`
}

// knownModelJSON is what is known of a model, under --json.
type knownModelJSON struct {
	AAGUID             string             `json:"aaguid"`
	Name               string             `json:"name"`
	Described          bool               `json:"described"`
	Certification      string             `json:"certification"`
	Reports            []string           `json:"reports"`
	StatusReports      []statusReportJSON `json:"statusReports"`
	AttestationTypes   []string           `json:"attestationTypes"`
	AttestationFormats []string           `json:"attestationFormats"`
	KeyProtection      []string           `json:"keyProtection"`
	AttachmentHints    []string           `json:"attachmentHints"`
	Roots              int                `json:"roots"`
	IconBytes          int                `json:"iconBytes"`

	// With --tenant alone.
	Credentials *int `json:"credentials,omitempty"`
	Proven      *int `json:"proven,omitempty"`
	Users       *int `json:"users,omitempty"`
}

func runMDSShow(ctx context.Context, env *environment, args []string) error {
	const command = "mds show"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of a tenant whose credentials are counted, too")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	aaguid, err := blastradius.ParseModel(fs.Arg(0))
	if err != nil {
		return misuse(env, command, "%q is no model's AAGUID", fs.Arg(0))
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	models, err := c.catalogue(ctx)
	if err != nil {
		return err
	}
	m, described := models.Lookup(aaguid)
	out := knownModelJSON{AAGUID: aaguid.String(), Name: c.nameOf(aaguid), Described: described, StatusReports: []statusReportJSON{}}
	out.describe(m)
	if *slug != "" {
		sc, err := c.of(ctx, *slug)
		if err != nil {
			return err
		}
		svc, err := c.blastRadius()
		if err != nil {
			return err
		}
		r, err := svc.Measure(ctx, sc, aaguid)
		if err != nil {
			return err
		}
		out.Credentials, out.Proven, out.Users = &r.Credentials, &r.Proven, &r.Users
	}
	if !described && out.Name == authenticator.Unknown && (out.Credentials == nil || *out.Credentials == 0) {
		return authenticator.ErrUnknown
	}
	if asJSON {
		return printJSON(env.out, out)
	}
	return table(env.out, out.rows())
}

// describe adds what the metadata says; nothing for the zero Model.
func (k *knownModelJSON) describe(m authenticator.Model) {
	lists := []*[]string{&k.Reports, &k.AttestationTypes, &k.AttestationFormats, &k.KeyProtection, &k.AttachmentHints}
	if m.Entry != nil {
		d := m.Details()
		k.Certification, k.Roots, k.IconBytes = m.Certification, len(m.Roots), len(m.Icon)
		k.Reports, k.AttestationTypes, k.AttestationFormats = m.Reports, m.AttestationTypes, d.AttestationFormats
		k.KeyProtection, k.AttachmentHints = d.KeyProtection, d.AttachmentHints
		for _, r := range m.Entry.Reports {
			one := statusReportJSON{Status: r.Status, CertificateOnly: r.Certificate != nil}
			if !r.Effective.IsZero() {
				one.EffectiveDate = r.Effective.Format(time.DateOnly)
			}
			k.StatusReports = append(k.StatusReports, one)
		}
	}
	for _, list := range lists {
		if *list == nil {
			*list = []string{}
		}
	}
}

func (k *knownModelJSON) rows() [][]string {
	level := k.Certification
	if level == "" {
		level = "-"
	}
	rows := [][]string{{"model", k.AAGUID}, {"name", k.Name}}
	if k.Described {
		rows = append(rows, [][]string{
			{"certification", level},
			{"reported", joined(k.Reports)},
			{"attestation types", joined(k.AttestationTypes)},
			{"attestation formats", joined(k.AttestationFormats)},
			{"key protection", joined(k.KeyProtection)},
			{"attachment", joined(k.AttachmentHints)},
			{"roots", strconv.Itoa(k.Roots)},
			{"icon", strconv.Itoa(k.IconBytes) + " bytes"},
		}...)
		for _, r := range k.StatusReports {
			since := r.EffectiveDate
			if since == "" {
				since = "always"
			}
			if r.CertificateOnly {
				since += ", of one attestation certificate"
			}
			rows = append(rows, []string{"status", r.Status + " since " + since})
		}
	} else {
		rows = append(rows, []string{"metadata", "does not describe it"})
	}
	if k.Credentials != nil {
		rows = append(rows, [][]string{
			{"credentials", strconv.Itoa(*k.Credentials)}, {"of them proven", strconv.Itoa(*k.Proven)}, {"users", strconv.Itoa(*k.Users)},
		}...)
	}
	return rows
}
