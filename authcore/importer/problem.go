package importer

import "github.com/biocore-id/biocore/tenancy/fault"

// Reason says why a line is not taken, or was passed over. Each is part of the public
// API, and described in docs/import.md.
type Reason string

// What can be said of a line by itself.
const (
	LineTooLong       Reason = "LINE_TOO_LONG"
	JSONInvalid       Reason = "JSON_INVALID"       // no JSON object, not UTF-8, or a name stands twice
	FieldUnknown      Reason = "FIELD_UNKNOWN"      // a name that is not known: what it meant would be lost
	FieldMissing      Reason = "FIELD_MISSING"      //
	FieldInvalid      Reason = "FIELD_INVALID"      // of another type, or out of its bounds
	HandleRequired    Reason = "USER_HANDLE_NEEDED" // a passkey that may be discoverable carries one, and it is not there
	KeyInvalid        Reason = "PUBLIC_KEY_INVALID" //
	AlgorithmRefused  Reason = "ALGORITHM_NOT_ALLOWED"
	RPIDMismatch      Reason = "RP_ID_MISMATCH"
	BackupInvalid     Reason = "BACKUP_STATE_INVALID" // backed up, and cannot be
	SyncedRefused     Reason = "SYNCED_PASSKEY_NOT_ALLOWED"
	ModelRefused      Reason = "AUTHENTICATOR_NOT_ALLOWED"
	TooMany           Reason = "TOO_MANY_CREDENTIALS"
	Repeated          Reason = "REPEATED_IN_FILE" // the same user, handle or credential as in an earlier line
	UserExists        Reason = "USER_EXISTS"
	HandleTaken       Reason = "USER_HANDLE_TAKEN"          // by another user of the tenant
	HandleDiffers     Reason = "USER_HANDLE_DIFFERS"        // from that of the user who exists
	CredentialExists  Reason = "CREDENTIAL_EXISTS"          // of the same user
	CredentialForeign Reason = "CREDENTIAL_OF_ANOTHER_USER" // never moved, whatever the policy for duplicates
)

// Problem is one thing that is wrong with a line. It never repeats what stands there:
// reports are read by more people than the file.
type Problem struct {
	Field  string // as credentials[0].publicKey; empty for the whole line
	Reason Reason
	Detail string // for people; may be empty
}

// problem is p of an error: a fault's reason and message, and no other error's text.
func problem(field string, otherwise Reason, err error) Problem {
	p := Problem{Field: field, Reason: otherwise}
	if f, ok := fault.As(err); ok {
		p.Detail = f.Message
		if otherwise == "" {
			p.Reason = Reason(f.Reason)
		}
	}
	return p
}

// field is what a fault says it is about.
func field(err error) string {
	f, ok := fault.As(err)
	if !ok {
		return ""
	}
	return f.Metadata["field"]
}
