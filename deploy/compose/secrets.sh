#!/bin/sh
# Makes the passwords of the environment, once, as files of the volume /secrets,
# so that none is written into a repository. Runs in the container "secrets".
set -eu
cd /secrets

secret() {
	[ -s "$1" ] || od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' >"$1"
}

for name in webhook_token postgres orders_api engine temporal; do
	secret "$name"
done
dsn() {
	password="$(cat "$2")"
	printf 'postgres://%s:%s@orders-db:5432/orders?sslmode=disable\n' "$1" "$password" >"$2.dsn"
}
dsn orders_api orders_api
dsn runbook engine
# Each service runs as a user of its own; only these containers mount the volume.
chmod 0444 ./*
