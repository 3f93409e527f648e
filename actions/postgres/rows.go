package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/runbook-engine/runbook/actions"
)

// maxBytes keeps a result small enough for a run's history.
const maxBytes = 512 << 10

// read runs the statement by the protocol that takes one statement only, and
// wants every value as text.
func read(ctx context.Context, tx pgx.Tx, p queryParams) (queryResult, error) {
	r := queryResult{Rows: []map[string]any{}}
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	how := []any{pgx.QueryExecModeDescribeExec, pgx.QueryResultFormats{pgx.TextFormatCode}}
	rows, err := tx.Query(ctx, p.Query, append(how, p.Args...)...)
	if err != nil {
		return r, notSent(tx.Conn(), err)
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		if len(r.Rows) == p.Limit {
			r.Truncated = true
			enough() // the server need not send the rest
			break
		}
		for _, raw := range rows.RawValues() {
			size += len(raw)
		}
		if size > maxBytes {
			enough()
			return r, actions.Permanent(fmt.Errorf("the answer has more than %d KiB; select less", maxBytes>>10))
		}
		row, err := record(rows.FieldDescriptions(), rows.RawValues())
		if err != nil {
			return r, actions.Permanent(err)
		}
		r.Rows = append(r.Rows, row)
	}
	if rows.Close(); rows.Err() != nil && !r.Truncated {
		return r, rows.Err()
	}
	r.Count, r.Value = len(r.Rows), r.number(rows.FieldDescriptions())
	return r, nil
}

// notSent: when the driver refuses arguments the session stays open, and they
// will be refused again.
func notSent(conn *pgx.Conn, err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || conn.IsClosed() {
		return err
	}
	return actions.Permanent(err)
}

// number is the first column of the only row.
func (r queryResult) number(columns []pgconn.FieldDescription) *float64 {
	if len(r.Rows) != 1 || r.Truncated || len(columns) == 0 {
		return nil
	}
	switch v := r.Rows[0][columns[0].Name].(type) {
	case int64:
		f := float64(v)
		return &f
	case float64:
		return &v
	}
	return nil
}

func record(columns []pgconn.FieldDescription, raw [][]byte) (map[string]any, error) {
	row := make(map[string]any, len(columns))
	for i, column := range columns {
		if _, twice := row[column.Name]; twice {
			return nil, fmt.Errorf("two columns are named %q; name them apart with AS", column.Name)
		}
		value, err := plain(column.DataTypeOID, raw[i])
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", column.Name, err)
		}
		row[column.Name] = value
	}
	return row, nil
}

// plain is a value as JSON can carry it.
func plain(oid uint32, raw []byte) (any, error) {
	if raw == nil {
		return nil, nil
	}
	text := string(raw)
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return strconv.ParseInt(text, 10, 64)
	case pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		f, err := strconv.ParseFloat(text, 64)
		if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			err = fmt.Errorf("%s is no number that JSON has", text)
		}
		return f, err
	case pgtype.BoolOID:
		return text == "t", nil
	case pgtype.JSONOID, pgtype.JSONBOID:
		return json.RawMessage(text), nil
	}
	return text, nil
}
