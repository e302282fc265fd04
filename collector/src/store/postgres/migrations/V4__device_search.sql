-- What devices are searched by: every three letters in a row of ids, serial numbers, host names and users.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX device_text ON device USING gin (id gin_trgm_ops, serial gin_trgm_ops, hostname gin_trgm_ops);
CREATE INDEX asset_user ON asset USING gin (user_name gin_trgm_ops);
