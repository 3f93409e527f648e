package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/runbook-engine/runbook/actions"
)

// SQLSTATEs that get words of their own.
const (
	tooManyConnections    = "53300"
	insufficientPrivilege = "42501"
)

// passing are the classes of SQLSTATEs that a retry may not meet again: lost
// connections, conflicts, exhausted resources, locks, an operator's hand, the
// server's own trouble.
var passing = []string{"08", "40", "53", "55", "57", "58", "XX"}

// failure says what was being done to which database, and what the error means
// for a retry.
func (c *client) failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	err = fmt.Errorf("%s postgres %q: %w", what, c.name, oneLine{err})
	var said *pgconn.PgError
	switch {
	case !errors.As(err, &said):
		return err
	case said.Code == tooManyConnections:
		return fmt.Errorf("%w; %s", err, adviceFull)
	case !slices.Contains(passing, said.Code[:2]):
		return actions.Permanent(err)
	}
	return err
}

const adviceFull = "the server has no connection left for the engine: end a session by hand, raise max_connections, or keep some back " +
	"for the engine's role with reserved_connections and GRANT pg_use_reserved_connections (PostgreSQL 16 and newer); " +
	"what superuser_reserved_connections keeps back is for superusers only"

// oneLine is an error that the driver spreads over several lines.
type oneLine struct{ error }

func (o oneLine) Error() string {
	return strings.Join(strings.FieldsFunc(o.error.Error(), func(r rune) bool { return r == '\n' || r == '\t' }), " ")
}

func (o oneLine) Unwrap() error { return o.error }

func isFull(err error) bool { return hasCode(err, tooManyConnections) }

func hasCode(err error, code string) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && said.Code == code
}
