package report

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// CatalogueFormat is what a catalogue is: a change of its meaning is another.
const CatalogueFormat = "biocore-catalogue/1"

// Catalogue is a set of controls, as its file says. docs/reports.md describes the file.
type Catalogue struct {
	Format   string    `yaml:"format"`
	Name     string    `yaml:"name"`
	Title    string    `yaml:"title"`
	Standard string    `yaml:"standard"` // which text the controls are of
	Version  string    `yaml:"version"`  // of the catalogue, in its author's words
	About    string    `yaml:"about"`
	Lists    []string  `yaml:"lists"` // that are printed beside the controls, of Lists
	Controls []Control `yaml:"controls"`

	lines map[string]int // of its members
}

// UnmarshalYAML implements yaml.Unmarshaler: it keeps the lines, and knows every key.
func (c *Catalogue) UnmarshalYAML(n *yaml.Node) error {
	type plain Catalogue
	if err := known(n, "format", "name", "title", "standard", "version", "about", "lists", "controls"); err != nil {
		return err
	}
	if err := n.Decode((*plain)(c)); err != nil {
		return err
	}
	c.lines = linesOf(n)
	return nil
}

// linesOf are the lines in which the members of a mapping stand; that of the mapping is under no name.
func linesOf(n *yaml.Node) map[string]int {
	at := map[string]int{"": n.Line}
	for i := 0; i < len(n.Content); i += 2 {
		at[n.Content[i].Value] = n.Content[i].Line
	}
	return at
}

// lineIn is the line of a member; where it is missing, that of what it is missing in.
func lineIn(lines map[string]int, member string) int {
	if n, there := lines[member]; there {
		return n
	}
	return lines[""]
}

// Control is one requirement. It has either Evidence, or Outside: why no record of ours can show it.
type Control struct {
	ID          string        `yaml:"id"` // as the standard numbers it
	Section     string        `yaml:"section"`
	Title       string        `yaml:"title"`
	Requirement string        `yaml:"requirement"`
	Outside     string        `yaml:"outside"`
	Evidence    []Expectation `yaml:"evidence"`

	line  int
	lines map[string]int
}

// UnmarshalYAML implements yaml.Unmarshaler, as Catalogue's.
func (c *Control) UnmarshalYAML(n *yaml.Node) error {
	type plain Control
	if err := known(n, "id", "section", "title", "requirement", "outside", "evidence"); err != nil {
		return err
	}
	if err := n.Decode((*plain)(c)); err != nil {
		return err
	}
	c.line, c.lines = n.Line, linesOf(n)
	return nil
}

// Is is how a measurement is held to a value.
type Is string

// The comparisons.
const (
	AtLeast Is = "at least"
	AtMost  Is = "at most"
	Exactly Is = "exactly"
)

// holds compares.
func (is Is) holds(figure, value int64) bool {
	switch is {
	case AtLeast:
		return figure >= value
	case AtMost:
		return figure <= value
	case Exactly:
		return figure == value
	}
	return false
}

// Expectation is what one measurement has to come to.
type Expectation struct {
	Measure string `yaml:"measure"` // of Measurements
	Is      Is     `yaml:"is"`
	Value   int64  `yaml:"value"`

	line int
}

// UnmarshalYAML implements yaml.Unmarshaler, as Control's.
func (e *Expectation) UnmarshalYAML(n *yaml.Node) error {
	type plain Expectation
	if err := known(n, "measure", "is", "value"); err != nil {
		return err
	}
	if err := n.Decode((*plain)(e)); err != nil {
		return err
	}
	e.line = n.Line
	return nil
}

// known refuses a mapping with a key that is not listed: KnownFields does not reach into Unmarshalers.
func known(n *yaml.Node, fields ...string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: expected members, such as %s", n.Line, fields[0])
	}
	for i := 0; i < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(fields, key.Value) {
			return fmt.Errorf("line %d: there is no member %q here: expected one of %s", key.Line, key.Value, strings.Join(fields, ", "))
		}
	}
	return nil
}

// Bounds of catalogues.
const (
	maxCatalogueBytes = 128 << 10
	maxControls       = 200
	maxEvidence       = 12
	maxOwn            = 20
)

// catalogueName is what a catalogue may be called.
var catalogueName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,39}$`)

// ParseCatalogue reads a catalogue and holds it to what a report can be made of. ErrCatalogueInvalid, which says
// in which line what is wrong.
func ParseCatalogue(text []byte) (*Catalogue, error) {
	c, err := parseCatalogue(text)
	if err != nil {
		return nil, ErrCatalogueInvalid.WithMessage("the catalogue cannot be read: " + err.Error())
	}
	return c, nil
}

// inLine finds the line in what parseCatalogue says.
var inLine = regexp.MustCompile(`^(?:the catalogue cannot be read: )?(?:unmarshal errors: )?line (\d+): `)

// LineOf is the line of a catalogue in which an ErrCatalogueInvalid says that something is wrong; 0: it says none.
func LineOf(err error) int {
	f, ok := fault.As(err)
	if !ok {
		return 0
	}
	if at := inLine.FindStringSubmatch(f.Message); at != nil {
		if n, err := strconv.Atoi(at[1]); err == nil {
			return n
		}
	}
	return 0
}

func parseCatalogue(text []byte) (*Catalogue, error) {
	if len(text) > maxCatalogueBytes {
		return nil, fmt.Errorf("it has more than %d KiB", maxCatalogueBytes>>10)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	c := &Catalogue{}
	if err := d.Decode(c); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, errors.New(strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: "))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in it")
	}
	return c, c.check()
}

// wrong says in which line of a file what is.
func wrong(lines map[string]int, member, text string, args ...any) error {
	return fmt.Errorf("line %d: %s: "+text, append([]any{lineIn(lines, member), member}, args...)...)
}

// check holds the head and every control to their bounds.
func (c *Catalogue) check() error {
	switch {
	case c.Format != CatalogueFormat:
		return wrong(c.lines, "format", "expected %s", CatalogueFormat)
	case !catalogueName.MatchString(c.Name):
		return wrong(c.lines, "name", "expected 2 to 40 small letters, digits and '-', a letter first")
	case len(c.Controls) == 0 || len(c.Controls) > maxControls:
		return wrong(c.lines, "controls", "expected 1 to %d", maxControls)
	}
	for _, f := range []struct {
		name, text string
		most       int
		required   bool
	}{{"title", c.Title, 80, true}, {"standard", c.Standard, 120, true}, {"version", c.Version, 40, true}, {"about", c.About, 2000, false}} {
		if err := textOf(f.text, f.most, f.required); err != nil {
			return wrong(c.lines, f.name, "%w", err)
		}
	}
	for i, l := range c.Lists {
		if lists[l] == nil {
			return wrong(c.lines, "lists", "there is no list %q: expected some of %s", l, strings.Join(ListNames(), ", "))
		}
		if slices.Contains(c.Lists[:i], l) {
			return wrong(c.lines, "lists", "%q stands twice", l)
		}
	}
	seen := map[string]bool{}
	for i := range c.Controls {
		if err := c.Controls[i].check(); err != nil {
			return err
		}
		if id := c.Controls[i].ID; seen[id] {
			return fmt.Errorf("line %d: the control %q stands twice", c.Controls[i].line, id)
		}
		seen[c.Controls[i].ID] = true
	}
	return nil
}

func (c *Control) check() error {
	for _, f := range []struct {
		name, text string
		most       int
		required   bool
	}{{"id", c.ID, 40, true}, {"section", c.Section, 120, true}, {"title", c.Title, 200, true}, {"requirement", c.Requirement, 2000, false}, {"outside", c.Outside, 400, false}} {
		if err := textOf(f.text, f.most, f.required); err != nil {
			return wrong(c.lines, f.name, "%w", err)
		}
	}
	switch {
	case (len(c.Evidence) == 0) == (c.Outside == ""):
		return fmt.Errorf("line %d: control %s: expected either evidence, or outside, which says where its evidence is", c.line, c.ID)
	case len(c.Evidence) > maxEvidence:
		return fmt.Errorf("line %d: control %s: expected at most %d measurements", c.line, c.ID, maxEvidence)
	}
	for _, e := range c.Evidence {
		switch {
		case measurements[e.Measure] == nil:
			return fmt.Errorf("line %d: there is no measurement %q: see the list of measurements", e.line, e.Measure)
		case e.Is != AtLeast && e.Is != AtMost && e.Is != Exactly:
			return fmt.Errorf("line %d: is: expected one of at least, at most, exactly", e.line)
		case e.Value < 0 || e.Value > 1<<53:
			return fmt.Errorf("line %d: value: expected a whole number from 0 on", e.line)
		}
	}
	return nil
}

// textOf refuses what is too long or cannot be printed on one line of a page.
func textOf(text string, most int, required bool) error {
	switch {
	case required && strings.TrimSpace(text) == "":
		return errors.New("expected a text")
	case utf8.RuneCountInString(text) > most:
		return fmt.Errorf("expected at most %d characters", most)
	case strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
		return errors.New("there is a character in it that is not printed")
	}
	return nil
}

//go:embed catalog/*.yaml
var builtIn embed.FS

// Document is a catalogue and its file.
type Document struct {
	*Catalogue

	Text      string // the file, byte for byte
	BuiltIn   bool   // of the release
	Shared    bool   // of the installation: a file of its folder
	ETag      string // of the tenant's own
	UpdatedBy string // kind:id; of the tenant's own
}

// builtIns returns the catalogues of the release, by name. They are read once: nothing changes them.
var builtIns = sync.OnceValues(readBuiltIns)

func readBuiltIns() ([]Document, error) {
	entries, err := builtIn.ReadDir("catalog")
	if err != nil {
		return nil, err
	}
	all := make([]Document, len(entries))
	for i, e := range entries {
		text, err := builtIn.ReadFile("catalog/" + e.Name())
		if err != nil {
			return nil, err
		}
		c, err := ParseCatalogue(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		if c.Name+".yaml" != e.Name() {
			return nil, fmt.Errorf("%s: its name is %s", e.Name(), c.Name)
		}
		all[i] = Document{Catalogue: c, Text: string(text), BuiltIn: true}
	}
	return all, nil
}

// builtInOf returns a catalogue of the release; nil: there is none of that name.
func builtInOf(name string) (*Document, error) {
	if !catalogueName.MatchString(name) {
		return nil, nil //nolint:nilnil // documented
	}
	all, err := builtIns()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
	}
	return nil, nil //nolint:nilnil // documented
}
