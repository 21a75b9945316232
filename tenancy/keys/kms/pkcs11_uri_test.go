package kms

import (
	"strings"
	"testing"
)

func TestPKCS11URL(t *testing.T) {
	got, err := parsePKCS11("token=The%20Software%20PKCS%2311%20Softtoken;serial=1;object=kek;type=secret-key?module-path=/usr/lib/p11.so&pin-source=file:/run/pin")
	want := pkcs11URI{token: "The Software PKCS#11 Softtoken", serial: "1", object: "kek", module: "/usr/lib/p11.so", pin: "/run/pin"}
	if err != nil || got != want {
		t.Errorf("parsePKCS11 = %+v, %v, want %+v", got, err, want)
	}
	if name := want.where() + want.object; name != "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;object=kek" {
		t.Errorf("the key's name is %s", name)
	}
	const query = "?module-path=/lib/p11.so&pin-source=/run/pin"
	for _, tt := range []struct{ name, rest, want string }{
		{"nothing", "", "has the form"},
		{"no token", "object=kek" + query, "has the form"},
		{"no object", "token=t" + query, "has the form"},
		{"no module", "token=t;object=kek?pin-source=/run/pin", "has the form"},
		{"no PIN's file", "token=t;object=kek?module-path=/lib/p11.so", "has the form"},
		{"a PIN", "token=t;object=kek" + query + "&pin-value=hunter2", "holds no PIN"},
		{"a PIN in the path", "token=t;object=kek;pin-value=hunter2" + query, "holds no PIN"},
		{"a token twice", "token=t;token=u;object=kek" + query, `"token"`},
		{"an unknown attribute", "token=t;object=kek;slot-description=x" + query, `"slot-description"`},
		{"a module in the path", "token=t;object=kek;module-path=/lib/p11.so?pin-source=/run/pin", "wrong side"},
		{"a private key", "token=t;object=kek;type=private" + query, "secret-key"},
		{"a module that is searched for", "token=t;object=kek?module-path=p11.so&pin-source=/run/pin", "absolute"},
		{"a value that cannot be read", "token=%zz;object=kek" + query, "cannot be read"},
		{"a label without end", "token=t;object=" + strings.Repeat("k", 500) + query, "512"},
	} {
		_, err := Open(t.Context(), "pkcs11:"+tt.rest)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: Open error = %v, want %q in it", tt.name, err, tt.want)
		}
	}
}
