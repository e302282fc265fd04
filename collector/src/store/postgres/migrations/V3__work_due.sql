-- Work may wait: what only windows changed is due later.
ALTER TABLE work RENAME COLUMN queued_at TO due_at;
ALTER INDEX work_oldest RENAME TO work_due;
