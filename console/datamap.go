package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/governance"
)

const dataMapPath = "/data-map"

func (c *Console) dataMapRoutes(mux *router) {
	base := Path + "/t/{slug}" + dataMapPath
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeGovernanceRead, c.showDataMap))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(apikey.ScopeGovernanceRead, c.exportDataMap))
	c.findingRoutes(mux)
}

type dataMapView struct {
	ui.Page

	Tabs      []ui.Tab
	Filters   ui.Filters
	Figures   []dataMapFigure
	Places    []dataPlace // where fields are; without filters
	Groups    []dataMapGroup
	Says      string
	CSV, JSON string
	Erasures  string // empty for who may not see them
}

// dataPlace is a table, or a store that is none.
type dataPlace struct {
	Name, Href string
	Holds      string
	Classes    []dataClassCount // those that it has, the highest first
	Erased     string
}

// dataClassCount is how many fields of a place have a class.
type dataClassCount struct{ Badge, Label string }

// dataMapFigure is how many fields a class has, in all of the map.
type dataMapFigure struct{ Label, Count, Note string }

// dataMapGroup is a table, or a store that is none.
type dataMapGroup struct {
	Name string
	Rows []dataMapRow
}

// dataMapRow is fields of which the map says the same.
type dataMapRow struct {
	Names        []string
	Purpose      string
	Label, Badge string // the class
	Sealed       string
	Kept         string
	Erased       string
	Because      string
}

var dataClasses = map[governance.Class]struct{ label, badge, note string }{
	governance.Public:   {"Public", "idle", "anybody may know it"},
	governance.Internal: {"Internal", "info", "says nothing of a person"},
	governance.Personal: {"Personal", "warn", "tells of a person"},
	governance.HighRisk: {"High-risk", "bad", "opens something, or reaches a person"},
}

// dataStores are what places beside Postgres are called.
var dataStores = map[governance.Store]string{
	governance.Postgres: "Database", governance.Redis: "Redis", governance.Object: "Object storage", governance.Event: "Events", governance.Audit: "Audit log",
	governance.Stream: "Log streams", governance.Log: "Server log",
}

var dataErasures = map[governance.Erasure]string{
	governance.Deleted: "Deleted with the user", governance.Emptied: "Emptied", governance.Locked: "Opens no more: its key is destroyed",
	governance.Expires: "Goes by itself", governance.Kept: "Kept", governance.None: "Of no user",
}

// dataMapFilters are what the address asks for.
func dataMapFilters(a ui.Address) []ui.Filter {
	filters := []ui.Filter{
		{Name: "class", Label: "Class", Choices: []ui.Choice{{Label: "Any"}}},
		{Name: "store", Label: "Where", Choices: []ui.Choice{{Label: "Anywhere"}}},
		{Name: "erased", Label: "On erasure", Choices: []ui.Choice{{Label: "Any"}}},
		{Name: "place", Label: "Place", Choices: []ui.Choice{{Label: "Any"}}},
	}
	for _, place := range dataPlaceNames() {
		filters[3].Choices = append(filters[3].Choices, ui.Choice{Value: place, Label: place})
	}
	for _, class := range governance.Classes() {
		filters[0].Choices = append(filters[0].Choices, ui.Choice{Value: string(class), Label: dataClasses[class].label})
	}
	for _, s := range governance.Stores() {
		filters[1].Choices = append(filters[1].Choices, ui.Choice{Value: string(s), Label: dataStores[s]})
	}
	for _, e := range []governance.Erasure{governance.Deleted, governance.Emptied, governance.Locked, governance.Expires, governance.Kept, governance.None} {
		filters[2].Choices = append(filters[2].Choices, ui.Choice{Value: string(e), Label: dataErasures[e]})
	}
	for i := range filters {
		filters[i].Value = a.Get(filters[i].Name)
		filters[i].Value = chosen(filters[i])
	}
	return filters
}

// dataFields are the fields that the address asks for, of all.
func dataFields(a ui.Address) (shown, all []governance.Field, err error) {
	if all, err = governance.Fields(); err != nil {
		return nil, nil, err
	}
	q := strings.ToLower(a.Get("q"))
	filters := dataMapFilters(a)
	for i := range all {
		f := &all[i]
		have := []string{string(f.Class), string(f.Store), string(f.Erased), placeOf(f)}
		fits := strings.Contains(strings.ToLower(f.Path()+" "+f.Purpose), q)
		for j, want := range filters {
			fits = fits && (want.Value == "" || want.Value == have[j])
		}
		if fits {
			shown = append(shown, *f)
		}
	}
	return shown, all, nil
}

func dataMapAddress(r *http.Request, p *place) ui.Address {
	a := addressOf(r, "q", "class", "store", "erased", "place")
	a.Path = p.base + dataMapPath
	return a
}

func (c *Console) showDataMap(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	a := dataMapAddress(r, p)
	shown, all, err := dataFields(a)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	filters := dataMapFilters(a)
	view := dataMapView{
		Page:    c.frame(w, r, v, p, "Data map", a.Path),
		Filters: ui.Filters{At: a, Search: &ui.Search{Name: "q", Label: "Table, column or purpose", Value: a.Get("q")}, Chips: ui.ChipsOf(filters), Add: filters},
	}
	if len(view.Filters.Chips) == 0 && a.Get("q") == "" {
		view.Places = dataPlaces(a, all)
		view.Says = ui.Count(len(view.Places), "place") + ", " + ui.Count(len(all), "field")
	} else {
		view.Groups, view.Says = dataGroups(shown), ui.Count(len(shown), "field")
	}
	if p.may(apikey.ScopeErasuresRead) {
		view.Erasures = p.base + erasuresPath
	}
	export := a
	export.Path += "/export"
	view.CSV, view.JSON = export.With(), export.With("format", "json")
	counts := map[governance.Class]int{}
	for i := range all {
		counts[all[i].Class]++
	}
	here := filters[0].Value
	if len(view.Places) > 0 {
		here = "places"
	}
	view.Tabs = dataMapTabs(p, here)
	for _, class := range classesDown() {
		words := dataClasses[class]
		view.Figures = append(view.Figures, dataMapFigure{Label: words.label, Count: strconv.Itoa(counts[class]), Note: words.note})
	}
	c.render(w, r, http.StatusOK, c.dataMapPage(view))
}

// classesDown are the classes, what matters most first.
func classesDown() []governance.Class {
	classes := governance.Classes()
	slices.Reverse(classes)
	return classes
}

// dataMapTabs are the views of the map, by class, and what was found; here is the one that is looked at.
func dataMapTabs(p *place, here string) []ui.Tab {
	var tabs []ui.Tab
	if p.may(apikey.ScopeGovernanceRead) {
		a := ui.Address{Path: p.base + dataMapPath}
		tabs = append(tabs, ui.Tab{Href: a.Path, Label: "Places", Here: here == "places"})
		for _, class := range classesDown() {
			tabs = append(tabs, ui.Tab{Href: a.With("class", string(class)), Label: dataClasses[class].label, Here: here == string(class)})
		}
	}
	if p.may(apikey.ScopeDLPRead) {
		tabs = append(tabs, ui.Tab{Href: p.base + openFindings, Label: "Findings", Here: here == "findings"})
	}
	return tabs
}

// placeOf is where a field is: its table, or the store.
func placeOf(f *governance.Field) string {
	if f.Store != governance.Postgres {
		return dataStores[f.Store]
	}
	return f.Table
}

// dataPlaceNames are all of them, in the order of the map.
var dataPlaceNames = sync.OnceValue(func() (names []string) {
	all, _ := governance.Fields() // what is wrong with it, showDataMap says
	for i := range all {
		if name := placeOf(&all[i]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
})

// dataPlaces is the map from afar: each place with what it holds, those with the highest classes first.
func dataPlaces(a ui.Address, all []governance.Field) []dataPlace {
	classes := classesDown()
	ranks := map[string]int{}
	places := make([]dataPlace, 0, len(dataPlaceNames()))
	for _, name := range dataPlaceNames() {
		one := dataPlace{Name: name, Href: a.With("place", name)}
		counts := map[governance.Class]int{}
		var erased, names []string
		for i := range all {
			f := &all[i]
			if placeOf(f) != name {
				continue
			}
			counts[f.Class]++
			one.Holds = f.Holds
			names = append(names, f.Name)
			if what := dataErasures[f.Erased]; f.Erased != governance.None && !slices.Contains(erased, what) {
				erased = append(erased, what)
			}
		}
		if one.Holds == "" {
			one.Holds = strings.Join(names, ", ")
		}
		one.Holds = ui.Upper(one.Holds)
		if one.Erased = dataErasures[governance.None]; len(erased) > 0 {
			one.Erased = strings.Join(erased, "; ")
		}
		ranks[name] = len(classes)
		for rank, class := range classes {
			if n := counts[class]; n > 0 {
				one.Classes = append(one.Classes, dataClassCount{dataClasses[class].badge, strconv.Itoa(n) + " " + strings.ToLower(dataClasses[class].label)})
				ranks[name] = min(ranks[name], rank)
			}
		}
		places = append(places, one)
	}
	slices.SortStableFunc(places, func(x, y dataPlace) int { return ranks[x.Name] - ranks[y.Name] })
	return places
}

// dataGroups puts fields under their tables, and those of which the map says the same into one row.
func dataGroups(fields []governance.Field) []dataMapGroup {
	var groups []dataMapGroup
	var before governance.Field
	for i := range fields {
		f := fields[i]
		name := placeOf(&f)
		if len(groups) == 0 || groups[len(groups)-1].Name != name {
			groups, before = append(groups, dataMapGroup{Name: name}), governance.Field{}
		}
		group := &groups[len(groups)-1]
		alike := f
		alike.Name = before.Name
		if alike == before {
			last := &group.Rows[len(group.Rows)-1]
			last.Names = append(last.Names, f.Name)
			continue
		}
		before = f
		group.Rows = append(group.Rows, dataMapRow{
			Names: []string{f.Name}, Purpose: ui.Upper(f.Purpose), Label: dataClasses[f.Class].label, Badge: dataClasses[f.Class].badge,
			Sealed: ui.Upper(f.Sealed), Kept: ui.Upper(f.Kept), Erased: dataErasures[f.Erased], Because: f.Because,
		})
	}
	return groups
}

// exportDataMap writes the fields that are shown, one a row.
func (c *Console) exportDataMap(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name:    "data-map",
		Columns: []string{"store", "table", "name", "class", "purpose", "sealed", "kept", "erased", "because"},
		Next: func(string) ([][]string, string, error) {
			shown, _, err := dataFields(dataMapAddress(r, p))
			rows := make([][]string, len(shown))
			for i := range shown {
				f := &shown[i]
				rows[i] = []string{string(f.Store), f.Table, f.Name, string(f.Class), f.Purpose, f.Sealed, f.Kept, string(f.Erased), f.Because}
			}
			return rows, "", err
		},
	})
}
