-- Where a device stood before: a place that parts and comes together again is the same one.
ALTER TABLE device ADD COLUMN former_site TEXT;
