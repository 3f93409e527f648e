package identity

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Role is what somebody may do. Besides those that the engine knows there may
// be others, which documents name to say whose consent they need.
type Role string

// The roles that the engine knows. Of the first four each may do what those
// before it may.
const (
	Viewer   Role = "viewer"   // looks
	Operator Role = "operator" // starts, cancels, halts, posts alerts
	Approver Role = "approver" // consents, or does not
	Admin    Role = "admin"    // resumes, resets, sets guards aside
	// Alertmanager posts alerts, and does nothing else.
	Alertmanager Role = "alertmanager"

	everyRole Role = "*"
)

var ladder = []Role{Viewer, Operator, Approver, Admin}

// Grant is some roles, and what they are limited to.
type Grant struct {
	Roles    []Role
	Runbooks []string // globs; none is all
	Targets  []string // globs; none is all
}

// Limited reports that it is not for everything.
func (g Grant) Limited() bool { return len(g.Runbooks)+len(g.Targets) > 0 }

func (g Grant) covers(runbook string) bool {
	return len(g.Runbooks) == 0 || Matches(g.Runbooks, runbook)
}

func (g Grant) has(need Role) bool {
	return slices.ContainsFunc(g.Roles, func(r Role) bool { return r.implies(need) })
}

// implies: an operator starts runs, and so may post the alerts that do.
func (r Role) implies(need Role) bool {
	if r == need || r == everyRole {
		return true
	}
	if need == Alertmanager {
		need = Operator
	}
	wanted := slices.Index(ladder, need)
	return wanted >= 0 && slices.Index(ladder, r) >= wanted
}

func (r Role) known() bool { return r == Alertmanager || slices.Contains(ladder, r) }

// Matches reports whether one of the globs fits: * is anything but a slash.
func Matches(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(g string) bool {
		ok, err := path.Match(g, name)
		return err == nil && ok
	})
}

// check finds what would give nothing, or not what it seems to.
func (g Grant) check() error {
	if !slices.ContainsFunc(g.Roles, Role.known) {
		return fmt.Errorf("roles %s give nothing by themselves: add viewer, operator, approver, admin or alertmanager", join(g.Roles))
	}
	for _, glob := range slices.Concat(g.Runbooks, g.Targets) {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("%q is no glob: %w", glob, err)
		}
	}
	if g.Limited() && !slices.ContainsFunc(g.Roles, func(r Role) bool { return slices.Contains(ladder, r) }) {
		return fmt.Errorf("the role %s can not be limited to runbooks or targets", join(g.Roles))
	}
	return nil
}

func join(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// Denied is a request from somebody who lacks a role.
type Denied struct {
	Who   string
	Need  Role
	Scope string // of the role; "" for any
}

func (d *Denied) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s lacks the role %s %s", d.Who, d.Need, d.Scope))
}
