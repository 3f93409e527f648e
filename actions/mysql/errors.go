package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/runbook-engine/runbook/actions"
)

// Numbers of errors, as the servers have them.
const (
	tooManyConnections = 1040
	accessDenied       = 1045
	userLimit          = 1203
	lacksPrivilege     = 1227
	noSuchThread       = 1094
	notOwner           = 1095 // of a thread to kill
	unknownVariable    = 1193
)

// passing are errors that may pass: a full server, one that starts or stops, a
// lock, a statement that took too long.
var passing = []uint16{tooManyConnections, userLimit, 1053, 1158, 1159, 1160, 1161, 1205, 1213, 1226, 1290, 1317, 1836, 1969, 3024}

// failure says what was being done to which connection, and whether to try again.
func (c *client) failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	err = fmt.Errorf("%s mysql %q: %w", what, c.name, oneLine{err})
	var said *mysql.MySQLError
	if !errors.As(err, &said) || slices.Contains(passing, said.Number) {
		return advised(err, said)
	}
	return actions.Permanent(advised(err, said))
}

func advised(err error, said *mysql.MySQLError) error {
	switch {
	case said == nil:
		return err
	case said.Number == accessDenied:
		return fmt.Errorf("%w; look at user and password_file of the connection", err)
	case said.Number == lacksPrivilege:
		return fmt.Errorf("%w; GRANT that to the engine's user", err)
	case said.Number == notOwner:
		return fmt.Errorf("%w; GRANT CONNECTION ADMIN to the engine's user", err)
	case said.Number == tooManyConnections:
		return fmt.Errorf("%w; end a session by hand, or raise max_connections", err)
	}
	return err
}

type oneLine struct{ error }

func (o oneLine) Error() string { return strings.Join(strings.Fields(o.error.Error()), " ") }
func (o oneLine) Unwrap() error { return o.error }

func hasNumber(err error, number uint16) bool {
	var said *mysql.MySQLError
	return errors.As(err, &said) && said.Number == number
}
