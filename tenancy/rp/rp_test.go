package rp_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/rp"
)

func TestCheckID(t *testing.T) {
	for _, tt := range []struct {
		rpID string
		want error
	}{
		{"acme.example", nil},
		{"login.acme.co.uk", nil},
		{"xn--bcher-kva.example", nil},
		{"localhost", nil},
		{"acme.localhost", nil},
		{"", rp.ErrDomainLength},
		{strings.Repeat("a.", 124) + "example", rp.ErrDomainLength},
		{"192.0.2.1", rp.ErrAddress},
		{"acme.0x7f", rp.ErrAddress},
		{"acme.7", rp.ErrAddress},
		{"Acme.example", rp.ErrDomain},
		{"bücher.example", rp.ErrDomain},
		{"https://acme.example", rp.ErrDomain},
		{"acme.example.", rp.ErrDomain},
		{"co.uk", rp.ErrSuffix},
		{"github.io", rp.ErrSuffix},
		{"example", rp.ErrSuffix}, // the rule * of the list
	} {
		if err := rp.CheckID(tt.rpID); !errors.Is(err, tt.want) {
			t.Errorf("CheckID(%q) = %v, want %v", tt.rpID, err, tt.want)
		}
	}
}

func TestLabel(t *testing.T) {
	for host, want := range map[string]string{
		"acme.example": "acme", "login.acme.example": "acme", "acme.co.uk": "acme", "www.acme.co.uk": "acme",
		"shop.github.io": "shop", "a.b.shop.github.io": "shop", "acme.de": "acme", "xn--bcher-kva.example": "xn--bcher-kva",
		"co.uk": "", "github.io": "", "localhost": "", "app.localhost": "", "192.0.2.1": "", "": "", "Acme.example": "",
	} {
		if got, ok := rp.Label(host); got != want || ok != (want != "") {
			t.Errorf("Label(%q) = %q, %v, want %q", host, got, ok, want)
		}
	}
}

// Five different labels; the sixth is as good as absent, and one that came before it is not.
func TestCount(t *testing.T) {
	b := rp.Count([]string{
		"https://a.example", "https://login.a.example", "https://a.co.uk", // one label
		"https://b.example", "not an origin", "https://co.uk", "https://localhost", // the three cost nothing
		"http://c.example",       // of no use, and costs one
		"https://d.example/path", // too
		"https://e.example", "https://f.example", "https://b.de", "https://g.example", "https://f.de",
	})
	if want := []string{"a", "b", "c", "d", "e", "f", "g"}; !slices.Equal(b.Labels, want) {
		t.Errorf("labels = %q, want %q", b.Labels, want)
	}
	if !b.Over() || b.Limit != 5 {
		t.Errorf("over = %v, limit = %d, want true, 5", b.Over(), b.Limit)
	}
	var got []string
	for _, o := range b.Origins {
		got = append(got, string(o.Reason))
	}
	want := []string{
		"", "", "", "", "ORIGIN_MALFORMED", "ORIGIN_WITHOUT_LABEL", "ORIGIN_WITHOUT_LABEL", "ORIGIN_NOT_SECURE", "ORIGIN_MALFORMED",
		"", "RELATED_LABELS_SPENT", "", "RELATED_LABELS_SPENT", "RELATED_LABELS_SPENT",
	}
	if !slices.Equal(got, want) {
		t.Errorf("reasons = %q,\nwant %q", got, want)
	}
	five := rp.Count([]string{"https://a.example", "https://b.example", "https://c.example", "https://d.example", "https://e.example"})
	if five.Over() {
		t.Error("five labels are over the limit")
	}
}

func TestRelate(t *testing.T) {
	related := []string{
		"https://acme.de", "https://acme.shop:8443", "https://b.example", "https://c.example", "https://d.example", "https://e.example",
		"https://f.example", "https://github.io", "https://login.acme.co.uk",
	}
	for _, tt := range []struct {
		name, rpID, origin string
		want               rp.Relation
		why                rp.Reason
	}{
		{"the RP ID itself", "acme.example", "https://acme.example", rp.Own, ""},
		{"below it", "acme.example", "https://login.acme.example:8443", rp.Own, ""},
		{"localhost by http", "localhost", "http://localhost:8080", rp.Own, ""},
		{"by http", "acme.example", "http://acme.example", rp.Unusable, rp.OriginInsecure},
		{"above it", "login.acme.example", "https://acme.example", rp.Unusable, rp.OriginAboveRPID},
		{"beside it", "login.acme.example", "https://shop.acme.example", rp.Unusable, rp.OriginUnrelated},
		{"the same at the end of a label", "acme.example", "https://evilacme.example", rp.Unusable, rp.OriginUnrelated},
		{"the RP ID below another", "acme.example", "https://acme.example.evil.example", rp.Unusable, rp.OriginUnrelated},
		{"related", "acme.example", "https://acme.de", rp.Related, ""},
		{"related, and another port", "acme.example", "https://acme.shop", rp.Unusable, rp.OriginUnrelated},
		{"related, and below what is in the list", "acme.example", "https://www.acme.de", rp.Unusable, rp.OriginUnrelated},
		{"related, a label that came before", "acme.example", "https://login.acme.co.uk", rp.Related, ""},
		{"related, behind five labels", "acme.example", "https://f.example", rp.Unusable, rp.LabelBudgetSpent},
		{"related, a public suffix", "acme.example", "https://github.io", rp.Unusable, rp.OriginWithoutLabel},
		{"a final slash", "acme.example", "https://acme.example/", rp.Unusable, rp.OriginMalformed},
		{"a default port", "acme.example", "https://acme.example:443", rp.Unusable, rp.OriginMalformed},
		{"an app", "acme.example", "android:apk-key-hash:abc", rp.Unusable, rp.OriginMalformed},
		{"another scheme", "acme.example", "wss://acme.example", rp.Unusable, rp.OriginMalformed},
		{"an RP ID that is a suffix", "co.uk", "https://acme.co.uk", rp.Unusable, rp.RPIDPublicSuffix},
		{"an RP ID that is a URL", "https://acme.example", "https://acme.example", rp.Unusable, rp.RPIDMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := rp.Relate(tt.rpID, tt.origin, related)
			if got.Relation != tt.want || got.Reason != tt.why {
				t.Errorf("Relate(%q, %q) = %+v, want %s %s", tt.rpID, tt.origin, got, tt.want, tt.why)
			}
			if (got.Detail == "") != (got.Relation != rp.Unusable) {
				t.Errorf("detail = %q of %s", got.Detail, got.Relation)
			}
		})
	}
}

// What is taken is what a browser can have sent: the text is its own serialised form,
// and a URL parser finds the same host in it.
func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{
		"https://acme.example", "http://localhost:8080", "https://acme.example:8443", "https://user@acme.example", "https://acme.example:",
		"https://[::1]", "https://acme.example\\@evil.example", "https://acme%2eexample", "null", "", "https://acme.example:065536",
		"android:apk-key-hash:abc", "https://ACME.example", "https://acme.example./", "//acme.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := rp.ParseOrigin(text)
		if err != nil {
			return
		}
		if o.String() != text {
			t.Fatalf("ParseOrigin(%q) is %q", text, o.String())
		}
		u, err := url.Parse(text)
		if err != nil || u.Hostname() != o.Host || u.Path != "" || u.User != nil || rp.CheckDomain(o.Host) != nil {
			t.Fatalf("ParseOrigin(%q) = %+v, url.Parse = %+v, %v", text, o, u, err)
		}
		if label, ok := rp.Label(o.Host); ok && !slices.Contains(strings.Split(o.Host, "."), label) {
			t.Fatalf("label %q of %q", label, o.Host)
		}
		if v := rp.Relate("acme.example", text, nil); (v.Relation == rp.Own) != (o.Scheme == "https" && o.Under("acme.example")) {
			t.Fatalf("Relate = %+v", v)
		}
	})
}
