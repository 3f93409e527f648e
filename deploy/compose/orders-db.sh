#!/bin/sh
# Runs once in the container "orders-db", when its data directory is new.
set -eu
service="$(cat /secrets/orders_api)"
engine="$(cat /secrets/engine)"

psql -v ON_ERROR_STOP=1 -U postgres -f /deploy/orders/database.sql
psql -v ON_ERROR_STOP=1 -U postgres -v service="$service" -v engine="$engine" <<'SQL'
ALTER ROLE orders_api PASSWORD :'service';
ALTER ROLE runbook PASSWORD :'engine';
SQL
