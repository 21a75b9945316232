package main

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// newSender is what hands mail over; nil where no mail server is configured.
func newSender(cfg *Config) (*mail.Sender, error) {
	if cfg.SMTPURL.Reveal() == "" {
		return nil, nil //nolint:nilnil // documented
	}
	return mail.NewSender(mail.SenderOptions{URL: cfg.SMTPURL, From: cfg.MailFrom})
}

// newMail wires what sends mail: it knows people and invitations by what o has.
func (o *operator) newMail(cfg *Config, tel *telemetry) (*mail.Service, error) {
	sender, err := newSender(cfg)
	if err != nil {
		return nil, err
	}
	queue, err := jobs.NewQueue()
	if err != nil {
		return nil, err
	}
	return mail.New(mail.Options{
		Store: o.store, Queue: queue, Sender: sender, PublicURL: cfg.PublicURL, Log: tel.Log,
		Person: func(ctx context.Context, person uuid.UUID) (mail.Person, error) {
			u, err := o.person(ctx, person)
			return mail.Person{Address: u.Contact.Email}, err
		},
		Invitation: func(ctx context.Context, sc scope.Scope, id uuid.UUID) (mail.Invitation, error) {
			return o.members.InvitationMail(ctx, sc, id, cfg.PublicURL+"/console/join")
		},
		Invited: func(ctx context.Context, sc scope.Scope, id uuid.UUID) error {
			return o.members.InvitationMailed(ctx, sc, id)
		},
	}), nil
}

// person is somebody of the console; the zero user for who is gone or blocked.
func (o *operator) person(ctx context.Context, id uuid.UUID) (user.User, error) {
	u, err := o.users.Get(ctx, scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "console"}), user.ID(id))
	if errors.Is(err, user.ErrNotFound) || err == nil && u.State != user.Active {
		return user.User{}, nil
	}
	return u, err
}

// mail tells whether the mail server takes mail from here.
func (d *checkup) mail(ctx context.Context) finding {
	sender, err := newSender(&d.cfg)
	switch {
	case err != nil:
		return fail("see docs/mail.md", "%s", explain(err))
	case sender == nil:
		return ok("none is configured: links are copied")
	}
	if err := sender.Check(ctx); err != nil {
		return fail("see that BIOCORE_SMTP_URL names a mail server that this machine reaches, and what opens it: docs/mail.md", "%s: %s", sender.Server(), explain(err))
	}
	return ok("%s takes mail", sender.Server())
}
