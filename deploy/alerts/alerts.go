// Package alerts holds the Prometheus alerting rules of the demo environment,
// for the lab and for docker-compose.yml alike.
package alerts

import "embed"

// Rules are the rule files, *.yml.
//
//go:embed *.yml
var Rules embed.FS
