package toxiproxy

import "github.com/runbook-engine/runbook/chaos"

type downParams struct {
	Proxy string `json:"proxy" connection:"toxiproxy" doc:"Connection to the proxy."`
}

// down also adds a toxic that does nothing: its name says whose hand it was, and
// until when.
func down(i injector) chaos.Fault {
	return define(i, "down",
		"The proxy refuses connections, and closes those that there are.",
		"{proxy: orders-db-proxy}",
		func(p downParams) string { return p.Proxy },
		func(downParams) disturbance {
			d := one("noop", downstream, 1, map[string]int64{})
			d.down = true
			return d
		})
}
