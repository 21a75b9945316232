package detect

import (
	"strings"
	"time"
)

// nationalDigits judges ids that begin with a word of digits. It returns the end of a finding, or 0.
func (s *scanner) nationalDigits(start, end int) int {
	var room [24]byte
	size := end - start
	d := []byte(nil)
	if size <= 15 {
		d = append(room[:0], s.text[start:end]...)
	}
	free := s.ends(end)
	try := func(ok func([]byte) bool, sizes ...int) int {
		var room [24]byte
		if c, e := s.groups(start, room[:], sizes...); e > 0 && ok(c) {
			return s.add(NationalID, start, e)
		}
		return 0
	}
	switch {
	case size == 11 && free && (isGermanTaxID(d) || isPESEL(d)),
		size == 15 && free && isNIR(d),
		size == 9 && free && isBSN(d) && s.follows(start, "bsn", "burgerservicenummer", "sofinummer"):
		return s.add(NationalID, start, end)
	case size == 1:
		return try(isNIR, 1, 2, 2, 2, 3, 3, 2)
	case size == 2:
		return try(isGermanTaxID, 2, 3, 3, 3)
	case size == 3 && end < len(s.text) && s.text[end] == '-':
		return try(isSSN, 3, 2, 4)
	case size == 13 && end+1 < len(s.text) && s.text[end] == ' ':
		return try(isNIR, 13, 2)
	case (size == 6 || size == 8) && end < len(s.text) && (s.text[end] == '-' || s.text[end] == '+'):
		if e := end + 5; e <= len(s.text) && s.ends(e) && isPersonnummer(append(d, s.text[end+1:e]...)) {
			return s.add(NationalID, start, e)
		}
		if size == 8 {
			return try(isDNI, 8, 1)
		}
	}
	return 0
}

// nationalLetters judges ids that begin with a word that has letters in it. It returns the end of a finding, or 0.
func (s *scanner) nationalLetters(start, end int, bits byte) int {
	var room [24]byte
	size := end - start
	switch {
	case size == 16 && s.ends(end) && isCodiceFiscale(append(room[:0], strings.ToUpper(s.text[start:end])...)),
		size == 15 && s.ends(end) && isNIR([]byte(s.text[start:end])),
		size == 9 && s.ends(end) && bits == upper|digit && (isDNI([]byte(s.text[start:end])) || isNINO([]byte(s.text[start:end]))):
		return s.add(NationalID, start, end)
	case size == 2:
		if c, e := s.groups(start, room[:], 2, 2, 2, 2, 1); e > 0 && isNINO(c) {
			return s.add(NationalID, start, e)
		}
	case size == 8 && end+1 < len(s.text) && s.text[end] == '-' && bits == upper|digit: // X1234567-L
		if c, e := s.groups(start, room[:], 8, 1); e > 0 && isDNI(c) {
			return s.add(NationalID, start, e)
		}
	}
	return 0
}

// follows reports whether one of the words, in small letters, stands before start with nothing but blanks and
// punctuation between.
func (s *scanner) follows(start int, words ...string) bool {
	i := start
	for i > 0 && start-i < 4 && class[s.text[i-1]] == 0 {
		i--
	}
	before := strings.ToLower(s.text[max(0, i-24):i])
	for _, w := range words {
		if strings.HasSuffix(before, w) {
			return true
		}
	}
	return false
}

// isGermanTaxID judges a Steueridentifikationsnummer (§ 139b AO): of the first ten digits one stands there twice or
// thrice and no other more than once; the last is of ISO/IEC 7064, MOD 11,10.
func isGermanTaxID(d []byte) bool {
	if !all(d, digit) || d[0] == '0' {
		return false
	}
	var counts [10]int
	product := 10
	for _, c := range d[:10] {
		counts[c-'0']++
		sum := (int(c-'0') + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	repeated := 0
	for _, n := range counts {
		if n > 3 {
			return false
		}
		if n > 1 {
			repeated++
		}
	}
	return repeated == 1 && (11-product)%10 == int(d[10]-'0')
}

// isPESEL judges a Polish number: a day of birth, whose month tells the century, and a weighed digit.
func isPESEL(d []byte) bool {
	if !all(d, digit) {
		return false
	}
	sum := 0
	for i, w := range [10]int{1, 3, 7, 9, 1, 3, 7, 9, 1, 3} {
		sum += w * int(d[i]-'0')
	}
	month := value(d[2:4])
	year := value(d[:2]) + [5]int{1900, 2000, 2100, 2200, 1800}[month/20]
	return (10-sum%10)%10 == int(d[10]-'0') && isDay(year, month%20, value(d[4:6]))
}

// isNIR judges a French number of social security: sex, month of birth, place, and 97 less the rest of 97. Corsica's
// places have a letter.
func isNIR(d []byte) bool {
	n := [15]byte(d)
	if n[5] == '2' { // 2A and 2B count as 19 and 18
		switch n[6] {
		case 'A':
			n[5], n[6] = '1', '9'
		case 'B':
			n[5], n[6] = '1', '8'
		}
	}
	if !all(n[:], digit) || strings.IndexByte("123478", n[0]) < 0 {
		return false
	}
	month := value(n[3:5])
	if month < 1 || month > 12 && month < 20 || month > 42 && month < 50 {
		return false
	}
	return 97-value(n[:13])%97 == value(n[13:])
}

// isBSN judges a Dutch burgerservicenummer by the test of eleven. One of eleven numbers passes it, so it alone says little.
func isBSN(d []byte) bool {
	sum := -int(d[8] - '0')
	for i := range 8 {
		sum += (9 - i) * int(d[i]-'0')
	}
	return sum != 0 && sum%11 == 0
}

// isSSN judges a number of the US Social Security Administration, which has no check digit, by what is never given out.
func isSSN(d []byte) bool {
	if !all(d, digit) {
		return false
	}
	area := value(d[:3])
	return area != 0 && area != 666 && area < 900 && value(d[3:5]) != 0 && value(d[5:]) != 0
}

// isPersonnummer judges a Swedish number: a day of birth (60 is added for a samordningsnummer) and Luhn's digit over ten digits.
func isPersonnummer(d []byte) bool {
	if !all(d, digit) {
		return false
	}
	year := 2000 // a leap year, where the century is not told
	if len(d) == 12 {
		year, d = value(d[:4]), d[2:]
	} else if y := value(d[:2]); y != 0 {
		year = 1900 + y
	}
	day := value(d[4:6])
	if day > 60 {
		day -= 60
	}
	return year >= 1850 && year < 2100 && isDay(year, value(d[2:4]), day) && luhn(d)
}

func isDay(year, month, day int) bool {
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return month >= 1 && t.Day() == day && int(t.Month()) == month
}

// isDNI judges a Spanish DNI or NIE by its letter.
func isDNI(d []byte) bool {
	n := [8]byte(d[:8])
	if i := strings.IndexByte("XYZ", n[0]); i >= 0 {
		n[0] = '0' + byte(i) //nolint:gosec // 0 to 2
	}
	return all(n[:], digit) && n != [8]byte{'0', '0', '0', '0', '0', '0', '0', '0'} && "TRWAGMYFPDXBNJZSQVHLCKE"[value(n[:])%23] == d[8]
}

// isNINO judges a British National Insurance number, which has no check digit, by the prefixes that are given out.
func isNINO(d []byte) bool {
	if !all(d[:2], upper) || !all(d[2:8], digit) || d[8] < 'A' || d[8] > 'D' {
		return false
	}
	switch string(d[:2]) {
	case "BG", "GB", "NK", "KN", "TN", "NT", "ZZ":
		return false
	}
	return strings.IndexByte("DFIQUV", d[0]) < 0 && strings.IndexByte("DFIQUVO", d[1]) < 0
}

// isCodiceFiscale judges an Italian one, in capitals, by its form and its last letter (D.M. 23/12/1976).
func isCodiceFiscale(d []byte) bool {
	const form = "LLLLLLDDMDDLDDDL"
	for i := range form {
		c, ok := d[i], false
		switch form[i] {
		case 'L':
			ok = class[c] == upper
		case 'M':
			ok = strings.IndexByte("ABCDEHLMPRST", c) >= 0
		case 'D': // letters stand for digits where two people would have the same
			ok = class[c] == digit || strings.IndexByte("LMNPQRSTUV", c) >= 0
		}
		if !ok {
			return false
		}
	}
	odd := [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i, c := range d[:15] {
		n := int(c - 'A')
		if class[c] == digit {
			n = int(c - '0')
		}
		if i%2 == 0 {
			n = odd[n]
		}
		sum += n
	}
	return byte('A'+sum%26) == d[15]
}
