package engine

import "github.com/runbook-engine/runbook/runbooks"

// LintOptions is what the documents of an engine with this config are checked
// against: its actions, and the names of its connections and windows.
func (c Config) LintOptions() (runbooks.Options, error) {
	conns, catalog, err := c.Connections.open()
	return runbooks.Options{Catalog: catalog, Connections: conns, Windows: c.windowNames()}, err
}
