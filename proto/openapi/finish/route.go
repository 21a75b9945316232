package main

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// plainRoutes adds what is served by HTTP alone and is no rpc: files, streams of events, and
// documents that standards have. routes.yaml describes it as it is served, plane by plane.
func plainRoutes(p plane, doc, components *yaml.Node) {
	of := get(parse("%s", routes), strings.TrimSuffix(p.file, ".yaml"))
	tags := get(doc, "tags")
	tags.Content = append(tags.Content, get(of, "tags").Content...)
	each(get(of, "paths"), func(path string, item *yaml.Node) { set(get(doc, "paths"), path, item) })
	each(get(of, "securitySchemes"), func(name string, scheme *yaml.Node) { set(get(components, "securitySchemes"), name, scheme) })
}
