package lab

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/runbook-engine/runbook/deploy"
)

// createDatabase makes the database orders, owned by the role of the service,
// and the role of the engine. It returns the file with the connection URL of
// the service.
func (l *Lab) createDatabase(ctx context.Context) (serviceDSNFile string, err error) {
	service, engine := rand.Text(), rand.Text() // letters and digits only
	statements := append(strings.Split(strings.TrimSpace(deploy.OrdersDatabase), "\n"),
		fmt.Sprintf("ALTER ROLE orders_api PASSWORD '%s'", service),
		fmt.Sprintf("ALTER ROLE runbook PASSWORD '%s'", engine))
	for _, statement := range statements {
		if err := l.Postgres.Exec(ctx, "postgres", statement); err != nil {
			return "", err
		}
	}
	serviceDSNFile = filepath.Join(l.Dir, "orders-api.dsn")
	l.EngineDSNFile = filepath.Join(l.Dir, "engine.dsn")
	for file, dsn := range map[string]string{
		serviceDSNFile:  l.Postgres.DSNFor("orders_api", service, "orders"),
		l.EngineDSNFile: l.Postgres.DSNFor("runbook", engine, "orders"),
	} {
		if err := os.WriteFile(file, []byte(dsn+"\n"), 0o600); err != nil {
			return "", err
		}
	}
	return serviceDSNFile, nil
}
