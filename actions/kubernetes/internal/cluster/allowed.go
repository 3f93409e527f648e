package cluster

import (
	"path"
	"slices"
)

// Allowed is a kind of object that may be patched, and where.
type Allowed struct {
	Resource   string   `json:"resource" doc:"Plural and group, with a point between; of the core group the plural only." example:"destinationrules.networking.istio.io"`
	Namespaces []string `json:"namespaces" min:"1" doc:"Namespaces in which it may be; * stands for any text." example:"[shop]"`
}

// Allows reports whether the object is of the kind, in one of the namespaces.
func (a Allowed) Allows(o Object) bool {
	return a.Resource == o.GroupResource().String() && inAny(a.Namespaces, o.Namespace)
}

// inAny matches a namespace; a malformed pattern matches nothing.
func inAny(patterns []string, namespace string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		match, err := path.Match(pattern, namespace)
		return err == nil && match
	})
}
