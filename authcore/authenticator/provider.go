package authenticator

import "github.com/google/uuid"

// provider is a model's name, and what sort of thing it is.
type provider struct {
	name string
	kind Kind
}

// providers are the names of the providers and security keys that most people use, from
// the community's list of passkey providers and the makers' own pages. They come first:
// the metadata knows no password manager, and calls some keys by their order numbers.
var providers = map[uuid.UUID]provider{
	// Of platforms and browsers.
	uuid.MustParse("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"): {"iCloud Keychain", Synced},
	uuid.MustParse("dd4ec289-e01d-41c9-bb89-70fa845d4bf2"): {"iCloud Keychain (managed)", Synced},
	uuid.MustParse("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"): {"Google Password Manager", Synced},
	uuid.MustParse("08987058-cadc-4b81-b6e1-30de50dcbe96"): {"Windows Hello", BuiltIn},
	uuid.MustParse("9ddd1817-af5a-4672-a2b9-3e3dd95000a9"): {"Windows Hello", BuiltIn},
	uuid.MustParse("6028b017-b1d4-4c02-b4b3-afcdafc96bb2"): {"Windows Hello", BuiltIn},
	uuid.MustParse("53414d53-554e-4700-0000-000000000000"): {"Samsung Pass", Synced},
	uuid.MustParse("adce0002-35bc-c60a-648b-0b25f1f05503"): {"Chrome on Mac", BuiltIn},
	uuid.MustParse("771b48fd-d3d4-4f74-9232-fc157ab0507a"): {"Edge on Mac", BuiltIn},
	uuid.MustParse("b5397666-4885-aa6b-cebf-e52262a439a2"): {"Chromium", BuiltIn},

	// Password managers.
	uuid.MustParse("bada5566-a7aa-401f-bd96-45619a55120d"): {"1Password", Synced},
	uuid.MustParse("d548826e-79b4-db40-a3d8-11116f7e8349"): {"Bitwarden", Synced},
	uuid.MustParse("531126d6-e717-415c-9320-3d9aa6981239"): {"Dashlane", Synced},
	uuid.MustParse("f3809540-7f14-49c1-a8b3-8f813b225541"): {"Enpass", Synced},
	uuid.MustParse("fdb141b2-5d84-443e-8a35-4698c205a502"): {"KeePassXC", Synced},
	uuid.MustParse("0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6"): {"Keeper", Synced},
	uuid.MustParse("b78a0a55-6ef8-d246-a042-ba0f6d55050c"): {"LastPass", Synced},
	uuid.MustParse("b84e4048-15dc-4dd0-8640-f4f60813c8af"): {"NordPass", Synced},
	uuid.MustParse("50726f74-6f6e-5061-7373-50726f746f6e"): {"Proton Pass", Synced},

	// Security keys.
	uuid.MustParse("cb69481e-8ff7-4039-93ec-0a2729a154a8"): {"YubiKey 5 Series", SecurityKey},
	uuid.MustParse("ee882879-721c-4913-9775-3dfcce97072a"): {"YubiKey 5 Series", SecurityKey},
	uuid.MustParse("fa2b99dc-9e39-4257-8f92-4a30d23c4118"): {"YubiKey 5 Series with NFC", SecurityKey},
	uuid.MustParse("2fc0579f-8113-47ea-b116-bb5a8db9202a"): {"YubiKey 5 Series with NFC", SecurityKey},
	uuid.MustParse("c5ef55ff-ad9a-4b9f-b580-adebafe026d0"): {"YubiKey 5Ci", SecurityKey},
	uuid.MustParse("73bb0cd4-e502-49b8-9c6f-b59445bf720b"): {"YubiKey 5 FIPS Series", SecurityKey},
	uuid.MustParse("c1f9a0bc-1dd2-404a-b27f-8e29047a43fd"): {"YubiKey 5 FIPS Series with NFC", SecurityKey},
	uuid.MustParse("85203421-48f9-4355-9bc8-8a53846e5083"): {"YubiKey 5Ci FIPS", SecurityKey},
	uuid.MustParse("d8522d9f-575b-4866-88a9-ba99fa02f35b"): {"YubiKey Bio Series", SecurityKey},
	uuid.MustParse("f8a011f3-8c0a-4d15-8006-17111f9edc7d"): {"Security Key by Yubico", SecurityKey},
	uuid.MustParse("b92c3f9a-c014-4056-887f-140a2501163b"): {"Security Key by Yubico", SecurityKey},
}
