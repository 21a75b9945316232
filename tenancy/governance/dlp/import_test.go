package dlp_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/governance/dlp"
)

const macie = `{"findings": [{"schemaVersion": "1.0", "id": "c1", "updatedAt": "2026-10-01T02:03:04.5Z", "type": "SensitiveData:S3Object/Multiple",
	"resourcesAffected": {"s3Bucket": {"name": "backups"}, "s3Object": {"key": "2026/ana@example.com.csv"}},
	"classificationDetails": {"result": {"sensitiveData": [{"category": "FINANCIAL_INFORMATION", "detections": [{"type": "CREDIT_CARD_NUMBER", "count": 12,
		"occurrences": {"cells": [{"cellReference": "4111111111111111"}]}}]}, {"category": "PERSONAL_INFORMATION", "detections": [{"type": "NAME", "count": 2}]}],
		"customDataIdentifiers": {"detections": [{"arn": "x", "name": "Our contract-no", "count": 1}]}}}}]}`

const purview = `[{"Id": "p1", "CreationTime": "2026-10-02T03:04:05", "Operation": "DLPRuleMatch", "UserId": "eve@example.com",
	"SharePointMetaData": {"FilePathUrl": "https://acme.sharepoint.com/x.docx", "FileName": "x.docx", "From": "eve@example.com"},
	"PolicyDetails": [{"Rules": [{"ConditionsMatched": {"SensitiveInformation": [{"Count": 3, "SensitiveInformationTypeName": "EU IBAN"}]}},
		{"ConditionsMatched": {"SensitiveInformation": [{"Count": 5, "SensitiveInformationTypeName": "EU IBAN"}]}}]}]},
	{"Id": "p2", "CreationTime": "2026-10-02T03:04:06", "Operation": "DlpRuleMatch", "ObjectId": "<77@mail.invalid>", "ExchangeMetaData": {"MessageID": "<77@mail.invalid>", "Subject": "secret words"},
	"PolicyDetails": [{"Rules": [{"ConditionsMatched": {"SensitiveInformation": [{"Count": 1, "SensitiveType": "50842eb7-edc8-4019-85dd-5a5c1f2bb085"}]}}]}]}]`

const neutral = `{"source": "OUR_TOOL", "findings": [{"id": "17", "place": "share/report.docx", "kind": "card", "count": 3, "at": "2026-10-03T04:05:06Z"}, {"id": "18", "place": "x", "kind": "IBAN"}]}`

// Each format is read as its owner writes it; nothing but place, id, kind, count and time is kept, and nothing that the detectors know;
// importing again adds nothing, and what was dismissed stays so.
func TestImport(t *testing.T) {
	w := newWorks(t)
	for format, tt := range map[dlp.Format]struct {
		body string
		want []string
	}{
		dlp.Macie:   {macie, []string{"s3://backups/2026/[redacted:EMAIL] CREDIT_CARD_NUMBER 12  OPEN", "s3://backups/2026/[redacted:EMAIL] NAME 2  OPEN", "s3://backups/2026/[redacted:EMAIL] OUR_CONTRACT_NO 1  OPEN"}},
		dlp.Purview: {purview, []string{"https://acme.sharepoint.com/x.docx EU_IBAN 5  OPEN", "mail [redacted:EMAIL] TYPE_50842EB7_EDC8_4019_85DD_5A5C1F2BB085 1  OPEN"}},
		dlp.Neutral: {neutral, []string{"share/report.docx CARD 3  OPEN", "x IBAN 1  OPEN"}},
	} {
		for n := range 2 {
			got, err := w.Import(t.Context(), w.acme, format, []byte(tt.body), "nightly")
			if want := len(tt.want); err != nil || n == 0 && (got.New != want || got.Known != 0) || n == 1 && (got.New != 0 || got.Known != want) {
				t.Errorf("%s: %+v, %v", format, got, err)
			}
		}
		source := string(format)
		if format == dlp.Neutral {
			source = "OUR_TOOL"
		}
		lines, all := w.list(t, w.acme, "source = "+source)
		if !slices.Equal(lines, tt.want) {
			t.Errorf("%s: %q", format, lines)
		}
		if fmt.Sprint(all[0].FirstAt.Month(), all[0].FirstAt.Year()) != "October 2026" && format != dlp.Neutral {
			t.Errorf("%s: at %v", format, all[0].FirstAt)
		}
		if _, err := w.Decide(t.Context(), w.acme, dlp.DecideRequest{ID: all[0].ID, State: dlp.Dismissed, Reason: "known"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Import(t.Context(), w.acme, format, []byte(tt.body), ""); err != nil {
			t.Fatal(err)
		}
		if lines, _ := w.list(t, w.acme, "state = DISMISSED AND source = "+source); len(lines) != 1 {
			t.Errorf("%s: dismissed %q", format, lines)
		}
	}
	var stored string
	if err := w.store.Superuser(t).QueryRow(t.Context(), "SELECT json_agg(f)::text FROM dlp_findings f").Scan(&stored); err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"4111", "ana@", "eve@", "77@", "secret words"} {
		if strings.Contains(stored, hidden) {
			t.Errorf("%q is kept", hidden)
		}
	}
	if lines, _ := w.list(t, w.globex, ""); len(lines) > 0 {
		t.Errorf("globex has %q", lines)
	}
	// What a scan does not see of it is not gone.
	before, _ := w.list(t, w.acme, "state = OPEN")
	w.scan(t, w.acme)
	if after, _ := w.list(t, w.acme, "state = OPEN"); !slices.Equal(before, after) {
		t.Errorf("after a scan: %q", after)
	}
}

// A file that cannot be read, or that is too much, leaves nothing behind.
func TestImportRefuses(t *testing.T) {
	w := newWorks(t)
	one := `{"id": "1", "place": "p", "kind": "K"}`
	file := func(findings string) string { return `{"source": "TOOL", "findings": [` + findings + `]}` }
	for name, tt := range map[string]struct {
		format dlp.Format
		body   string
		want   error
	}{
		"a format":      {"CSV", "{}", dlp.ErrFormat},
		"no JSON":       {dlp.Neutral, "id,place", dlp.ErrImport},
		"nothing":       {dlp.Macie, "", dlp.ErrImport},
		"null":          {dlp.Macie, "null", dlp.ErrImport},
		"no findings":   {dlp.Neutral, file(""), dlp.ErrImport},
		"our source":    {dlp.Neutral, strings.Replace(file(one), "TOOL", "SCAN", 1), dlp.ErrImport},
		"a source":      {dlp.Neutral, strings.Replace(file(one), "TOOL", "a tool", 1), dlp.ErrImport},
		"too many":      {dlp.Neutral, file(strings.Repeat(one+",", 1000) + one), dlp.ErrImport},
		"too large":     {dlp.Neutral, file(one) + strings.Repeat(" ", 4<<20), dlp.ErrImport},
		"the second":    {dlp.Neutral, file(one + `,{"id": "2", "place": "", "kind": "K"}`), dlp.ErrImport},
		"a line break":  {dlp.Neutral, file(`{"id": "1", "place": "a\nb", "kind": "K"}`), dlp.ErrImport},
		"a long place":  {dlp.Neutral, file(`{"id": "1", "place": "` + strings.Repeat("p", 513) + `", "kind": "K"}`), dlp.ErrImport},
		"a count":       {dlp.Neutral, file(`{"id": "1", "place": "p", "kind": "K", "count": 0}`), dlp.ErrImport},
		"a large count": {dlp.Neutral, file(`{"id": "1", "place": "p", "kind": "K", "count": 99999999999}`), dlp.ErrImport},
		"a later time":  {dlp.Neutral, file(`{"id": "1", "place": "p", "kind": "K", "at": "2999-01-01T00:00:00Z"}`), dlp.ErrImport},
		"no kind":       {dlp.Neutral, file(`{"id": "1", "place": "p", "kind": "//"}`), dlp.ErrImport},
		"no detections": {dlp.Macie, `{"id": "1"}`, dlp.ErrImport},
		"another's":     {dlp.Purview, macie, dlp.ErrImport},
	} {
		if _, err := w.Import(t.Context(), w.acme, tt.format, []byte(tt.body), ""); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	w.exec(t, `INSERT INTO dlp_findings (tenant_id, id, source, place, item, kind, count, state, first_at, last_at)
		SELECT $1, gen_random_uuid(), 'TOOL', 'p', n::text, 'K', 1, 'OPEN', now(), now() FROM generate_series(2, 10000) n`, w.acme.Tenant())
	if got, err := w.Import(t.Context(), w.acme, dlp.Neutral, []byte(file(one)), ""); err != nil || got.New != 1 {
		t.Errorf("the last = %+v, %v", got, err)
	}
	if _, err := w.Import(t.Context(), w.acme, dlp.Neutral, []byte(file(one+`,{"id": "x", "place": "p", "kind": "K"}`)), ""); !errors.Is(err, dlp.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if got, err := w.Import(t.Context(), w.acme, dlp.Neutral, []byte(file(one)), ""); err != nil || got.Known != 1 {
		t.Errorf("a known one = %+v, %v", got, err)
	}
	if n := w.store.AuditCount(t, w.acme, "dlpfinding.import"); n != 2 {
		t.Errorf("%d entries", n)
	}
}

// Whatever a file holds, it is read or refused.
func FuzzImport(f *testing.F) {
	for i, body := range []string{macie, purview, neutral} {
		f.Add(i, body)
	}
	f.Fuzz(func(t *testing.T, format int, body string) {
		list, err := dlp.Parse([]dlp.Format{dlp.Macie, dlp.Purview, dlp.Neutral}[uint(format)%3], body)
		if err != nil && !errors.Is(err, dlp.ErrImport) {
			t.Errorf("%q: %v", body, err)
		}
		for _, line := range list {
			if len(line) > 2048 || strings.ContainsAny(line, "\n\x00") {
				t.Errorf("kept: %q", line)
			}
		}
	})
}

// Records that tell of no sensitive data do not keep a file from being taken: policy findings and samples of Macie, undone and
// overridden rules of Purview, and rules about labels.
func TestImportPasses(t *testing.T) {
	w := newWorks(t)
	for format, body := range map[dlp.Format]string{
		dlp.Macie: `[{"category": "POLICY", "id": "a", "classificationDetails": null, "policyDetails": {}}, {"category": "CLASSIFICATION", "sample": true, "id": "b"},` +
			strings.TrimSuffix(strings.TrimPrefix(macie, `{"findings": [`), `]}`) + `]`,
		dlp.Purview: `[{"Id": "u", "Operation": "DlpRuleUndo", "PolicyDetails": []}, {"Id": "i", "Operation": "DlpInfo"},
			{"Id": "l", "Operation": "DlpRuleMatch", "ExchangeMetaData": {"MessageID": "<1>"}, "PolicyDetails": [{"Rules": [{"ConditionsMatched": {"OtherConditions": [{"Name": "SensitivityLabels", "Value": "x"}]}}]}]},` +
			strings.TrimPrefix(purview, "["),
	} {
		got, err := w.Import(t.Context(), w.acme, format, []byte(body), "")
		if want := map[dlp.Format]dlp.Imported{dlp.Macie: {New: 3, Passed: 2}, dlp.Purview: {New: 2, Passed: 3}}[format]; err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", format, got, err, want)
		}
	}
}
