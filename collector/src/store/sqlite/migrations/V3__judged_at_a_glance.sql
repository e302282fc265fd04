-- What places are judged by, without reading whole judgements.
ALTER TABLE judged ADD COLUMN llr REAL NOT NULL DEFAULT 0;
ALTER TABLE judged ADD COLUMN honest_llr REAL NOT NULL DEFAULT 0;
UPDATE judged SET llr = coalesce(value ->> '$.llr', 0), honest_llr = coalesce(value ->> '$.honest_llr', 0)
WHERE json_valid(value);
-- When a site was last judged, when it is to be judged again though nothing moves, and how many are there; those of
-- before are judged again with the next report.
ALTER TABLE site ADD COLUMN judged_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE site ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE site ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
