package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/governance/detect"
	"github.com/biocore-id/biocore/tenancy/siem"
)

const streamsPath = "/log-streams"

// streamRoutes are where the audit log is sent.
func (c *Console) streamRoutes(mux *router) {
	base := Path + "/t/{slug}" + streamsPath
	reads, writes := apikey.ScopeLogStreamsRead, apikey.ScopeLogStreamsWrite
	mux.HandleFunc("GET "+base, c.inTenant(reads, c.showStreams))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(reads, c.exportStreams))
	mux.HandleFunc("GET "+base+"/new", c.inTenant(writes, c.showNewStream))
	mux.HandleFunc("POST "+base, c.inTenant(writes, c.createStream))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(reads, c.showStream))
	mux.HandleFunc("GET "+base+"/{id}"+activityPath, c.inTenant(reads, c.showStream))
	mux.HandleFunc("GET "+base+"/{id}/rejected", c.inTenant(reads, c.exportRejects))
	mux.HandleFunc("GET "+base+"/{id}/edit", c.inTenant(writes, c.showStreamForm))
	mux.HandleFunc("POST "+base+"/{id}/edit", c.inTenant(writes, c.saveStream))
	mux.HandleFunc("POST "+base+"/{id}/test", c.inTenant(writes, c.testStream))
	mux.HandleFunc("POST "+base+"/{id}/pause", c.inTenant(writes, c.pauseStream))
	mux.HandleFunc("POST "+base+"/{id}/resume", c.inTenant(writes, c.resumeStream))
	mux.HandleFunc("POST "+base+"/{id}/replay", c.inTenant(writes, c.replayStream))
	mux.HandleFunc("POST "+base+"/{id}/delete", c.inTenant(writes, c.deleteStream))
}

// streamKinds are what sinks are called, and what a person needs to know to choose.
var streamKinds = map[siem.Kind]struct{ icon, label, says string }{
	siem.Splunk:        {"data", "Splunk", "HTTP Event Collector, with indexer acknowledgment if its token has that on."},
	siem.Elasticsearch: {"search", "Elasticsearch or OpenSearch", "_bulk into an index or data stream. What is sent twice is kept once."},
	siem.Syslog:        {"server", "Syslog over TLS", "RFC 5424 and 5425. Takes no credential, and acknowledges nothing by itself."},
	siem.HTTPS:         {"hook", "HTTPS", "JSON to a server of your own, signed as Standard Webhooks has it."},
}

var streamStates = map[siem.State]struct{ class, label string }{
	siem.Active: {"ok", "Active"}, siem.Paused: {"idle", "Paused"}, siem.Failing: {"bad", "Failing"},
}

var streamFormats = map[siem.Format]string{
	siem.JSON: "JSON, as the API has entries", siem.OCSF: "OCSF " + siem.OCSFVersion, siem.ECS: "ECS " + siem.ECSVersion,
}

// streamRow is a stream in the list, and on its own page.
type streamRow struct {
	siem.Sink

	Href    string
	KindIs  string
	Icon    string
	Class   string // of its state
	StateIs string
	Lag     string // how many entries are behind; empty for none
	Last    *ui.Moment
	Failed  *ui.Moment
	Retry   string // when it is tried again; empty unless it is failing
	Filter  string
}

type streamsView struct {
	ui.Page

	Base      string
	May       bool
	Streams   []streamRow
	CSV, JSON string
	Curl      string
}

func (c *Console) streamRow(p *place, s *siem.Sink) streamRow {
	now, kind, state := c.now(), streamKinds[s.Kind], streamStates[s.State]
	row := streamRow{
		Sink: *s, Href: p.base + streamsPath + "/" + s.ID.String(), KindIs: kind.label, Icon: kind.icon, Class: state.class, StateIs: state.label,
		Filter: filterWords(&s.Config),
	}
	if s.Behind > 0 {
		row.Lag = ui.Count(int(s.Behind), "entry")
	}
	if s.LastSuccessAt != nil {
		at := ui.Ago(*s.LastSuccessAt, now)
		row.Last = &at
	}
	if s.LastErrorAt != nil {
		at := ui.Ago(*s.LastErrorAt, now)
		row.Failed = &at
	}
	if s.RetryAt != nil {
		row.Retry = "now"
		if left := s.RetryAt.Sub(now); left > 0 {
			row.Retry = "in " + ui.Left(left)
		}
	}
	return row
}

// filterWords says what is sent.
func filterWords(c *siem.Config) string {
	says := "Every action"
	if len(c.Actions) > 0 {
		says = "Actions that begin with " + strings.Join(c.Actions, ", ")
	}
	if len(c.Outcomes) > 0 {
		says += "; outcome " + strings.Join(audit.OutcomeTexts(c.Outcomes), " or ")
	}
	return says
}

func (c *Console) showStreams(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	list, err := c.streams.List(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + streamsPath
	view := streamsView{
		Page: c.frame(w, r, v, p, "Log streams", here), Base: p.base, May: p.may(apikey.ScopeLogStreamsWrite),
		CSV: here + "/export", JSON: here + "/export?format=json",
		Curl: "curl -H \"Authorization: Bearer $BIOCORE_KEY\" \\\n  -d '{\"name\":\"SOC\",\"kind\":\"SPLUNK_HEC\",\"format\":\"OCSF\",\"address\":\"https://splunk.example:8088\",\"credential\":\"…\"}' \\\n  " +
			c.publicURL + "/admin/v1/logStreams",
	}
	for i := range list {
		view.Streams = append(view.Streams, c.streamRow(p, &list[i]))
	}
	c.render(w, r, http.StatusOK, c.streamsPage(view))
}

func (c *Console) exportStreams(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name: "log-streams",
		Columns: []string{
			"id", "name", "kind", "format", "address", "index", "state", "actions", "outcomes", "redact", "redactKinds", "blockKinds", "nextSeq", "behind", "sent", "rejected", "missed", "blocked",
			"lastSuccessAt", "lastError", "lastErrorAt", "createdAt", "updatedAt",
		},
		Next: func(string) ([][]string, string, error) {
			list, err := c.streams.List(r.Context(), p.sc)
			if err != nil {
				return nil, "", err
			}
			rows := make([][]string, len(list))
			for i := range list {
				s := &list[i]
				n := func(v int64) string { return strconv.FormatInt(v, 10) }
				rows[i] = []string{
					s.ID.String(), s.Name, string(s.Kind), string(s.Format), s.Address, s.Index, string(s.State), strings.Join(s.Actions, " "), strings.Join(audit.OutcomeTexts(s.Outcomes), " "),
					strings.Join(s.Redact, " "), strings.Join(s.RedactKinds, " "), strings.Join(s.BlockKinds, " "), n(s.NextSeq), n(s.Behind), n(s.Sent), n(s.Rejected), n(s.Missed), n(s.Blocked),
					iso(s.LastSuccessAt), s.LastError, iso(s.LastErrorAt), iso(&s.CreatedAt), iso(&s.UpdatedAt),
				}
			}
			return rows, "", nil
		},
	})
}

// shownRejects is how many refused entries the page of a stream shows; its file has all that are kept.
const (
	shownRejects = 10
	keptRejects  = 1000
)

// streamView is the page of one stream.
type streamView struct {
	ui.Page
	withActivity

	Base    string
	Stream  streamRow
	May     bool
	By      string
	Made    ui.Moment
	Oldest  *ui.Moment // of what is behind
	Rejects []rejectRow
	More    string // address of all of them; empty where all are shown
	Tested  *siem.Tested
	Took    string

	Pause, Replay, Delete ui.Act
	Seq, Since            ui.Input
}

type rejectRow struct {
	Seq    int64
	At     ui.Moment
	Reason string
}

// streamActs is what was typed into the forms of a stream's page, and what a test found.
type streamActs struct {
	pause, replay, remove ui.Act
	seq, since            string
	tested                *siem.Tested
}

func (c *Console) showStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.stream200(w, r, v, p, streamActs{}, http.StatusOK)
}

func (c *Console) streamOf(r *http.Request, p *place) (siem.Sink, error) {
	id, err := siem.ParseID(r.PathValue("id"))
	if err != nil {
		return siem.Sink{}, err
	}
	return c.streams.Get(r.Context(), p.sc, id)
}

func (c *Console) stream200(w http.ResponseWriter, r *http.Request, v *visit, p *place, acts streamActs, status int) {
	s, err := c.streamOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	names, err := c.names(r.Context(), []uuid.UUID{who(s.CreatedBy)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	rejects, err := c.streams.Rejects(r.Context(), p.sc, s.ID, shownRejects+1)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	now := c.now()
	view := streamView{
		Page: c.frame(w, r, v, p, s.Name, p.base+streamsPath, ui.Link{Href: p.base + streamsPath, Label: "Log streams"}), Base: p.base, Stream: c.streamRow(p, &s),
		May: p.may(apikey.ScopeLogStreamsWrite), By: whoLabel(s.CreatedBy, names), Made: ui.Ago(s.CreatedAt, now), Tested: acts.tested,
		Pause: acts.pause, Replay: acts.replay, Delete: acts.remove,
	}
	here := view.Stream.Href
	view.Page.Here = here
	if s.Oldest != nil {
		at := ui.Ago(*s.Oldest, now)
		view.Oldest = &at
	}
	if len(rejects) > shownRejects {
		rejects, view.More = rejects[:shownRejects], here+"/rejected"
	}
	for _, one := range rejects {
		view.Rejects = append(view.Rejects, rejectRow{one.Seq, ui.Ago(one.At, now), one.Reason})
	}
	if acts.tested != nil {
		view.Took = fmt.Sprintf("%d ms", acts.tested.Took.Milliseconds())
	}
	c.setStreamActs(&view, v, acts)
	view.withActivity, err = c.activity(r, p, here, about{kind: "logstream", id: s.ID.String()}, ui.Tab{Href: here, Label: "Stream", Here: !asksActivity(r, here)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.render(w, r, status, c.streamPage(view))
}

func (c *Console) setStreamActs(view *streamView, v *visit, acts streamActs) {
	here, fresh := view.Stream.Href, freshUntil(v)
	set := func(a *ui.Act, id, title, button string, effects ...ui.Effect) {
		a.ID, a.Title, a.Button, a.Effects, a.Action, a.Fresh = id, title, button, effects, here+"/"+id, fresh
	}
	switch view.Stream.State {
	case siem.Active:
		set(&view.Pause, "pause", "Pause", "pause",
			ui.Effect{Icon: "pause", Text: "Nothing is sent from now on"},
			ui.Effect{Icon: "history", Text: "Its place in the log is kept: resuming sends what has come meanwhile"})
	case siem.Paused:
		set(&view.Pause, "resume", "Resume", "resume", ui.Effect{Icon: "play", Text: "Goes on where it was paused, within seconds"})
	case siem.Failing:
		set(&view.Pause, "resume", "Try again now", "try again", ui.Effect{Icon: "play", Text: "Does not wait for the next try, " + view.Stream.Retry})
	}
	set(&view.Replay, "replay", "Replay", "replay",
		ui.Effect{Icon: "repeat", Text: "Everything from there on is sent again, in order, with the same ids"},
		ui.Effect{Icon: "minus", Text: "A place that is ahead leaves out what is before it"})
	view.Seq = ui.Input{
		ID: "replay-seq", Name: "seq", Label: "From number", Hint: "Of an entry, from 0 on. The stream is at " + ui.Number(int(view.Stream.NextSeq)) + " now.",
		Value: acts.seq, Max: 19, Optional: true, Problem: acts.replay.Problem,
	}
	view.Since = ui.Input{
		ID: "replay-since", Name: "since", Label: "Or from a time (UTC)", Hint: "Of the first entry that the log took in then.", Value: acts.since, Type: "datetime-local", Max: 20,
		Optional: true, Problem: acts.replay.Problem,
	}
	set(&view.Delete, "delete", "Delete", "delete",
		ui.Effect{Icon: "trash", Text: "The stream, its credential and its place in the log are gone"},
		ui.Effect{Icon: "audit", Text: "What its sink has stays there, and the audit log here"})
	view.Delete.Confirm, view.Delete.Danger = view.Stream.Name, true
}

func (c *Console) exportRejects(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	s, err := c.streamOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.export(w, r, v, exported{
		Name: "rejected", Columns: []string{"seq", "at", "reason"},
		Next: func(string) ([][]string, string, error) {
			list, err := c.streams.Rejects(r.Context(), p.sc, s.ID, keptRejects)
			rows := make([][]string, len(list))
			for i, one := range list {
				rows[i] = []string{strconv.FormatInt(one.Seq, 10), iso(&one.At), one.Reason}
			}
			return rows, "", err
		},
	})
}

// streamForm is the form of a stream, new or not.
type streamForm struct {
	Kind                              siem.Kind
	Name, Format, Address, Index      string
	Credential, Certificates, Actions string
	Acknowledge, FromStart            bool
	Outcomes, Redact                  []string
	Rules                             map[detect.Kind]string // RuleRedact or RuleBlock; else it is sent
	Reason, ETag                      string
	Problem                           *ui.Problem
	Changed                           []changedView // what somebody else changed meanwhile
}

type streamFormView struct {
	ui.Page

	Base     string
	Edit     bool
	Action   string
	Cancel   string
	Kinds    []siem.Kind // to choose from: none is chosen yet
	Form     streamForm
	KindIs   string
	Fresh    string
	Address  ui.Input
	Secret   ui.Input
	Formats  []ui.Choice
	Outcomes []string
	Parts    []string   // of an entry that can be left out
	Rules    []ui.Input // one for each kind of personal data and secrets
}

// What a rule does, as the form has it.
const (
	ruleSend   = "send"
	ruleRedact = "redact"
	ruleBlock  = "block"
)

var ruleChoices = []ui.Choice{{Value: ruleSend, Label: "Sent"}, {Value: ruleRedact, Label: "Redacted: a mark takes its place"}, {Value: ruleBlock, Label: "Blocked: the entry is not sent"}}

// kindLabels are what kinds of personal data and secrets are called.
var kindLabels = map[detect.Kind]string{
	detect.Email: "E-mail addresses", detect.IBAN: "Account numbers", detect.Card: "Card numbers", detect.NationalID: "National ids", detect.Token: "Tokens",
	detect.PrivateKey: "Private keys", detect.OwnKey: "Keys of Biocore",
}

func ruleName(k detect.Kind) string { return "rule." + string(k) }

func rulesOf(redact, block []string) map[detect.Kind]string {
	rules := map[detect.Kind]string{}
	for _, k := range redact {
		rules[detect.Kind(k)] = ruleRedact
	}
	for _, k := range block {
		rules[detect.Kind(k)] = ruleBlock
	}
	return rules
}

// ruleLines are rules in words.
func ruleLines(rules map[detect.Kind]string) (lines []string) {
	for _, k := range detect.Kinds() {
		if done := map[string]string{ruleRedact: "redacted", ruleBlock: "blocked"}[rules[k]]; done != "" {
			lines = append(lines, kindLabels[k]+" "+done)
		}
	}
	return lines
}

// streamFormOf is the form as a stream is. Its credential is never shown.
func streamFormOf(s *siem.Sink) streamForm {
	return streamForm{
		Kind: s.Kind, Name: s.Name, Format: string(s.Format), Address: s.Address, Index: s.Index, Certificates: strings.TrimSpace(s.CACertificates), Actions: strings.Join(s.Actions, "\n"),
		Acknowledge: s.Acknowledge, Outcomes: audit.OutcomeTexts(s.Outcomes), Redact: s.Redact, Rules: rulesOf(s.RedactKinds, s.BlockKinds), ETag: s.ETag,
	}
}

// typedStream is what was typed.
func typedStream(r *http.Request) streamForm {
	_ = r.ParseForm()
	text := func(name string) string {
		return strings.TrimSpace(strings.ReplaceAll(r.PostFormValue(name), "\r\n", "\n"))
	}
	var redact, block []string
	for _, k := range siem.KindNames() {
		switch r.PostFormValue(ruleName(detect.Kind(k))) {
		case ruleRedact:
			redact = append(redact, k)
		case ruleBlock:
			block = append(block, k)
		}
	}
	return streamForm{
		Rules: rulesOf(redact, block),
		Kind:  siem.Kind(r.PostFormValue("kind")), Name: clean(r.PostFormValue("name")), Format: text("format"), Address: text("address"), Index: text("index"),
		Credential: text("credential"), Certificates: text("caCertificates"), Actions: text("actions"), Acknowledge: r.PostFormValue("acknowledge") == "on",
		FromStart: r.PostFormValue("from") == "start", Outcomes: r.PostForm["outcomes"], Redact: r.PostForm["redact"], Reason: clean(r.PostFormValue("reason")), ETag: r.PostFormValue("etag"),
	}
}

func (f *streamForm) config() siem.Config {
	c := siem.Config{
		Name: f.Name, Kind: f.Kind, Format: siem.Format(f.Format), Address: f.Address, Index: f.Index, Acknowledge: f.Acknowledge, CACertificates: f.Certificates,
		Actions: lines(f.Actions), Redact: f.Redact,
	}
	for _, k := range siem.KindNames() {
		switch f.Rules[detect.Kind(k)] {
		case ruleRedact:
			c.RedactKinds = append(c.RedactKinds, k)
		case ruleBlock:
			c.BlockKinds = append(c.BlockKinds, k)
		}
	}
	for _, o := range f.Outcomes {
		c.Outcomes = append(c.Outcomes, audit.Outcome(o))
	}
	return c
}

// streamLabels are what the fields are called, by the names of the API.
var streamLabels = map[string]string{
	"name": "Name", "format": "Format", "address": "Address", "index": "Index", "acknowledge": "Acknowledgment", "caCertificates": "Certificates", "credential": "Credential",
	"actions": "Actions", "outcomes": "Outcomes", "redact": "What is left out",
}

// against is where a form differs from what is stored now.
func (f *streamForm) against(now *streamForm) (changed []changedView) {
	yesNo := map[bool]string{true: "waited for", false: "not waited for"}
	for _, one := range []changedView{
		{streamLabels["name"], now.Name, f.Name},
		{streamLabels["format"], now.Format, f.Format},
		{streamLabels["address"], now.Address, f.Address},
		{streamLabels["index"], now.Index, f.Index},
		{streamLabels["acknowledge"], yesNo[now.Acknowledge], yesNo[f.Acknowledge]},
		{streamLabels["caCertificates"], now.Certificates, f.Certificates},
		{streamLabels["actions"], now.Actions, f.Actions},
		{streamLabels["outcomes"], strings.Join(now.Outcomes, " "), strings.Join(f.Outcomes, " ")},
		{streamLabels["redact"], strings.Join(now.Redact, " "), strings.Join(f.Redact, " ")},
		{"Personal data in texts", strings.Join(ruleLines(now.Rules), ", "), strings.Join(ruleLines(f.Rules), ", ")},
	} {
		if one.Now != one.Yours {
			changed = append(changed, one)
		}
	}
	return changed
}

// streamAddress are what the address of each kind is.
var streamAddress = map[siem.Kind]string{
	siem.Splunk:        "Such as https://splunk.example.com:8088. The path of the collector is added.",
	siem.Elasticsearch: "Such as https://logs.example.com:9200, with a path where yours has one.",
	siem.Syslog:        "Host and port, such as logs.example.com:6514.",
	siem.HTTPS:         "The whole URL, such as https://soc.example.com/biocore.",
}

// streamSecret are what the credential of each kind is.
var streamSecret = map[siem.Kind]struct{ label, hint string }{
	siem.Splunk:        {"Token", "Of the HTTP Event Collector."},
	siem.Elasticsearch: {"API key", "Encoded, with create_doc on the index; or user:password."},
	siem.HTTPS:         {"Signing secret", "whsec_ and 24 to 64 random bytes in base64: echo whsec_$(openssl rand -base64 32)"},
}

func (c *Console) streamFormView(w http.ResponseWriter, r *http.Request, v *visit, p *place, form streamForm, edited *siem.Sink) streamFormView {
	list := p.base + streamsPath
	title := "New log stream"
	crumbs := []ui.Link{{Href: list, Label: "Log streams"}}
	view := streamFormView{Base: p.base, Edit: edited != nil, Action: list, Cancel: list, Form: form, KindIs: streamKinds[form.Kind].label, Fresh: freshUntil(v), Parts: siem.Redactable()}
	here := list + "/new"
	if edited != nil {
		view.Action, view.Cancel = list+"/"+edited.ID.String()+"/edit", list+"/"+edited.ID.String()
		title, here = "Change "+edited.Name, view.Action
		crumbs = append(crumbs, ui.Link{Href: view.Cancel, Label: edited.Name})
	}
	view.Page = c.frame(w, r, v, p, title, list, crumbs...)
	view.Page.Here = here
	view.Outcomes = audit.OutcomeTexts([]audit.Outcome{audit.Success, audit.Denied, audit.Failed})
	for _, f := range siem.Formats() {
		view.Formats = append(view.Formats, ui.Choice{Value: string(f), Label: streamFormats[f]})
	}
	for _, k := range detect.Kinds() {
		view.Rules = append(view.Rules, ui.Input{ID: "stream-" + strings.ToLower(string(k)), Name: ruleName(k), Label: kindLabels[k], Value: cmp.Or(form.Rules[k], ruleSend)})
	}
	view.Address = ui.Input{ID: "stream-address", Name: "address", Label: "Address", Hint: streamAddress[form.Kind], Value: form.Address, Max: 2048, Problem: form.Problem}
	if secret, has := streamSecret[form.Kind]; has {
		view.Secret = ui.Input{
			ID: "stream-credential", Name: "credential", Label: secret.label, Hint: secret.hint, Type: "password", Max: 4096, Problem: form.Problem,
		}
		switch {
		case form.Credential != "": // no page holds one
			view.Secret.Hint = "Give it once more: it is not kept between two tries."
		case edited != nil:
			view.Secret.Hint = "Empty: as it is. An address that names another server needs it anew."
		}
		view.Secret.Optional = edited != nil
	}
	if !slices.Contains(siem.Kinds(), form.Kind) {
		view.Kinds = siem.Kinds()
	}
	return view
}
