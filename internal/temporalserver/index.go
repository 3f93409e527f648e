//go:build !noembedded

package temporalserver

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// keptIndexes are those of the index of runs that a search of the engine can use, as patterns of GLOB. The server's
// schema has 58, for any search that anybody might ask a cluster; each ends with the close time, so that each run that
// starts and closes changes all of them. Searches by other columns are answered by reading more rows.
var keptIndexes = []string{
	"default_idx", "by_workflow_id", "by_workflow_type", "by_status", "by_temporal_scheduled_by_id", "by_keyword_*",
}

// trimSchema takes out what only costs time here: the other indexes, and the triggers that keep the full-text tables of
// Text and KeywordList attributes, which validate refuses.
func trimSchema(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT type, name FROM sqlite_master
		WHERE tbl_name = 'executions_visibility' AND sql IS NOT NULL AND (type = 'trigger' OR type = 'index' AND NOT (`+kept()+`))`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var drops []string
	for rows.Next() {
		var kind, name string
		if err := rows.Scan(&kind, &name); err != nil {
			return err
		}
		drops = append(drops, fmt.Sprintf("DROP %s %q", kind, name))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, strings.Join(drops, ";"))
	return err
}

func kept() string { return "name GLOB '" + strings.Join(keptIndexes, "' OR name GLOB '") + "'" }
