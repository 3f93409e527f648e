#!/bin/sh
# Brings the databases of Temporal up to date; runs before each start of it.
set -eu
SQL_PASSWORD="$(cat /secrets/temporal)"
export SQL_PASSWORD

for database in temporal temporal_visibility; do
	tool() {
		temporal-sql-tool --plugin postgres12 --ep temporal-db -p 5432 -u temporal --db "$database" "$@"
	}
	tool create
	tool setup-schema -v 0.0
	tool update-schema -d "/etc/temporal/schema/postgresql/v12/${database#temporal_}/versioned"
done
