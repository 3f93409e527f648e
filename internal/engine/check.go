package engine

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/identity"
)

// ConfigError is a mistake in what the engine was told, by its config or its
// caller: the same again ends the same.
type ConfigError struct{ err error }

func (e *ConfigError) Error() string { return e.err.Error() }

func (e *ConfigError) Unwrap() error { return e.err }

// check finds what is wrong between the fields of a config.
func (c Config) check(n *document.Node) (problems diag.List) {
	report := func(at *document.Node, code string, err error) {
		if err != nil {
			problems.Add(at.At, code, err.Error(), "")
		}
	}
	report(n.Find("listen"), "listen", c.checkListen())
	report(n.Find("tls"), "tls", c.TLS.check())
	report(n.Find("temporal"), "temporal", c.Temporal.check())
	report(n.Find("auth"), "auth", c.Auth.Check())
	report(n.Find("auth", "certificates"), "auth", c.checkCertificates())
	report(n.Find("artefacts"), "artefacts", c.Artefacts.check())
	report(n.Find("webhook"), "webhook", c.Webhook.check())
	report(n.Find("alertmanagers"), "alertmanagers", c.checkAlertmanagers())
	report(n.Find("guards", "each"), "guards", c.Guards.Each.Check())
	return problems
}

// authenticates reports that requests need credentials of some kind.
func (c Config) authenticates() bool { return !c.Auth.Empty() || c.TLS.ClientCAFile != "" }

func (c Config) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen %q is no address like %s", c.Listen, DefaultListen)
	}
	if !c.authenticates() && !identity.IsLoopback(host) {
		return fmt.Errorf("listen %q can be reached from other machines, and nothing says who may use the engine: "+
			"configure auth.tokens, auth.basic or tls.client_ca_file, or listen on the loopback (%s)", c.Listen, DefaultListen)
	}
	return nil
}

func (c Config) checkCertificates() error {
	if len(c.Auth.Certificates) > 0 && c.TLS.ClientCAFile == "" {
		return fmt.Errorf("auth.certificates needs tls.client_ca_file: nobody is asked for a certificate")
	}
	return nil
}

func (t TLS) check() error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return fmt.Errorf("tls.cert_file and tls.key_file go together")
	}
	if t.ClientCAFile != "" && t.CertFile == "" {
		return fmt.Errorf("tls.client_ca_file needs tls.cert_file and tls.key_file")
	}
	return nil
}

func (t Temporal) check() error {
	if t.Address == "" {
		if t.TLS != nil || t.APIKeyFile != "" {
			return fmt.Errorf("temporal.tls and temporal.api_key_file are for a cluster; they need temporal.address")
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(t.Address); err != nil {
		return fmt.Errorf("temporal.address %q is no address like temporal.example.com:7233", t.Address)
	}
	if t.TLS != nil && (t.TLS.CertFile == "") != (t.TLS.KeyFile == "") {
		return fmt.Errorf("temporal.tls.cert_file and temporal.tls.key_file go together")
	}
	return nil
}

func (c Config) checkAlertmanagers() error {
	conns, problems := actions.NewConnections(kinds(), c.Connections.node)
	if err := problems.Err(); err != nil {
		return err
	}
	_, err := c.alertmanagers(conns)
	return err
}

// alertmanagers names the connections to those that work with the engine; none
// where there is no such connection.
func (c Config) alertmanagers(conns *actions.Connections) ([]string, error) {
	known := conns.Names(alertmanagerKind)
	if len(c.Alertmanagers) == 0 && len(known) > 1 {
		return nil, fmt.Errorf("several alertmanager connections are configured (%s); say which ones send to this engine "+
			"and tell people of its own alerts: alertmanagers: [NAME, …]", strings.Join(known, ", "))
	}
	if len(c.Alertmanagers) == 0 {
		return known, nil
	}
	for i, name := range c.Alertmanagers {
		if err := conns.Check(alertmanagerKind, name); err != nil {
			return nil, err
		}
		if slices.Contains(c.Alertmanagers[:i], name) {
			return nil, fmt.Errorf("alertmanagers has %s twice", name)
		}
	}
	return c.Alertmanagers, nil
}
