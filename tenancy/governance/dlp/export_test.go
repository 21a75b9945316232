package dlp

import (
	"fmt"
	"time"
)

// OnStep has fn told which place a page is done of; an error breaks the attempt off.
func (s *Service) OnStep(fn func(place string) error) { s.step = fn }

// MaxRows bounds how much of a place is looked at.
func (s *Service) MaxRows(n int) { s.maxRows = n }

// Parse is what a file holds, as lines.
func Parse(format Format, body string) (lines []string, err error) {
	_, list, _, err := parseImport(format, []byte(body), time.Now())
	for _, o := range list {
		lines = append(lines, fmt.Sprint(o.place, " ", o.item, " ", o.kind, " ", o.count))
	}
	return lines, err
}
