-- The queue, read in its order until a page is full instead of sorted whole; what it is narrowed by stands in the index.
CREATE INDEX alert_queue ON alert (absorbed, loudness DESC, updated_at DESC, id, state, kind);
-- Counts, by kind too.
DROP INDEX alert_state;
CREATE INDEX alert_state ON alert (state, absorbed, kind);
