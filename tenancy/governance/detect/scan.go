package detect

// What a byte is, as bits.
const (
	digit = 1 << iota
	upper
	lower
	letter = upper | lower
	alnum  = digit | letter
)

var class = func() (t [256]byte) {
	for c := '0'; c <= '9'; c++ {
		t[c] = digit
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c], t[c+32] = upper, lower
	}
	return t
}()

// scanner goes over a text once, word by word: a word is a run of ASCII letters and digits.
type scanner struct {
	text  string
	found []Finding
	done  int // what is before is judged: the end of the last finding
	noJWT int // no JWT begins before
}

func (s *scanner) run() {
	for i := 0; i < len(s.text); {
		bits := class[s.text[i]]
		if bits == 0 {
			if s.text[i] == '@' {
				i = s.email(i)
				continue
			}
			i++
			continue
		}
		start := i
		for i++; i < len(s.text) && class[s.text[i]] != 0; i++ {
			bits |= class[s.text[i]]
		}
		i = max(i, s.word(start, i, bits))
	}
}

// add notes a finding and returns where to go on.
func (s *scanner) add(k Kind, start, end int) int {
	s.found = append(s.found, Finding{k, start, end})
	s.done = end
	return end
}

// word judges the word from start to end, and what may begin with it. It returns where to go on: end, or the end of a
// finding.
func (s *scanner) word(start, end int, bits byte) int {
	if end < len(s.text) && s.text[end] == '@' {
		// A number may be the first half of an address, which is the more telling kind.
		if next := s.email(end); next > end+1 {
			return next
		}
	}
	if bits&digit == 0 && !beginsSecret(s.text[start]) {
		// Two capitals may begin a British number that is written in groups.
		if end-start != 2 || bits != upper {
			return end
		}
	}
	if next := s.secret(start, end); next > 0 {
		return next
	}
	if s.joined(start) {
		return end
	}
	if next := s.number(start, end, bits); next > 0 {
		return next
	}
	return end
}

// joined reports whether what begins at start goes on something before it: the decimals of a number, a group of a
// UUID.
func (s *scanner) joined(start int) bool {
	if start < 2 {
		return false
	}
	switch s.text[start-1] {
	case '.', ',', '-':
		return class[s.text[start-2]]&digit != 0 || s.text[start-1] == '-' && class[s.text[start-2]] != 0
	}
	return false
}

// ends reports whether something may end before end: no letter, digit, group or decimal goes on there.
func (s *scanner) ends(end int) bool {
	if end >= len(s.text) {
		return true
	}
	switch c := s.text[end]; {
	case class[c] != 0:
		return false
	case c == '-':
		return end+1 >= len(s.text) || class[s.text[end+1]] == 0
	case c == '.', c == ',':
		return end+1 >= len(s.text) || class[s.text[end+1]]&digit == 0
	}
	return true
}

// groups reads groups of letters and digits of the given sizes from start on, with the same blank or hyphen between all
// of them, into buf. end is 0 unless they are there and nothing goes on behind them.
func (s *scanner) groups(start int, buf []byte, sizes ...int) (compact []byte, end int) {
	i, compact := start, buf[:0]
	var sep byte
	for n, size := range sizes {
		if n > 0 {
			if i >= len(s.text) || s.text[i] != ' ' && s.text[i] != '-' || sep != 0 && s.text[i] != sep {
				return nil, 0
			}
			sep = s.text[i]
			i++
		}
		if i+size > len(s.text) {
			return nil, 0
		}
		for ; size > 0; size-- {
			if class[s.text[i]] == 0 {
				return nil, 0
			}
			compact = append(compact, s.text[i])
			i++
		}
	}
	if !s.ends(i) {
		return nil, 0
	}
	return compact, i
}

func all(text []byte, bits byte) bool {
	for _, c := range text {
		if class[c]&bits == 0 {
			return false
		}
	}
	return true
}
