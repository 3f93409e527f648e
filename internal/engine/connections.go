package engine

import (
	"fmt"

	"github.com/invopop/jsonschema"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/std"
	faults "github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Connections is the part of the config that each kind of connection declares
// for itself.
type Connections struct{ node *document.Node }

// UnmarshalDocument keeps the part, once it is known to be valid.
func (c *Connections) UnmarshalDocument(n *document.Node) diag.List {
	c.node = n
	_, problems := actions.NewConnections(kinds(), n)
	return problems
}

// JSONSchema describes the connections by their kinds.
func (Connections) JSONSchema() *jsonschema.Schema {
	kindsByName := jsonschema.NewProperties()
	for _, k := range kinds() {
		s := k.Config.Schema(false)
		s.Description = k.Doc
		kindsByName.Set(k.Kind, s)
	}
	one := uint64(1)
	return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{
		Type: "object", Properties: kindsByName, AdditionalProperties: jsonschema.FalseSchema,
		MinProperties: &one, MaxProperties: &one,
	}}
}

func kinds() []*actions.ConnectionKind {
	return append(std.Catalog(nil).Kinds(), faults.Catalog(nil).Kinds()...)
}

// open makes the connections and the actions that use them.
func (c Connections) open() (*actions.Connections, *actions.Catalog, error) {
	conns, problems := actions.NewConnections(kinds(), c.node)
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	return conns, std.Catalog(conns), nil
}

const alertmanagerKind = "alertmanager"

// alertmanagers are clients of our own for connections, besides those that the
// actions use.
func (c Connections) alertmanagers(names []string) (peers alertmanagerapi.Peers, err error) {
	for _, name := range names {
		var config alertmanagerapi.Config
		problems := document.Decode(c.node.Get(name).Get(alertmanagerKind), &config)
		if err := problems.Err(); err != nil {
			return peers, err
		}
		client, err := alertmanagerapi.Open(config)
		if err != nil {
			return peers, fmt.Errorf("connection %s: %w", name, err)
		}
		peers = append(peers, alertmanagerapi.Peer{Client: client, Name: name})
	}
	return peers, nil
}
