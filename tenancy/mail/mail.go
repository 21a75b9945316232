// Package mail tells people of the console what they should know, where a mail server is
// configured: that they are invited, that somebody asks for an owner's place or for access,
// that a quota is nearly used up. Without one everything works by links that are copied.
//
// A mail is a job in the transaction of what it is about: it is sent if that is committed,
// after it, and tried again when the mail server is away. Jobs hold ids. Addresses are
// sealed where they are kept and opened when a mail is sent.
package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Kind is what a notice to a tenant's owners and admins is about.
type Kind string

// The kinds.
const (
	OwnerRecoveryRequested Kind = "OWNER_RECOVERY_REQUESTED"
	OwnerRecoveryApproved  Kind = "OWNER_RECOVERY_APPROVED"
	OwnerRecoveryCancelled Kind = "OWNER_RECOVERY_CANCELLED"
	SupportAsked           Kind = "SUPPORT_ASKED"
	QuotaNear              Kind = "QUOTA_NEAR"    // 80 % of a quota
	QuotaReached           Kind = "QUOTA_REACHED" // 100 %
)

// notice is what a kind says. %s is the tenant's name.
type notice struct {
	subject, text, more, label, page string
}

var notices = map[Kind]notice{
	OwnerRecoveryRequested: {
		"Somebody asks for an owner’s place in %s", "The staff of this installation were told that an owner of %s has lost every passkey, and ask to give the place back.",
		"A second person of the staff has to approve it. You can stop it at once if it is not right.", "Look at the request", "/members",
	},
	OwnerRecoveryApproved: {
		"An owner’s place in %s is given back in three days", "Two people of the staff agree that an owner of %s has lost every passkey. In 72 hours one link to the owner’s place can be made.",
		"Until then, and until the link is used, any member can stop it.", "Look at it, or stop it", "/members",
	},
	OwnerRecoveryCancelled: {
		"The recovery of an owner of %s was stopped", "The request to give an owner’s place in %s back was cancelled. Nothing has changed.",
		"Who stopped it, and why, stands in the audit log.", "Look at it", "/members",
	},
	SupportAsked: {
		"Support asks for access to %s", "Somebody of this installation’s support asks to look into %s.",
		"Nobody sees anything until an owner or an admin grants it. You can narrow, refuse and end it.", "Look at the request", "/support",
	},
	QuotaNear: {
		"%s has used 80 % of a quota", "%s has used 80 % of one of its quotas.",
		"At 100 % what it bounds may be refused. Look at the usage, or ask for a larger one.", "Look at the usage", "/usage",
	},
	QuotaReached: {
		"%s has used up a quota", "%s has used 100 % of one of its quotas.",
		"What it bounds may be refused from now on.", "Look at the usage", "/usage",
	},
}

// Person is whom a notice is for.
type Person struct {
	Address string // empty: none is known
}

// Invitation is what a mail to somebody who is invited says.
type Invitation struct {
	Address string // empty: nothing is to be sent any more
	Tenant  string // its name
	Role    string // in words
	Link    string
}

// Options configures a Service.
type Options struct {
	Store *db.Store   // required
	Queue *jobs.Queue // required
	// Sender hands mail over; nil: none is configured, and nothing is ever sent.
	Sender    *Sender
	PublicURL string // where the console is, without a trailing slash
	// Person returns how somebody of the console is reached.
	Person func(ctx context.Context, person uuid.UUID) (Person, error)
	// Invitation opens what a mail about an open invitation says, and Invited notes that it
	// was sent.
	Invitation func(ctx context.Context, sc scope.Scope, id uuid.UUID) (Invitation, error)
	Invited    func(ctx context.Context, sc scope.Scope, id uuid.UUID) error
	Log        *slog.Logger // nil means slog.Default
}

// Service sends mail. It is safe for concurrent use; a nil Service sends nothing.
type Service struct{ o Options }

// New returns a Service.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Service{o}
}

// On reports whether mail is sent at all.
func (s *Service) On() bool { return s != nil && s.o.Sender != nil }

// invitationJob sends the mail of one invitation.
type invitationJob struct {
	jobs.Of

	InvitationID uuid.UUID `json:"invitationId"`
}

// Kind implements jobs.Args.
func (invitationJob) Kind() string { return "mail_invitation" }

// noticeJob makes a personJob for each owner and admin.
type noticeJob struct {
	jobs.Of

	Notice Kind      `json:"notice"`
	About  uuid.UUID `json:"about"`
}

// Kind implements jobs.Args.
func (noticeJob) Kind() string { return "mail_notice" }

// personJob sends a notice to one person.
type personJob struct {
	jobs.Of

	Notice   Kind      `json:"notice"`
	About    uuid.UUID `json:"about"`
	PersonID uuid.UUID `json:"personId"`
}

// Kind implements jobs.Args.
func (personJob) Kind() string { return "mail_person" }

// Invite sends the mail of an invitation once tx is committed.
func (s *Service) Invite(ctx context.Context, tx *db.TenantTx, id uuid.UUID) error {
	if !s.On() {
		return nil
	}
	return s.o.Queue.Insert(ctx, tx, invitationJob{jobs.Of{TenantID: tx.Scope().Tenant()}, id})
}

// Notify tells the owners and admins of tx's tenant who have an address, once tx is
// committed. about is the id of what it is about: each of the two is told of once.
func (s *Service) Notify(ctx context.Context, tx *db.TenantTx, kind Kind, about uuid.UUID) error {
	if !s.On() {
		return nil
	}
	if _, ok := notices[kind]; !ok {
		return fmt.Errorf("mail: no notice %s", kind)
	}
	return s.o.Queue.InsertOnce(ctx, tx, noticeJob{jobs.Of{TenantID: tx.Scope().Tenant()}, kind, about})
}

// Handle registers what the jobs do.
func (s *Service) Handle(r *jobs.Runner) {
	jobs.Handle(r, s.sendInvitation)
	jobs.Handle(r, s.spread)
	jobs.Handle(r, s.sendNotice)
}

func (s *Service) sendInvitation(ctx context.Context, sc scope.Scope, job invitationJob) error {
	if !s.On() {
		return nil // it was taken out of the configuration meanwhile
	}
	in, err := s.o.Invitation(ctx, sc, job.InvitationID)
	if err != nil {
		return err
	}
	if in.Address == "" {
		return nil
	}
	name := Inert(in.Tenant)
	if err := s.send(ctx, Message{
		To: in.Address, Subject: "You are invited to " + name, Key: "invitation " + job.InvitationID.String(),
		Paragraphs: []string{
			"You are invited to work in " + name + " as " + in.Role + ".",
			"The link makes you a member, once. Your device asks for a passkey: there is no password. Who else has the link can use it in your place, so pass it on to nobody.",
			"If you expect no invitation, do nothing.",
		},
		Label: "Accept the invitation", Link: in.Link,
	}); err != nil {
		return err
	}
	return s.o.Invited(ctx, sc, job.InvitationID)
}

// spread makes the jobs of a notice, once: it may run again after a failure.
func (s *Service) spread(ctx context.Context, sc scope.Scope, job noticeJob) error {
	return s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		people, err := tx.ListPeopleToNotify(ctx)
		if err != nil {
			return fmt.Errorf("list people to notify: %w", err)
		}
		for _, person := range people {
			if err := s.o.Queue.InsertOnce(ctx, tx, personJob{job.Of, job.Notice, job.About, person}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) sendNotice(ctx context.Context, sc scope.Scope, job personJob) error {
	words, known := notices[job.Notice]
	if !s.On() || !known {
		return nil
	}
	var name, slug string
	err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetTenant(ctx)
		if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		name, slug = Inert(row.Name), row.Slug
		return nil
	})
	if err != nil {
		return err
	}
	person, err := s.o.Person(ctx, job.PersonID)
	if err != nil || person.Address == "" {
		return err
	}
	return s.send(ctx, Message{
		To: person.Address, Subject: fill(words.subject, name), Key: string(job.Notice) + " " + job.About.String() + " " + job.PersonID.String(),
		Paragraphs: []string{fill(words.text, name), words.more},
		Label:      words.label, Link: s.o.PublicURL + "/console/t/" + slug + words.page,
	})
}

// send hands a mail over. What is refused for good is told the operator, and not tried again.
func (s *Service) send(ctx context.Context, m Message) error {
	err := s.o.Sender.Send(ctx, m)
	if errors.Is(err, ErrRefused) {
		return jobs.GiveUp(err)
	}
	return err
}
