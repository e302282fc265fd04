-- What an alert has taken in is found by that alert. What is common in the fleet counts while it is there, and is not kept.
ALTER TABLE alert ADD COLUMN absorbed_by TEXT COLLATE "C";
UPDATE alert SET absorbed_by = substring(value from '"absorbed_by":"([^"]+)"') WHERE absorbed;
CREATE INDEX alert_taken_in ON alert (absorbed_by) WHERE absorbed_by IS NOT NULL;
DELETE FROM anchor WHERE kind = 'trait' AND NOT current;
