package mysql

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/runbook-engine/runbook/actions"
)

// maxBytes keeps a result small enough for a run's history.
const maxBytes = 512 << 10

func gather(rows *sql.Rows, limit int) (r queryResult, err error) {
	columns, err := rows.ColumnTypes()
	if err != nil {
		return r, err
	}
	r.Rows = []map[string]any{}
	size := 0
	for rows.Next() {
		if len(r.Rows) == limit {
			r.Truncated = true
			break
		}
		row, bytes, err := record(rows, columns)
		if err != nil {
			return r, err
		}
		if size += bytes; size > maxBytes {
			return r, actions.Permanent(fmt.Errorf("the answer has more than %d KiB; select less", maxBytes>>10))
		}
		r.Rows = append(r.Rows, row)
	}
	if err := rows.Err(); err != nil {
		return r, err
	}
	r.Count, r.Value = len(r.Rows), r.number(columns)
	return r, nil
}

func record(rows *sql.Rows, columns []*sql.ColumnType) (row map[string]any, size int, err error) {
	values, places := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	if err := rows.Scan(places...); err != nil {
		return nil, 0, err
	}
	row = make(map[string]any, len(columns))
	for i, column := range columns {
		name := column.Name()
		if _, twice := row[name]; twice {
			return nil, 0, actions.Permanent(fmt.Errorf("two columns are named %q; name them apart with AS", name))
		}
		if text, ok := values[i].([]byte); ok {
			size += len(text)
		}
		if row[name], err = plain(values[i], column.DatabaseTypeName()); err != nil {
			return nil, 0, actions.Permanent(fmt.Errorf("column %q: %w", name, err))
		}
	}
	return row, size, nil
}

// plain is a value as JSON can carry it.
func plain(value any, kind string) (any, error) {
	switch v := value.(type) {
	case []byte:
		return plainText(string(v), kind)
	case float32:
		return finite(float64(v))
	case float64:
		return finite(v)
	}
	return value, nil
}

func plainText(text, kind string) (any, error) {
	switch kind {
	case "DECIMAL":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		return finite(f)
	case "JSON":
		return json.RawMessage(text), nil
	}
	return text, nil
}

func finite(f float64) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v is no number that JSON has", f)
	}
	return f, nil
}

// number is the first column of the only row.
func (r queryResult) number(columns []*sql.ColumnType) *float64 {
	if len(r.Rows) != 1 || r.Truncated || len(columns) == 0 {
		return nil
	}
	var f float64
	switch v := r.Rows[0][columns[0].Name()].(type) {
	case int64:
		f = float64(v)
	case uint64:
		f = float64(v)
	case float64:
		f = v
	default:
		return nil
	}
	return &f
}
