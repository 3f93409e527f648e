// Package e2e tests the engine as a whole: a process of its own, with real
// Alertmanagers, a real Prometheus and a real PostgreSQL around it.
package e2e
