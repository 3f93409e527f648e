// Package deploy holds the files that a deployment of the demo environment is
// made of, for docker-compose.yml and for the lab alike.
package deploy

import (
	"embed"
	"io/fs"
)

//go:embed alerts/*.yml
var files embed.FS

// OrdersDatabase is the SQL, one statement a line, that makes the database of
// the demo service and the roles of the service and of the engine, which have
// no passwords yet.
//
//go:embed orders/database.sql
var OrdersDatabase string

// AlertRules are the Prometheus rule files, *.yml.
func AlertRules() fs.FS {
	rules, err := fs.Sub(files, "alerts")
	if err != nil {
		panic(err) // a constant, valid path
	}
	return rules
}
