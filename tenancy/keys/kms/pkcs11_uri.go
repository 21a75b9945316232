package kms

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// pkcs11URI is what a URI of RFC 7512 says, as far as it is needed here.
type pkcs11URI struct {
	token  string // label: it is the same on every server, unlike a slot's number
	serial string // may choose one of several tokens of that label; "" for any
	object string // label of the AES key
	id     string // its CKA_ID as well; "" for any
	module string // path of the PKCS#11 library
	pin    string // path of the file that holds the PIN
}

const pkcs11Form = "a PKCS#11 URL has the form pkcs11:token=label;object=label?module-path=/path/lib.so&pin-source=/path/pin (RFC 7512)"

// parsePKCS11 reads what follows "pkcs11:".
func parsePKCS11(rest string) (pkcs11URI, error) {
	path, query, _ := strings.Cut(rest, "?")
	var u pkcs11URI
	known := map[string]*string{
		"token": &u.token, "serial": &u.serial, "object": &u.object, "id": &u.id, "type": new(string),
		"module-path": &u.module, "pin-source": &u.pin,
	}
	for i, part := range []string{path, query} {
		if part == "" {
			continue // told below, with the form
		}
		for attribute := range strings.SplitSeq(part, []string{";", "&"}[i]) {
			name, value, _ := strings.Cut(attribute, "=")
			into, ok := known[name]
			inQuery := name == "module-path" || name == "pin-source"
			switch {
			case name == "pin-value":
				return u, errors.New("a PKCS#11 URL holds no PIN: put it into a file, and name that by pin-source")
			case !ok || inQuery != (i == 1) || *into != "":
				return u, fmt.Errorf("the PKCS#11 URL has an attribute %q that is unknown, given twice or on the wrong side of its question mark", printable(name))
			}
			text, err := url.PathUnescape(value)
			if err != nil || text == "" {
				return u, fmt.Errorf("the PKCS#11 URL's attribute %s cannot be read", name)
			}
			*into = text
		}
	}
	u.pin = strings.TrimPrefix(u.pin, "file:")
	switch {
	case u.token == "" || u.object == "" || u.module == "" || u.pin == "":
		return u, errors.New(pkcs11Form)
	case *known["type"] != "" && *known["type"] != "secret-key":
		return u, errors.New("the key that wraps is of type secret-key")
	case !strings.HasPrefix(u.module, "/") || !strings.HasPrefix(u.pin, "/"):
		return u, errors.New("module-path and pin-source are absolute paths")
	case len(u.where())+len(pkcs11Escape(u.object)) > 512:
		return u, errors.New("the name of the PKCS#11 key is over 512 bytes")
	}
	return u, nil
}

// where is what the names of all objects of the token begin with.
func (u pkcs11URI) where() string { return "pkcs11:token=" + pkcs11Escape(u.token) + ";object=" }

// pkcs11Escape writes a value as a URI has it; PathEscape leaves nothing that RFC 7512
// forbids but ";" and "=".
func pkcs11Escape(value string) string {
	return strings.NewReplacer(";", "%3B", "=", "%3D").Replace(url.PathEscape(value))
}
