package console

import (
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
)

// modelFace is how a model of authenticators looks: the maker's icon where the metadata has
// one, else that of its kind.
type modelFace struct {
	Picture     string // address; empty for none
	Icon, Class string // of the sprite, and the ground it stands on
}

// glyphs are the icons of kinds.
var glyphs = map[authenticator.Kind]modelFace{
	0: {Icon: "key"}, authenticator.Synced: {Icon: "cloud", Class: "blue"}, authenticator.BuiltIn: {Icon: "laptop", Class: "teal"},
	authenticator.Phone: {Icon: "phone", Class: "teal"}, authenticator.SecurityKey: {Icon: "usb", Class: "amber"},
}

// faceOf is the face of a model; t is what is known of the one that is meant, if anything.
func (c *Console) faceOf(aaguid uuid.UUID, t authenticator.Traits) modelFace {
	metadata := c.metadata()
	if authenticator.Icon(aaguid, metadata) != nil {
		return modelFace{Picture: "/authenticators/" + aaguid.String() + "/icon", Class: glyphs[t.Kind()].Class}
	}
	kind := t.Kind()
	if kind == 0 {
		kind = authenticator.KindOf(aaguid, metadata)
	}
	return glyphs[kind]
}
