#!/bin/sh
# Runs once in the container "orders-db", when its data directory is new.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres -f /deploy/orders/database.sql
psql -v ON_ERROR_STOP=1 -U postgres \
	-v service="$(cat /secrets/orders_api)" -v engine="$(cat /secrets/engine)" <<'SQL'
ALTER ROLE orders_api PASSWORD :'service';
ALTER ROLE runbook PASSWORD :'engine';
SQL
