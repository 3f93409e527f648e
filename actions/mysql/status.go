package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// status is what a server says of its part in replication.
type status struct {
	version  string
	serverID int64
	readOnly bool
	logs     bool // it has a binary log
	position gtids
	state    gtids // the last of each domain and server in its binary log
	applied  gtids
	source   *source // nil when it is no replica
}

// source is what a replica says of the server that it copies.
type source struct {
	address  string
	serverID int64
	io, sql  string
	lag      *float64
	received gtids
	error    string
}

func (s status) mariaDB() bool { return strings.Contains(s.version, "MariaDB") }

func (c *client) look(ctx context.Context) (s status, err error) {
	err = c.control.QueryRowContext(ctx, "SELECT version(), @@server_id, @@global.read_only, @@log_bin").Scan(&s.version, &s.serverID, &s.readOnly, &s.logs)
	if err != nil {
		return s, err
	}
	if s.mariaDB() {
		var position, state, applied string
		err := c.control.QueryRowContext(ctx, "SELECT @@gtid_current_pos, @@gtid_binlog_state, @@gtid_slave_pos").Scan(&position, &state, &applied)
		if err != nil {
			return s, err
		}
		for text, into := range map[*gtids]string{&s.position: position, &s.state: state, &s.applied: applied} {
			if *text, err = parseGTIDs(into); err != nil {
				return s, err
			}
		}
	}
	s.source, err = c.lookAtSource(ctx)
	return s, err
}

func (c *client) lookAtSource(ctx context.Context) (*source, error) {
	rows, err := c.control.QueryContext(ctx, "SHOW REPLICA STATUS")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	row, err := texts(rows)
	if err != nil {
		return nil, err
	}
	s := &source{
		address: net.JoinHostPort(row.first("Master_Host", "Source_Host"), row.first("Master_Port", "Source_Port")),
		io:      row.first("Slave_IO_Running", "Replica_IO_Running"), sql: row.first("Slave_SQL_Running", "Replica_SQL_Running"),
		error: strings.TrimSpace(row.first("Last_IO_Error") + " " + row.first("Last_SQL_Error")),
	}
	s.serverID, _ = strconv.ParseInt(row.first("Master_Server_Id", "Source_Server_Id"), 10, 64)
	if lag, err := strconv.ParseFloat(row.first("Seconds_Behind_Master", "Seconds_Behind_Source"), 64); err == nil {
		s.lag = &lag
	}
	if s.received, err = parseGTIDs(row.first("Gtid_IO_Pos")); err != nil {
		return nil, err
	}
	if rows.Next() {
		return nil, fmt.Errorf("it copies several servers, which this can not judge")
	}
	return s, rows.Err()
}

// row is one row by column; a null is not in it.
type row map[string]string

func (r row) first(names ...string) string {
	for _, name := range names {
		if text, there := r[name]; there {
			return text
		}
	}
	return ""
}

func texts(rows *sql.Rows) (row, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, places := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	if err := rows.Scan(places...); err != nil {
		return nil, err
	}
	r := row{}
	for i, column := range columns {
		if values[i].Valid {
			r[column] = values[i].String
		}
	}
	return r, nil
}
