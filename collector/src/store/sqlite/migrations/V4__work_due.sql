-- Work may wait: what only windows changed is due later.
ALTER TABLE work RENAME COLUMN queued_at TO due_at;
DROP INDEX work_oldest;
CREATE INDEX work_due ON work (due_at, device);                              -- the next ones to judge
