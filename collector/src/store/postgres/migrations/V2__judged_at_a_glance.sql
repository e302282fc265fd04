-- What places are judged by, without reading whole judgements.
ALTER TABLE judged ADD COLUMN llr DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE judged ADD COLUMN honest_llr DOUBLE PRECISION NOT NULL DEFAULT 0;
UPDATE judged SET llr = (value::json ->> 'llr')::double precision, honest_llr = (value::json ->> 'honest_llr')::double precision;
-- When a site was last judged, when it is to be judged again though nothing moves, and how many are there; those of
-- before are judged again with the next report.
ALTER TABLE site ADD COLUMN judged_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE site ADD COLUMN due_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE site ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
