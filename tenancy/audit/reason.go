package audit

import "unicode/utf8"

const maxReason, maxTicket = 256, 100 // characters

// IsReason reports whether s can be why somebody did something: 1 to 256 characters of UTF-8.
func IsReason(s string) bool { return isText(s, maxReason) }

// IsTicket reports whether s can name the customer's request: 1 to 100 characters of UTF-8.
func IsTicket(s string) bool { return isText(s, maxTicket) }

func isText(s string, longest int) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= longest
}
