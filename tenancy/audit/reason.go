package audit

import "unicode/utf8"

// MaxReason is how many characters a reason has at most.
const MaxReason = 256

const maxTicket = 100

// IsReason reports whether s can be why somebody did something: 1 to MaxReason characters
// of UTF-8.
func IsReason(s string) bool { return isText(s, MaxReason) }

// IsTicket reports whether s can name the customer's request: 1 to 100 characters of UTF-8.
func IsTicket(s string) bool { return isText(s, maxTicket) }

func isText(s string, longest int) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= longest
}
