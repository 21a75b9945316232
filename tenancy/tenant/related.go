package tenant

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/rp"
)

// Bounds of what stands in documents that anybody reads, and is compared in every
// ceremony.
const (
	maxRelatedOrigins = 64
	maxAndroidApps    = 20
	maxFingerprints   = 5 // of one app: a key and its successors
	maxIOSApps        = 20
	maxURLBytes       = 2048
)

// AndroidApp is an app that runs ceremonies for the RP ID.
type AndroidApp struct {
	PackageName string
	// Fingerprints are the SHA-256 of the certificates that it may be signed with, in
	// capital hexadecimal digits with colons, as keytool and Google Play show them.
	Fingerprints []string
}

// PasskeyEndpoints are pages of the tenant that credential managers link to (W3C, A
// Well-Known URL for Relying Party Passkey Endpoints). Empty: there is none.
type PasskeyEndpoints struct {
	Enroll          string // where somebody who is signed in creates a passkey
	Manage          string // where they see their passkeys
	PRFUsageDetails string // what is lost with a passkey whose PRF encrypts data
}

// checkRelatedOrigins takes origins of other domains whose pages may use the RP ID's
// passkeys. Those of the RP ID itself need no list: they are origins.
func checkRelatedOrigins(rpID string, origins []string) error {
	const field = "relatedOrigins"
	if len(origins) > maxRelatedOrigins {
		return invalid(field, "has at most 64 entries")
	}
	for i, o := range origins {
		if slices.Contains(origins[:i], o) {
			return invalid(field, "has an entry twice")
		}
		parsed, err := rp.ParseOrigin(o)
		if err == nil && parsed.Scheme != "https" {
			err = errPlainRelated
		}
		if err != nil {
			return invalid(field, err.Error())
		}
		if parsed.Under(rpID) {
			return invalid(field, "has an origin of the RP ID's own domain, which belongs into origins")
		}
	}
	// A list that is over the budget would work for some of its pages, and for others in
	// some browsers.
	budget := rp.Count(origins)
	for _, o := range budget.Origins {
		if o.Reason == rp.OriginWithoutLabel {
			return invalid(field, "has an origin whose domain nobody can register: browsers pass over it")
		}
	}
	if budget.Over() {
		return invalid(field, fmt.Sprintf("has %d registrable labels (%s), and browsers heed %d",
			len(budget.Labels), strings.Join(budget.Labels, ", "), budget.Limit))
	}
	return nil
}

// Browsers fetch the list over https, and match it with pages on https alone.
var errPlainRelated = errors.New("has https")

var (
	// https://developer.android.com/build/configure-app-module#set-application-id
	packageForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)
	// Team or app id prefix, and the bundle ID (CFBundleIdentifier).
	iosAppForm = regexp.MustCompile(`^[A-Z0-9]{10}\.[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)
)

const (
	maxPackageBytes = 255
	maxIOSAppBytes  = 255
)

func checkAndroidApps(apps []AndroidApp) error {
	const field = "androidApps"
	if len(apps) > maxAndroidApps {
		return invalid(field, "has at most 20 entries")
	}
	for i, a := range apps {
		switch {
		case len(a.PackageName) > maxPackageBytes || !packageForm.MatchString(a.PackageName):
			return invalid(field, "has package names such as com.example.bank")
		case slices.ContainsFunc(apps[:i], func(b AndroidApp) bool { return b.PackageName == a.PackageName }):
			return invalid(field, "names a package twice")
		case len(a.Fingerprints) < 1 || len(a.Fingerprints) > maxFingerprints:
			return invalid(field, "has 1 to 5 fingerprints for each package")
		}
		for j, f := range a.Fingerprints {
			if _, ok := certificateHash(f); !ok {
				return invalid(field, "has fingerprints of SHA-256, such as 14:6D:E9:… with 32 pairs of capital hexadecimal digits")
			}
			if slices.Contains(a.Fingerprints[:j], f) {
				return invalid(field, "has a fingerprint twice")
			}
		}
	}
	return nil
}

// certificateHash reads a fingerprint, which has one spelling.
func certificateHash(fingerprint string) ([]byte, bool) {
	hash, err := hex.DecodeString(strings.ReplaceAll(fingerprint, ":", ""))
	return hash, err == nil && len(hash) == 32 && fingerprintOf(hash) == fingerprint
}

func fingerprintOf(hash []byte) string {
	var b strings.Builder
	for i, c := range hash {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}

func checkIOSApps(apps []string) error {
	const field = "iosAppIds"
	if len(apps) > maxIOSApps {
		return invalid(field, "has at most 20 entries")
	}
	for i, a := range apps {
		if len(a) > maxIOSAppBytes || !iosAppForm.MatchString(a) {
			return invalid(field, "has the team's id of 10 letters and digits, a point and the bundle id, such as A1B2C3D4E5.com.example.bank")
		}
		if slices.Contains(apps[:i], a) {
			return invalid(field, "has an entry twice")
		}
	}
	return nil
}

// check takes pages of the tenant: at the RP ID's domain or at a related origin, so that
// no credential manager sends people to a stranger.
func (e *PasskeyEndpoints) check(t *Tenant) error {
	for field, address := range map[string]string{
		"passkeyEndpoints.enroll": e.Enroll, "passkeyEndpoints.manage": e.Manage, "passkeyEndpoints.prfUsageDetails": e.PRFUsageDetails,
	} {
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || len(address) > maxURLBytes || u.Host == "" || u.User != nil || u.String() != address {
			return invalid(field, "is an absolute URL of at most 2048 bytes")
		}
		origin := u.Scheme + "://" + u.Host
		if !slices.Contains(t.Origins, origin) && !slices.Contains(t.RelatedOrigins, origin) {
			return invalid(field, "is at one of the tenant's origins or related origins")
		}
	}
	return nil
}

// checkPlaces judges where ceremonies may run as a whole: each list rests on the RP ID,
// and another one may strand it.
func (t *Tenant) checkPlaces() error {
	if err := checkOrigins(t.Mode, t.RPID, t.Origins); err != nil {
		return err
	}
	if err := checkRelatedOrigins(t.RPID, t.RelatedOrigins); err != nil {
		return err
	}
	if err := checkAndroidApps(t.AndroidApps); err != nil {
		return err
	}
	if err := checkIOSApps(t.IOSApps); err != nil {
		return err
	}
	return t.PasskeyEndpoints.check(t)
}

// ceremonyOrigins are the origins that client data may name: the tenant's pages, related
// ones, and apps. All are compared byte by byte.
//
// Android names an app by the hash of its signing certificate
// (https://developer.android.com/identity/sign-in/credential-manager#verify-origin); Apple's
// platforms name the RP ID's own origin, whichever of the associated apps asks.
func (t *Tenant) ceremonyOrigins() []string {
	all := slices.Concat(t.Origins, t.RelatedOrigins)
	for _, a := range t.AndroidApps {
		for _, f := range a.Fingerprints {
			if hash, ok := certificateHash(f); ok {
				all = append(all, "android:apk-key-hash:"+base64.RawURLEncoding.EncodeToString(hash))
			}
		}
	}
	if own := "https://" + t.RPID; len(t.IOSApps) > 0 && !slices.Contains(all, own) {
		all = append(all, own)
	}
	return all
}

// androidRows is the form in the table: one entry a fingerprint.
func androidRows(apps []AndroidApp) []string {
	rows := []string{}
	for _, a := range apps {
		for _, f := range a.Fingerprints {
			rows = append(rows, a.PackageName+"/"+strings.ToLower(strings.ReplaceAll(f, ":", "")))
		}
	}
	return rows
}

func androidApps(rows []string) []AndroidApp {
	var apps []AndroidApp
	for _, row := range rows {
		name, digits, _ := strings.Cut(row, "/")
		hash, err := hex.DecodeString(digits)
		if err != nil {
			continue // nobody wrote it: it lets no app in
		}
		i := slices.IndexFunc(apps, func(a AndroidApp) bool { return a.PackageName == name })
		if i < 0 {
			i, apps = len(apps), append(apps, AndroidApp{PackageName: name})
		}
		apps[i].Fingerprints = append(apps[i].Fingerprints, fingerprintOf(hash))
	}
	return apps
}
