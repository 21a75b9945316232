package rest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// router finds the routes of a path. Its zero value is empty. Paths are trees
// of segments; a literal wins over a variable, and where the literal's branch
// leads nowhere the variable's is tried. A colon in the last segment always
// begins a verb: an id that holds one must come percent-encoded.
type router struct {
	root node
}

// node is the place that a path has reached.
type node struct {
	literals map[string]*node
	variable *node
	verbs    map[string]*leaf // "" for the path itself
}

// leaf is a whole path with its verb: the routes of its HTTP methods.
type leaf struct {
	byMethod map[string]*route
	allow    string // value of the Allow header
}

// pathValues are the raw segments that stand for a template's variables, in
// its order.
type pathValues struct {
	raw [maxPathValues]string
	n   int
}

// add puts r in its place. Two routes for the same calls are an error: names of
// variables do not tell paths apart.
func (rt *router) add(r *route) error {
	at := &rt.root
	for _, s := range r.template.segments {
		if s.field != nil {
			if at.variable == nil {
				at.variable = &node{}
			}
			at = at.variable
			continue
		}
		next := at.literals[s.literal]
		if next == nil {
			next = &node{}
			if at.literals == nil {
				at.literals = map[string]*node{}
			}
			at.literals[s.literal] = next
		}
		at = next
	}
	l := at.verbs[r.template.verb]
	if l == nil {
		l = &leaf{byMethod: map[string]*route{}}
		if at.verbs == nil {
			at.verbs = map[string]*leaf{}
		}
		at.verbs[r.template.verb] = l
	}
	if other := l.byMethod[r.method]; other != nil {
		return fmt.Errorf("%s %s is taken by %s", r.method, r.template, other.spec.Procedure)
	}
	l.byMethod[r.method] = r
	l.allow = allowed(l.byMethod)
	return nil
}

// allowed lists HTTP methods for the Allow header. The edge answers OPTIONS.
func allowed(byMethod map[string]*route) string {
	methods := slices.Collect(maps.Keys(byMethod))
	if byMethod[http.MethodGet] != nil {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(append(methods, http.MethodOptions), ", ")
}

// find returns the leaf of an escaped path, nil if there is none, and fills in
// the values of its variables.
func (rt *router) find(path string, values *pathValues) *leaf {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil
	}
	return rt.root.find(rest, values)
}

func (at *node) find(path string, values *pathValues) *leaf {
	part, rest, more := strings.Cut(path, "/")
	verb := ""
	if !more {
		var hasVerb bool
		if part, verb, hasVerb = strings.Cut(part, ":"); hasVerb && verb == "" {
			return nil
		}
	}
	if part == "" {
		return nil
	}
	if next := at.literals[part]; next != nil {
		if l := next.step(rest, more, verb, values); l != nil {
			return l
		}
	}
	if at.variable != nil && values.n < maxPathValues {
		values.raw[values.n] = part
		values.n++
		if l := at.variable.step(rest, more, verb, values); l != nil {
			return l
		}
		values.n--
	}
	return nil
}

func (at *node) step(rest string, more bool, verb string, values *pathValues) *leaf {
	if more {
		return at.find(rest, values)
	}
	return at.verbs[verb]
}
