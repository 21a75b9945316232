package scope

import "strings"

// Browser is what the User-Agent says of the browser, for people's eyes: "Chrome 141 on
// Windows", "Safari on iPhone". It has at most 40 bytes, all of ASCII, and is empty when the header
// names nothing that is known. Versions are those that browsers still tell: most have
// frozen all but the first number.
func (o Origin) Browser() string {
	name, version := browserOf(o.UserAgent)
	system := systemOf(o.UserAgent)
	switch {
	case name == "":
		return system
	case version != "" && system != "":
		return name + " " + version + " on " + system
	case version != "":
		return name + " " + version
	case system != "":
		return name + " on " + system
	}
	return name
}

// Device is what the User-Agent says of the kind of browser and the system, without versions: "Chrome on Windows". Empty
// when the header names nothing that is known.
func (o Origin) Device() string {
	name, _ := browserOf(o.UserAgent)
	system := systemOf(o.UserAgent)
	if name != "" && system != "" {
		return name + " on " + system
	}
	return name + system
}

// browsers by the token that tells them apart, the more exact before those that they
// claim to be as well: everybody says Safari, and nearly everybody Chrome.
var browsers = [...]struct{ token, name string }{
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Version/", "Safari"},
}

func browserOf(userAgent string) (name, version string) {
	for _, b := range &browsers {
		_, rest, ok := strings.Cut(userAgent, b.token)
		if !ok || b.name == "Safari" && !strings.Contains(rest, "Safari/") {
			continue
		}
		n := 0
		for n < len(rest) && n < 4 && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		return b.name, rest[:n]
	}
	return "", ""
}

var systems = [...]struct{ token, name string }{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
}

func systemOf(userAgent string) string {
	for _, s := range &systems {
		if strings.Contains(userAgent, s.token) {
			return s.name
		}
	}
	return ""
}
