package identity

import (
	"errors"
	"fmt"

	"github.com/runbook-engine/runbook/internal/secret"
)

// Config lists who may use the engine. The zero value asks for nothing.
type Config struct {
	Tokens []Token `json:"tokens,omitempty" optional:"true" doc:"Bearer tokens. Alertmanager sends one as authorization.credentials_file of its http_config."`
	Basic  []User  `json:"basic,omitempty" optional:"true" doc:"Users of basic authentication. Alertmanager sends one as basic_auth of its http_config."`
}

// Token is one bearer token.
type Token struct {
	Name string      `json:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}$" doc:"Who uses it: the name in the audit file."`
	File secret.File `json:"token_file" doc:"File with the token; read again for each request, so that it can be renewed in place."`
}

// User is one user with a password.
type User struct {
	Name string      `json:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}$" doc:"User name: the name in the audit file."`
	File secret.File `json:"password_file" doc:"File with the password; read again for each request, so that it can be renewed in place."`
}

// Empty reports that nobody is listed.
func (c Config) Empty() bool { return len(c.Tokens) == 0 && len(c.Basic) == 0 }

// Check reports names that are used twice.
func (c Config) Check() error {
	var failed []error
	seen := map[string]bool{}
	for _, s := range c.secrets() {
		if seen[s.name] {
			failed = append(failed, fmt.Errorf("auth: the name %q is used twice", s.name))
		}
		seen[s.name] = true
	}
	return errors.Join(failed...)
}

// CheckSecrets reports those that can not be read.
func (c Config) CheckSecrets() error {
	var failed []error
	for _, s := range c.secrets() {
		if _, err := s.file.Read(); err != nil {
			failed = append(failed, fmt.Errorf("auth: %s: %w", s.name, err))
		}
	}
	return errors.Join(failed...)
}

// credential is a secret with the name of whoever knows it.
type credential struct {
	name string
	file secret.File
}

func (c Config) secrets() []credential {
	return append(c.tokens(), c.users()...)
}

func (c Config) tokens() []credential {
	var all []credential
	for _, t := range c.Tokens {
		all = append(all, credential{t.Name, t.File})
	}
	return all
}

func (c Config) users() []credential {
	var all []credential
	for _, u := range c.Basic {
		all = append(all, credential{u.Name, u.File})
	}
	return all
}
