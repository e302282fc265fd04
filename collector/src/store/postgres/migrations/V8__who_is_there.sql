-- Who stands at a site is what devices name, and nothing else; the sanctioned place that a site is, at a glance.
ALTER TABLE site DROP COLUMN size;
ALTER TABLE site ADD COLUMN sanctioned TEXT;
