package main

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// YAML is kept as nodes, since maps would lose the order of things.

// parse reads YAML that this package holds or writes; it panics on its own
// mistakes.
func parse(format string, args ...any) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(fmt.Sprintf(format, args...)), &doc); err != nil {
		panic(err)
	}
	return plain(doc.Content[0])
}

// plain replaces aliases by what they stand for, so that the result needs none, and merge
// keys (`<<: *user`) by the members that the map has not itself.
func plain(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return plain(n.Alias)
	}
	out := *n
	out.Anchor, out.Content, out.HeadComment, out.LineComment, out.FootComment = "", nil, "", "", ""
	out.Style &^= yaml.FlowStyle
	for i := 0; i < len(n.Content); i++ {
		if n.Kind == yaml.MappingNode && i%2 == 0 && n.Content[i].Tag == "!!merge" {
			i++
			each(plain(n.Content[i]), func(key string, value *yaml.Node) {
				if get(&out, key) == nil {
					set(&out, key, value)
				}
			})
			continue
		}
		out.Content = append(out.Content, plain(n.Content[i]))
	}
	if n.Kind == yaml.MappingNode {
		return once(&out)
	}
	return &out
}

// once keeps the last of the members of a map that have one name, where the first stands.
func once(m *yaml.Node) *yaml.Node {
	out := *m
	out.Content = nil
	each(m, func(key string, value *yaml.Node) { set(&out, key, value) })
	return &out
}

// str is a string; one that YAML would read as something else is quoted.
func str(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

// mapping is an empty map, list an empty list.
func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }
func list() *yaml.Node    { return &yaml.Node{Kind: yaml.SequenceNode} }

// get returns the member of a map, nil if there is none.
func get(m *yaml.Node, key string) *yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// set replaces a member of a map, or adds it at the end.
func set(m *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content[i+1] = value
			return
		}
	}
	m.Content = append(m.Content, str(key), value)
}

// remove drops a member of a map.
func remove(m *yaml.Node, key string) {
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content = append(m.Content[:i:i], m.Content[i+2:]...)
			return
		}
	}
}

// order puts the members of a map that keys name first, in their order.
func order(m *yaml.Node, keys ...string) {
	first := mapping()
	for _, key := range keys {
		if value := get(m, key); value != nil {
			remove(m, key)
			set(first, key, value)
		}
	}
	m.Content = append(first.Content, m.Content...)
}

// each visits the members of a map.
func each(m *yaml.Node, visit func(key string, value *yaml.Node)) {
	if m == nil {
		return
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		visit(m.Content[i].Value, m.Content[i+1])
	}
}

// walk visits every map below n, the inner ones first.
func walk(n *yaml.Node, visit func(m *yaml.Node)) {
	for _, child := range n.Content {
		walk(child, visit)
	}
	if n.Kind == yaml.MappingNode {
		visit(n)
	}
}
