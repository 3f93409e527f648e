package engine

import (
	"fmt"
	"net"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/identity"
)

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
	report(n.Find("escalation", "connection"), "escalation", c.checkEscalation())
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

func (c Config) checkEscalation() error {
	conns, problems := actions.NewConnections(kinds(), c.Connections.node)
	if err := problems.Err(); err != nil {
		return err
	}
	_, err := c.escalation(conns)
	return err
}

// escalation is the name of the connection by which people are told; "" where
// there is none.
func (c Config) escalation(conns *actions.Connections) (string, error) {
	known := conns.Names(alertmanagerKind)
	name := c.Escalation.Connection
	switch {
	case name != "":
		return name, conns.Check(alertmanagerKind, name)
	case len(known) == 1:
		return known[0], nil
	case len(known) > 1:
		return "", fmt.Errorf("several alertmanager connections are configured (%s); say which one people are told by: escalation.connection",
			strings.Join(known, ", "))
	}
	return "", nil
}
