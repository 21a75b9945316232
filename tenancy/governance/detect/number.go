package detect

// number judges numbers that begin with the word from start to end. It returns the end of a finding, or 0.
func (s *scanner) number(start, end int, bits byte) int {
	var room [40]byte
	size := end - start
	if bits == digit {
		switch {
		case size >= 13 && size <= 19 && s.ends(end) && isCard([]byte(s.text[start:end])):
			return s.add(Card, start, end)
		case size == 4:
			if end+1 >= len(s.text) || class[s.text[end]] != 0 || class[s.text[end+1]] != digit {
				return 0
			}
			for _, sizes := range cardGroups {
				if c, e := s.groups(start, room[:], sizes...); e > 0 && isCard(c) {
					return s.add(Card, start, e)
				}
			}
			return 0
		}
		return s.nationalDigits(start, end)
	}
	if size >= 4 && class[s.text[start]]&class[s.text[start+1]]&letter != 0 && class[s.text[start+2]]&class[s.text[start+3]]&digit != 0 {
		if e := s.iban(start, end); e > 0 {
			return s.add(IBAN, start, e)
		}
	}
	return s.nationalLetters(start, end, bits)
}

// cardGroups are how cards show their numbers, the longest first.
var cardGroups = [][]int{{4, 4, 4, 4, 3}, {4, 4, 4, 4}, {4, 6, 5}, {4, 6, 4}}

// isCard judges the digits of a card: a range of an issuer that sells cards of this length, and Luhn's digit
// (ISO/IEC 7812-1).
func isCard(d []byte) bool {
	return all(d, digit) && issued(d) && luhn(d)
}

func issued(d []byte) bool {
	if len(d) < 13 || len(d) > 19 {
		return false
	}
	head, n := value(d[:4]), len(d)
	two := head / 100
	switch {
	case d[0] == '4': // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, head >= 2221 && head <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case two == 36, two == 38, two == 39, head >= 3000 && head <= 3059, head/10 == 309: // Diners Club
		return n >= 14
	case head >= 3528 && head <= 3589: // JCB
		return n >= 16
	case head == 6011, two == 65, head/10 >= 644 && head/10 <= 649, two == 62, two == 60, two == 81, two == 82: // Discover, UnionPay, RuPay
		return n >= 16
	case head == 5018, head == 5020, head == 5038, head == 5893, head == 6304, head == 6759, head >= 6761 && head <= 6763: // Maestro
		return n >= 16
	}
	return false
}

// luhn reports whether the last digit is Luhn's of those before it.
func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		n := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// value is the number that digits write.
func value(d []byte) int {
	n := 0
	for _, c := range d {
		n = n*10 + int(c-'0')
	}
	return n
}

// ibanLengths are from the IBAN registry of SWIFT, release 99.
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28,
	"CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
	"GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
	"LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
	"NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24,
	"SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

// iban returns the end of an IBAN (ISO 13616) that begins at start, in one run or in groups of four; 0 for none. In
// small letters one counts where all behind the country is digits: hexadecimal runs would look alike.
func (s *scanner) iban(start, end int) int {
	var room [40]byte
	country := [2]byte{s.text[start] &^ 32, s.text[start+1] &^ 32}
	size := ibanLengths[string(country[:])]
	if size == 0 {
		return 0
	}
	var compact []byte
	switch end - start {
	case size:
		if !s.ends(end) {
			return 0
		}
		compact = append(room[:0], s.text[start:end]...)
	case 4:
		sizes := make([]int, 0, 9)
		for left := size; left > 0; left -= 4 {
			sizes = append(sizes, min(left, 4))
		}
		if compact, end = s.groups(start, room[:], sizes...); end == 0 {
			return 0
		}
	default:
		return 0
	}
	if small := class[compact[0]] == lower || class[compact[1]] == lower; small && !all(compact[2:], digit) || !all(compact[2:], digit|upper) || !mod97(compact) {
		return 0
	}
	return end
}

// mod97 reports whether the check digits are right (ISO/IEC 7064, MOD 97-10).
func mod97(iban []byte) bool {
	sum := 0
	for i := range iban {
		c := iban[(i+4)%len(iban)]
		if class[c] == digit {
			sum = (sum*10 + int(c-'0')) % 97
		} else {
			sum = (sum*100 + int(c&^32-'A') + 10) % 97
		}
	}
	return sum == 1
}
