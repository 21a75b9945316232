package dlp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/governance/detect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of imports. Each Reason is part of the public API.
var (
	ErrFormat = fault.New(fault.Invalid, "DLP_FORMAT_INVALID", "findings come as NEUTRAL, MACIE or PURVIEW")
	ErrImport = fault.New(fault.Invalid, "DLP_IMPORT_INVALID", "this is no file of findings of that format")
	ErrFull   = fault.New(fault.Precondition, "TOO_MANY_DLP_FINDINGS", "there are 10,000 findings, which is the limit: nothing was imported")
)

// Format is whose findings come in.
type Format string

// The formats. docs/dlp.md says which members of each are read.
const (
	Neutral Format = "NEUTRAL" // of any classifier: our own members
	Macie   Format = "MACIE"   // Amazon Macie, as GetFindings or EventBridge writes them
	Purview Format = "PURVIEW" // DLP rule matches of Microsoft Purview, as the Office 365 Management Activity API has them
)

// Bounds of an import.
const (
	// MaxImportBytes of one file.
	MaxImportBytes = 4 << 20
	// MaxImported findings of one file.
	MaxImported = 1000

	maxImportedKinds = 50 // of one finding of a classifier
)

// Imported is what has come of an import.
type Imported struct {
	New   int // findings that were not there
	Known int // that were: their counts and times are as the file says

	Passed int // records that tell of no sensitive data: policy findings, samples, rules undone
}

// outside is a finding of a file.
type outside struct {
	item, place, kind string
	count             int
	at                time.Time
}

var (
	sourceForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,39}$`)
	kindForm   = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
	notKind    = regexp.MustCompile(`[^A-Z0-9]+`)
)

// Import takes in findings of another classifier: all of a file, or none. A finding that is there already, by source,
// place, id and kind, is brought up to date, so that a file may be imported again. Samples that a file holds are not
// read. What a place or id is written with is kept redacted. ErrFormat, ErrImport, ErrFull, ErrReason.
func (s *Service) Import(ctx context.Context, sc scope.Scope, format Format, body []byte, reason string) (Imported, error) {
	if err := own(sc, ErrFinding); err != nil {
		return Imported{}, err
	}
	if reason != "" && !audit.IsReason(reason) {
		return Imported{}, ErrReason
	}
	source, list, passed, err := parseImport(format, body, s.store.Now())
	if err != nil {
		return Imported{}, err
	}
	var out Imported
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		out = Imported{Passed: passed}
		k, err := newKeeper(ctx, tx)
		if err != nil {
			return err
		}
		for i := range list {
			one := &list[i]
			before := k.n
			made, err := k.put(ctx, tenantq.PutFindingParams{
				Source: source, Place: one.place, Item: one.item, Kind: one.kind, Count: int32(one.count), FirstAt: one.at, LastAt: one.at, //nolint:gosec // bounded by check
			})
			switch {
			case err != nil:
				return err
			case made:
				out.New++
			case before >= MaxFindings:
				there, err := tx.HasFinding(ctx, tenantq.HasFindingParams{Source: source, Place: one.place, Item: one.item, Kind: one.kind})
				if err != nil {
					return fmt.Errorf("look for a finding: %w", err)
				} else if !there {
					return ErrFull
				}
				out.Known++
			default:
				out.Known++
			}
		}
		tx.Result(out)
		detail := []attr.Attr{attr.Text("source", source), attr.Int("new", int64(out.New)), attr.Int("known", int64(out.Known)), attr.Int("passed", int64(out.Passed))}
		if err := audit.Append(ctx, tx, audit.Entry{Action: "dlpfinding.import", Reason: reason, Detail: detail}); err != nil {
			return err
		}
		return event.Append(ctx, tx, event.Event{Type: event.DLPFindingsImported, Data: detail})
	})
	return out, err
}

// parseImport reads a file. Nothing of it is trusted: what is too long or too much is refused with its place in the file.
func parseImport(format Format, body []byte, now time.Time) (source string, list []outside, passed int, err error) {
	if len(body) > MaxImportBytes {
		return "", nil, 0, ErrImport.WithMessage("a file of findings has at most 4 MiB")
	}
	var read func(json.RawMessage, time.Time) ([]outside, error)
	switch format {
	case Neutral:
		var file struct {
			Source   string            `json:"source"`
			Findings []json.RawMessage `json:"findings"`
		}
		if err := json.Unmarshal(body, &file); err != nil {
			return "", nil, 0, ErrImport.WithCause(err)
		}
		if !sourceForm.MatchString(file.Source) || file.Source == SourceScan || file.Source == string(Macie) || file.Source == string(Purview) {
			return "", nil, 0, ErrImport.WithMessage("source is of A-Z, 0-9 and _, begins with a letter, and is not SCAN, MACIE or PURVIEW")
		}
		list, passed, err = each(file.Findings, readNeutral, now)
		return file.Source, list, passed, err
	case Macie:
		read = readMacie
	case Purview:
		read = readPurview
	default:
		return "", nil, 0, ErrFormat
	}
	items, err := itemsOf(body)
	if err != nil {
		return "", nil, 0, err
	}
	list, passed, err = each(items, read, now)
	return string(format), list, passed, err
}

// itemsOf are the findings of a file of a cloud's: a list, {"findings": […]} or {"value": […]}, or one alone.
func itemsOf(body []byte) ([]json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' {
		var items []json.RawMessage
		if err := json.Unmarshal(body, &items); err != nil {
			return nil, ErrImport.WithCause(err)
		}
		return items, nil
	}
	var file struct {
		Findings []json.RawMessage `json:"findings"`
		Value    []json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(body, &file); err != nil {
		return nil, ErrImport.WithCause(err)
	}
	if file.Findings == nil && file.Value == nil {
		return []json.RawMessage{body}, nil
	}
	return append(file.Findings, file.Value...), nil
}

func each(items []json.RawMessage, read func(json.RawMessage, time.Time) ([]outside, error), now time.Time) (list []outside, passed int, err error) {
	if len(items) == 0 || len(items) > MaxImported {
		return nil, 0, ErrImport.WithMessage("a file has 1 to 1000 findings")
	}
	for n, item := range items {
		some, err := read(item, now)
		if errors.Is(err, errPass) {
			passed++
			continue
		}
		if err != nil || len(some) == 0 || len(some) > maxImportedKinds {
			return nil, 0, ErrImport.WithMessage(fmt.Sprintf("finding %d cannot be read: it has an id, a place, and 1 to 50 kinds", n+1)).WithCause(err)
		}
		for i := range some {
			if err := some[i].check(now); err != nil {
				return nil, 0, ErrImport.WithMessage(fmt.Sprintf("finding %d: %s", n+1, err))
			}
			list = append(list, some[i])
		}
	}
	return list, passed, nil
}

// errPass says that a record of a file is none of sensitive data that was found.
var errPass = errors.New("the record tells of no sensitive data")

// check makes a finding what is kept, or says what is wrong with it.
func (o *outside) check(now time.Time) error {
	for name, text := range map[string]*string{"id": &o.item, "place": &o.place} {
		*text = strings.TrimSpace(*text)
		if *text == "" || len(*text) > 512 || !utf8.ValidString(*text) || strings.ContainsFunc(*text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%s has 1 to 512 bytes of text that can be seen", name)
		}
		clean, _ := detect.Redact(*text) // a file of ana@example.com's is found under her name
		*text = cut(clean, 512)
	}
	o.kind = strings.Trim(notKind.ReplaceAllString(strings.ToUpper(o.kind), "_"), "_")
	switch {
	case !kindForm.MatchString(o.kind):
		return errors.New("kind begins with a letter and has at most 64 letters and digits")
	case o.count < 1 || o.count > 1<<30:
		return errors.New("count is at least 1")
	case o.at.Year() < 2000 || o.at.After(now.Add(24*time.Hour)):
		return errors.New("the time is since 2000 and not in the future")
	}
	o.at = o.at.UTC().Truncate(time.Microsecond)
	return nil
}

// readNeutral reads a finding in our own members.
func readNeutral(raw json.RawMessage, now time.Time) ([]outside, error) {
	f := struct {
		ID    string    `json:"id"`
		Place string    `json:"place"`
		Kind  string    `json:"kind"`
		Count int       `json:"count"`
		At    time.Time `json:"at"`
	}{Count: 1, At: now}
	err := json.Unmarshal(raw, &f)
	return []outside{{f.ID, f.Place, f.Kind, f.Count, f.At}}, err
}

// readMacie reads a sensitive data finding of Amazon Macie: an object of a bucket, with a count for each type of data.
func readMacie(raw json.RawMessage, now time.Time) ([]outside, error) {
	var envelope struct { // of EventBridge
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(raw, &envelope); err == nil && len(envelope.Detail) > 0 {
		raw = envelope.Detail
	}
	f := struct {
		Category          string    `json:"category"` // CLASSIFICATION, or POLICY
		Sample            bool      `json:"sample"`   // made to try things out
		ID                string    `json:"id"`
		UpdatedAt         time.Time `json:"updatedAt"`
		ResourcesAffected struct {
			S3Bucket struct {
				Name string `json:"name"`
			} `json:"s3Bucket"`
			S3Object struct {
				Key string `json:"key"`
			} `json:"s3Object"`
		} `json:"resourcesAffected"`
		ClassificationDetails struct {
			Result struct {
				SensitiveData []struct {
					Detections []macieDetection `json:"detections"`
				} `json:"sensitiveData"`
				CustomDataIdentifiers struct {
					Detections []macieDetection `json:"detections"`
				} `json:"customDataIdentifiers"`
			} `json:"result"`
		} `json:"classificationDetails"`
	}{UpdatedAt: now}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if f.Sample || f.Category != "" && f.Category != "CLASSIFICATION" {
		return nil, errPass
	}
	place := "s3://" + f.ResourcesAffected.S3Bucket.Name + "/" + f.ResourcesAffected.S3Object.Key
	if f.ResourcesAffected.S3Bucket.Name == "" {
		place = ""
	}
	found := f.ClassificationDetails.Result.CustomDataIdentifiers.Detections
	for _, s := range f.ClassificationDetails.Result.SensitiveData {
		found = append(found, s.Detections...)
	}
	var list []outside
	for _, d := range found {
		kind := d.Type
		if kind == "" {
			kind = d.Name
		}
		list = append(list, outside{f.ID, place, kind, d.Count, f.UpdatedAt})
	}
	return list, nil
}

type macieDetection struct {
	Type  string `json:"type"`
	Name  string `json:"name"` // of a customer's own identifier
	Count int    `json:"count"`
}

// readPurview reads a rule match of Microsoft Purview Data Loss Prevention, as the Office 365 Management Activity API has it
// (content type DLP.All): a file or a mail, with a count for each type of sensitive information.
func readPurview(raw json.RawMessage, now time.Time) ([]outside, error) {
	var f struct {
		ID           string `json:"Id"`
		Operation    string `json:"Operation"`    // DlpRuleMatch; DlpRuleUndo and DlpInfo take one back
		CreationTime string `json:"CreationTime"` // UTC, without a zone
		SharePoint   struct {
			FilePathURL string `json:"FilePathUrl"`
			FileName    string `json:"FileName"`
		} `json:"SharePointMetaData"`
		Exchange struct {
			MessageID string `json:"MessageID"`
		} `json:"ExchangeMetaData"`
		ObjectID      string `json:"ObjectId"` // of an endpoint's file
		PolicyDetails []struct {
			Rules []struct {
				ConditionsMatched struct {
					SensitiveInformation []struct {
						Count int    `json:"Count"`
						Name  string `json:"SensitiveInformationTypeName"`
						Type  string `json:"SensitiveType"`
					} `json:"SensitiveInformation"`
				} `json:"ConditionsMatched"`
			} `json:"Rules"`
		} `json:"PolicyDetails"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if f.Operation != "" && !strings.EqualFold(f.Operation, "DlpRuleMatch") {
		return nil, errPass
	}
	at := now
	if f.CreationTime != "" {
		var err error
		if at, err = time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(f.CreationTime, "Z")); err != nil {
			return nil, err
		}
	}
	place := cmp.Or(f.SharePoint.FilePathURL, f.SharePoint.FileName, f.ObjectID)
	if f.Exchange.MessageID != "" { // which is the ObjectId too
		place = "mail " + strings.Trim(f.Exchange.MessageID, "<>")
	}
	var list []outside
	for _, p := range f.PolicyDetails {
		for _, r := range p.Rules {
			for _, t := range r.ConditionsMatched.SensitiveInformation {
				one := outside{f.ID, place, t.Name, t.Count, at}
				if one.kind == "" && t.Type != "" {
					one.kind = "TYPE_" + t.Type // an id, which the name may come without
				}
				if i := slices.IndexFunc(list, func(o outside) bool { return o.kind == one.kind }); i >= 0 {
					list[i].count = max(list[i].count, one.count) // two rules have matched the same
				} else {
					list = append(list, one)
				}
			}
		}
	}
	if len(list) == 0 && len(f.PolicyDetails) > 0 {
		return nil, errPass // the rule is about labels or properties
	}
	return list, nil
}
