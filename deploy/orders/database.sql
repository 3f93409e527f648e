-- The service owns its database. The engine may watch and end sessions, and is no superuser.
CREATE ROLE orders_api LOGIN;
CREATE ROLE runbook LOGIN IN ROLE pg_monitor, pg_signal_backend;
CREATE DATABASE orders OWNER orders_api;
