package identity

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/runbook-engine/runbook/internal/secret"
)

// Config lists who may use the engine. The zero value asks for nothing.
type Config struct {
	Tokens       []Token       `json:"tokens,omitempty" optional:"true" doc:"Bearer tokens. Alertmanager sends one as authorization.credentials_file of its http_config."`
	Basic        []User        `json:"basic,omitempty" optional:"true" doc:"Users of basic authentication. Alertmanager sends one as basic_auth of its http_config."`
	Certificates []Certificate `json:"certificates,omitempty" optional:"true" doc:"Client certificates by the name in them; they need tls.client_ca_file. With a list, a certificate that is not on it says nothing about who is asking."`
	OIDC         *OIDC         `json:"oidc,omitempty" optional:"true" doc:"Bearer tokens of an OpenID Connect issuer: the logins of people."`
}

// Token is one bearer token.
type Token struct {
	Name     string      `json:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}$" doc:"Who uses it: the name in the audit file."`
	File     secret.File `json:"token_file" doc:"File with the token; read again for each request, so that it can be renewed in place."`
	Roles    []Role      `json:"roles,omitempty" optional:"true" min:"1" pattern:"^[a-z][a-z0-9_-]{0,62}$" doc:"viewer, operator, approver, admin, alertmanager, or names of your own for guards.approve.by. Without any: operator."`
	Runbooks []string    `json:"runbooks,omitempty" optional:"true" min:"1" doc:"Globs of runbooks to which the roles are limited; looking is not limited."`
	Targets  []string    `json:"targets,omitempty" optional:"true" min:"1" doc:"Globs of targets to which the roles are limited, such as deployment/shop/*."`
}

// User is one user with a password.
type User struct {
	Name     string      `json:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}$" doc:"User name: the name in the audit file."`
	File     secret.File `json:"password_file" doc:"File with the password; read again for each request, so that it can be renewed in place."`
	Roles    []Role      `json:"roles,omitempty" optional:"true" min:"1" pattern:"^[a-z][a-z0-9_-]{0,62}$" doc:"As of a token. Without any: operator."`
	Runbooks []string    `json:"runbooks,omitempty" optional:"true" min:"1" doc:"As of a token."`
	Targets  []string    `json:"targets,omitempty" optional:"true" min:"1" doc:"As of a token."`
}

// Certificate is one client certificate.
type Certificate struct {
	Name     string   `json:"name" min:"1" doc:"Its first DNS name, else its common name."`
	Roles    []Role   `json:"roles,omitempty" optional:"true" min:"1" pattern:"^[a-z][a-z0-9_-]{0,62}$" doc:"As of a token. Without any: operator."`
	Runbooks []string `json:"runbooks,omitempty" optional:"true" min:"1" doc:"As of a token."`
	Targets  []string `json:"targets,omitempty" optional:"true" min:"1" doc:"As of a token."`
}

// OIDC is an issuer whose tokens are accepted.
type OIDC struct {
	Issuer     string      `json:"issuer" doc:"URL of the issuer, exactly as its tokens have it; https, or the loopback."`
	Audience   string      `json:"audience" min:"1" doc:"Audience that a token must be for."`
	CAFile     secret.File `json:"ca_file,omitempty" optional:"true" doc:"Certificates of the authorities to trust, PEM, instead of the system's."`
	NameClaim  string      `json:"name_claim" default:"sub" min:"1" doc:"Claim with the name for the audit file. It must be one that people can not choose; of email, email_verified must not be false."`
	RolesClaim string      `json:"roles_claim" default:"groups" min:"1" doc:"Claim with the groups of a person: a text or a list of texts."`
	Groups     []Group     `json:"groups" min:"1" doc:"What the groups may do. Who is in none of them may do nothing."`
}

// Group is what those with a value in their claim may do.
type Group struct {
	Name     string   `json:"name" min:"1" doc:"Value of the claim."`
	Roles    []Role   `json:"roles" min:"1" pattern:"^[a-z][a-z0-9_-]{0,62}$" doc:"As of a token."`
	Runbooks []string `json:"runbooks,omitempty" optional:"true" min:"1" doc:"As of a token."`
	Targets  []string `json:"targets,omitempty" optional:"true" min:"1" doc:"As of a token."`
}

// withoutRoles is what an entry that names no roles may do: what everybody could
// before there were roles, and none of what came with them.
var withoutRoles = []Role{Operator}

func newGrant(roles []Role, runbooks, targets []string) Grant {
	if len(roles) == 0 {
		roles = withoutRoles
	}
	return Grant{Roles: roles, Runbooks: runbooks, Targets: targets}
}

// Empty reports that nobody is listed.
func (c Config) Empty() bool {
	return len(c.Tokens)+len(c.Basic)+len(c.Certificates) == 0 && c.OIDC == nil
}

// secrets reports that some who are listed send a secret.
func (c Config) secrets() bool { return len(c.Tokens)+len(c.Basic) > 0 || c.OIDC != nil }

// Check reports names that are used twice and grants that mean nothing.
func (c Config) Check() error {
	var failed []error
	seen := map[string]bool{}
	for _, s := range c.all() {
		if seen[s.name] {
			failed = append(failed, fmt.Errorf("auth: the name %q is used twice", s.name))
		}
		seen[s.name] = true
		if err := s.grant.check(); err != nil {
			failed = append(failed, fmt.Errorf("auth: %s: %w", s.name, err))
		}
	}
	if c.OIDC != nil {
		failed = append(failed, c.OIDC.check())
	}
	return errors.Join(failed...)
}

func (o OIDC) check() error {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(u.Hostname()))) {
		return fmt.Errorf("auth: oidc.issuer %q is no https URL", o.Issuer)
	}
	var failed []error
	for _, g := range o.Groups {
		if err := newGrant(g.Roles, g.Runbooks, g.Targets).check(); err != nil {
			failed = append(failed, fmt.Errorf("auth: oidc group %s: %w", g.Name, err))
		}
	}
	return errors.Join(failed...)
}

// CheckSecrets reports those that can not be read.
func (c Config) CheckSecrets() error {
	var failed []error
	for _, s := range append(c.tokens(), c.users()...) {
		if _, err := s.file.Read(); err != nil {
			failed = append(failed, fmt.Errorf("auth: %s: %w", s.name, err))
		}
	}
	return errors.Join(failed...)
}

// credential is a secret, or the name in a certificate, with what whoever has
// it may do.
type credential struct {
	name  string
	file  secret.File
	grant Grant
}

func (c credential) identity() Identity { return Identity{Name: c.name, Grants: []Grant{c.grant}} }

func (c Config) all() []credential {
	return append(append(c.tokens(), c.users()...), c.certificates()...)
}

func (c Config) tokens() []credential {
	var all []credential
	for _, t := range c.Tokens {
		all = append(all, credential{t.Name, t.File, newGrant(t.Roles, t.Runbooks, t.Targets)})
	}
	return all
}

func (c Config) users() []credential {
	var all []credential
	for _, u := range c.Basic {
		all = append(all, credential{u.Name, u.File, newGrant(u.Roles, u.Runbooks, u.Targets)})
	}
	return all
}

func (c Config) certificates() []credential {
	var all []credential
	for _, t := range c.Certificates {
		all = append(all, credential{name: t.Name, grant: newGrant(t.Roles, t.Runbooks, t.Targets)})
	}
	return all
}
