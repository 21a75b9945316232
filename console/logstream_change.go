package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// showNewStream asks for a kind first: the fields of each are others.
func (c *Console) showNewStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := streamForm{Kind: siem.Kind(r.URL.Query().Get("kind")), Format: string(siem.JSON)}
	c.render(w, r, http.StatusOK, c.streamFormPage(c.streamFormView(w, r, v, p, form, nil)))
}

// streamProblem puts a refusal at its field, by the name that the field has here.
func (c *Console) streamProblem(r *http.Request, kind siem.Kind, err error) (*ui.Problem, int) {
	problem, code := c.inForm(r, err)
	f, ok := fault.As(err)
	if problem == nil || !ok {
		return problem, code
	}
	switch field := f.Metadata["field"]; {
	case errors.Is(err, siem.ErrName):
		problem.Field = "name"
	case field != "":
		label := streamLabels[field]
		if field == "credential" {
			label = streamSecret[kind].label
		}
		problem.Field = field
		if rest, cut := strings.CutPrefix(f.Message, field+" "); cut && label != "" {
			problem.Message = label + " " + rest + "."
		} else {
			problem.Message = sentence(f.Message)
		}
	}
	return problem, code
}

func (c *Console) createStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := typedStream(r)
	var made siem.Sink
	var err error
	if !slices.Contains(siem.Kinds(), form.Kind) {
		err = errMalformed
	} else if err = sensitive(v, form.Reason); err == nil {
		made, err = c.streams.Create(r.Context(), p.sc, siem.CreateRequest{Config: form.config(), Credential: form.Credential, FromStart: form.FromStart, Reason: form.Reason})
	}
	problem, code := c.streamProblem(r, form.Kind, err)
	if problem == nil {
		c.done(w, r, "streamMade", p.base+streamsPath+"/"+made.ID.String())
		return
	}
	form.Problem = problem
	c.render(w, r, code, c.streamFormPage(c.streamFormView(w, r, v, p, form, nil)))
}

func (c *Console) showStreamForm(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	s, err := c.streamOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.render(w, r, http.StatusOK, c.streamFormPage(c.streamFormView(w, r, v, p, streamFormOf(&s), &s)))
}

func (c *Console) saveStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	s, err := c.streamOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := typedStream(r)
	form.Kind = s.Kind // does not change
	cfg := form.config()
	req := siem.UpdateRequest{
		ID: s.ID, Name: &cfg.Name, Format: &cfg.Format, Address: &cfg.Address, Index: &cfg.Index, Acknowledge: &cfg.Acknowledge, CACertificates: &cfg.CACertificates,
		Actions: &cfg.Actions, Outcomes: &cfg.Outcomes, Redact: &cfg.Redact, RedactKinds: &cfg.RedactKinds, BlockKinds: &cfg.BlockKinds, Reason: form.Reason, IfMatch: form.ETag,
	}
	if form.Credential != "" {
		req.Credential = &form.Credential
	}
	if form.ETag == "" {
		err = errMalformed
	} else if err = sensitive(v, form.Reason); err == nil {
		_, err = c.streams.Update(r.Context(), p.sc, req)
	}
	problem, code := c.streamProblem(r, s.Kind, err)
	if problem == nil {
		c.done(w, r, "saved", p.base+streamsPath+"/"+s.ID.String())
		return
	}
	form.Problem = problem
	if errors.Is(err, etag.ErrMismatch) {
		now := streamFormOf(&s)
		code, form.ETag, form.Changed = http.StatusConflict, now.ETag, form.against(&now)
	}
	c.render(w, r, code, c.streamFormPage(c.streamFormView(w, r, v, p, form, &s)))
}

// testStream shows what came of a test event on the page itself: it is kept nowhere but in the audit log.
func (c *Console) testStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	s, err := c.streamOf(r, p)
	var tested siem.Tested
	if err == nil {
		tested, err = c.streams.Test(r.Context(), p.sc, s.ID, "")
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.stream200(w, r, v, p, streamActs{tested: &tested}, http.StatusOK)
}

func (c *Console) pauseStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.settleStream(w, r, v, p, true)
}

func (c *Console) resumeStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.settleStream(w, r, v, p, false)
}

func (c *Console) settleStream(w http.ResponseWriter, r *http.Request, v *visit, p *place, pause bool) {
	acts := streamActs{pause: actOf(r)}
	s, err := c.streamOf(r, p)
	if err == nil {
		err = sensitive(v, acts.pause.Reason)
	}
	toast := "streamResumed"
	if err == nil {
		do := c.streams.Resume
		if pause {
			do, toast = c.streams.Pause, "streamPaused"
		}
		_, err = do(r.Context(), p.sc, s.ID, acts.pause.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.pause.Problem = problem
		c.stream200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, toast, p.base+streamsPath+"/"+s.ID.String())
}

func (c *Console) replayStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := streamActs{replay: actOf(r), seq: clean(r.PostFormValue("seq")), since: clean(r.PostFormValue("since"))}
	s, err := c.streamOf(r, p)
	if err == nil {
		var req siem.ReplayRequest
		if req, err = replayOf(&acts); err == nil {
			req.ID, req.Reason = s.ID, acts.replay.Reason
			if err = sensitive(v, req.Reason); err == nil {
				_, err = c.streams.Replay(r.Context(), p.sc, req)
			}
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.replay.Problem = problem
		c.stream200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, "streamReplayed", p.base+streamsPath+"/"+s.ID.String())
}

var errReplayFrom = &refusal{http.StatusUnprocessableEntity, "LOG_STREAM_CURSOR_INVALID"}

// replayOf reads from where: a number or a time, one of the two.
func replayOf(acts *streamActs) (req siem.ReplayRequest, err error) {
	switch {
	case (acts.seq == "") == (acts.since == ""):
		return req, errReplayFrom
	case acts.seq != "":
		n, err := strconv.ParseInt(acts.seq, 10, 64)
		if err != nil {
			return req, errReplayFrom
		}
		req.Seq = &n
	default:
		at, err := time.Parse("2006-01-02T15:04", acts.since)
		if err != nil {
			if at, err = time.Parse("2006-01-02T15:04:05", acts.since); err != nil {
				return req, errReplayFrom
			}
		}
		req.Since = &at
	}
	return req, nil
}

func (c *Console) deleteStream(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := streamActs{remove: actOf(r)}
	s, err := c.streamOf(r, p)
	switch {
	case err != nil:
	case acts.remove.Typed != s.Name:
		err = errConfirm
	default:
		if err = sensitive(v, acts.remove.Reason); err == nil {
			err = c.streams.Delete(r.Context(), p.sc, s.ID, "", acts.remove.Reason)
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.remove.Problem = problem
		c.stream200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, "streamDeleted", p.base+streamsPath)
}
