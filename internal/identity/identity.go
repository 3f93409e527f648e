// Package identity says who is asking, and what they may do: it checks the
// credentials of HTTP requests, as Alertmanager's http_config, browsers and
// tools with a login of the company can send them, and keeps other websites
// away from an engine that asks for none.
package identity

import (
	"context"
	"slices"
)

// Local is who asks where no authentication is configured.
const Local = "local"

// Identity is who sent a request.
type Identity struct {
	// Name is that of the token, the user, the client certificate or the login;
	// Local without authentication. One name is one person, however they come:
	// it counts once where several people must consent.
	Name string
	// Grants are what they may do; each alone.
	Grants []Grant
}

// Anything is somebody to whom nothing is refused: the person at an engine that
// asks for no credentials, or of a standalone one.
func Anything(name string) Identity {
	return Identity{Name: name, Grants: []Grant{{Roles: []Role{everyRole}}}}
}

// Has is an error unless they have a role at all.
func (i Identity) Has(need Role) error {
	return i.allowed(need, "", func(Grant) bool { return true })
}

// Everywhere is an error unless they have a role without limits: what concerns
// all runbooks is not for those who are limited to some.
func (i Identity) Everywhere(need Role) error {
	return i.allowed(need, "for all runbooks", func(g Grant) bool { return !g.Limited() })
}

// For is an error unless they have a role for a runbook.
func (i Identity) For(need Role, runbook string) error {
	return i.allowed(need, "for runbook "+runbook, func(g Grant) bool { return g.covers(runbook) })
}

// Targets are the globs of which one must fit each target of a runbook under a
// role; nil when there is no limit. Without the role itself nothing fits.
func (i Identity) Targets(need Role, runbook string) []string {
	globs := []string{}
	for _, g := range i.Grants {
		switch {
		case !g.has(need) || !g.covers(runbook):
		case len(g.Targets) == 0:
			return nil
		default:
			globs = append(globs, g.Targets...)
		}
	}
	return globs
}

// Held is which of some roles they have for a runbook.
func (i Identity) Held(runbook string, among ...Role) []Role {
	return slices.DeleteFunc(slices.Clone(among), func(r Role) bool { return i.For(r, runbook) != nil })
}

func (i Identity) allowed(need Role, scope string, fits func(Grant) bool) error {
	for _, g := range i.Grants {
		if g.has(need) && fits(g) {
			return nil
		}
	}
	return &Denied{Who: i.Name, Need: need, Scope: scope}
}

type contextKey struct{}

// FromContext is who sent the request that the context belongs to. Outside the
// authenticator's middleware it is nobody, who may do nothing.
func FromContext(ctx context.Context) Identity {
	who, _ := ctx.Value(contextKey{}).(Identity)
	return who
}

// NewContext adds who sent the request.
func NewContext(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, who)
}
