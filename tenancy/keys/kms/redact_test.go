package kms

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/auth"
	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
)

// heldToken is a provider that has a token.
type heldToken string

func (h heldToken) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: string(h)}, nil
}

// Access to a KMS is as good as its key.
func TestTokensDoNotPrint(t *testing.T) {
	const token = "hvs.made-up-for-this"
	held := &vaultToken{value: token}
	cloud := &google{creds: &auth.Credentials{TokenProvider: heldToken(token)}}
	amazon := &amazon{client: awskms.New(awskms.Options{Credentials: aws.CredentialsProviderFunc(nil), Region: token})}
	for _, v := range []any{held, cloud, []any{cloud}, amazon, []any{amazon}, &vault{token: held}, []any{held}, struct{ KMS *vault }{&vault{token: held}}} {
		for verb := range strings.FieldsSeq("%v %+v %#v %s %q %x %d %t") {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, token) || strings.Contains(got, fmt.Sprintf("%x", token)) {
				t.Errorf("%s of a %T prints %s", verb, v, got)
			}
		}
	}
}
