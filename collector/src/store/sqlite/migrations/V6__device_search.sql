-- What devices are searched by: every three letters in a row of their ids, serial numbers, host names and users.
-- Removed and added anew, for REPLACE in a trigger yields to how the statement that fires it treats conflicts.
CREATE VIRTUAL TABLE device_text USING fts5(text, content='', contentless_delete=1, tokenize='trigram');
CREATE VIEW device_words AS
    SELECT d.number, d.serial, concat_ws(char(10), d.id, d.serial, d.hostname, a.user) AS text
    FROM device d LEFT JOIN asset a ON a.serial = d.serial;
CREATE TRIGGER device_text_new AFTER INSERT ON device BEGIN
    INSERT INTO device_text (rowid, text) SELECT number, text FROM device_words WHERE number = new.number;
END;
CREATE TRIGGER device_text_named AFTER UPDATE OF serial, hostname ON device
    WHEN old.serial IS NOT new.serial OR old.hostname <> new.hostname BEGIN
    DELETE FROM device_text WHERE rowid = new.number;
    INSERT INTO device_text (rowid, text) SELECT number, text FROM device_words WHERE number = new.number;
END;
CREATE TRIGGER device_text_of_user AFTER INSERT ON asset BEGIN
    DELETE FROM device_text WHERE rowid IN (SELECT number FROM device WHERE serial = new.serial);
    INSERT INTO device_text (rowid, text) SELECT number, text FROM device_words WHERE serial = new.serial;
END;
CREATE TRIGGER device_text_of_other_user AFTER UPDATE OF user ON asset WHEN old.user <> new.user BEGIN
    DELETE FROM device_text WHERE rowid IN (SELECT number FROM device WHERE serial = new.serial);
    INSERT INTO device_text (rowid, text) SELECT number, text FROM device_words WHERE serial = new.serial;
END;
INSERT INTO device_text (rowid, text) SELECT number, text FROM device_words;
