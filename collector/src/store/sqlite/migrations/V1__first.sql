-- Times are whole milliseconds since 1970 (UTC). Nested values are JSON text. Words of enums are as in JSON.
-- Beside each index: the query that it serves.

-- What seldom changes about a device. Everything else names a device by its number, which is short.
CREATE TABLE device (
    number        INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    standing      TEXT NOT NULL,
    serial        TEXT,
    hostname      TEXT NOT NULL,
    os            TEXT NOT NULL,
    certificates  TEXT NOT NULL,
    enrolled_at   INTEGER NOT NULL,
    site          TEXT,
    order_counter INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX device_serial ON device (serial) WHERE serial IS NOT NULL;      -- devices of a serial; text search by user
CREATE INDEX device_standing ON device (standing, id);                       -- counts; listings by standing
CREATE INDEX device_site ON device (site, id) WHERE site IS NOT NULL;        -- devices of a site

-- What every report touches: kept narrow, so that one page holds many devices' heartbeats.
CREATE TABLE head (
    device          INTEGER PRIMARY KEY REFERENCES device (number),
    seq             INTEGER NOT NULL,
    last_seen       INTEGER,
    clock_skew      INTEGER NOT NULL,      -- seconds
    boot            TEXT NOT NULL,
    boot_from       INTEGER NOT NULL,      -- first seq of this boot
    machine         TEXT NOT NULL,
    digest          BLOB NOT NULL,         -- of the facts as they were sent, 16 bytes
    seen_day        INTEGER,               -- last_seen in whole days: indexed, and changes once a day only
    address         TEXT,
    country         TEXT,
    network         TEXT,
    dropped_windows INTEGER NOT NULL,
    gaps            INTEGER NOT NULL DEFAULT 0  -- numbers that never came
) STRICT;
CREATE INDEX head_seen_day ON head (seen_day);                               -- who is silent

-- Boots before the present one and the numbers that were taken from each: a report that comes again is told
-- from one that a second agent wrote.
CREATE TABLE boot (
    device   INTEGER NOT NULL,
    boot     TEXT NOT NULL,
    seq_from INTEGER NOT NULL,
    seq_to   INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (device, boot, seq_from)
) STRICT, WITHOUT ROWID;

-- Facts now, hashes hashed again; `digest` is what the fact adds to the digest as it was sent.
CREATE TABLE fact (
    device INTEGER NOT NULL,
    key    TEXT NOT NULL,
    digest BLOB NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (device, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE "window" (
    device  INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (device, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE transition (
    device  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    PRIMARY KEY (device, at, kind)
) STRICT, WITHOUT ROWID;

-- Reports as sent, heartbeats left out. `report` is JSON, or zstd of it where that is worth it.
CREATE TABLE sent (
    device      INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    report      BLOB NOT NULL,
    PRIMARY KEY (device, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE rtt (
    device INTEGER NOT NULL,
    day    INTEGER NOT NULL,               -- whole days since 1970
    ms     INTEGER NOT NULL,               -- the least of that day
    PRIMARY KEY (device, day)
) STRICT, WITHOUT ROWID;

-- Devices to be judged. A change while one is being judged raises `generation` above `taken`.
CREATE TABLE work (
    device       INTEGER PRIMARY KEY,
    queued_at    INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    taken        INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX work_oldest ON work (queued_at, device);                        -- the next ones to judge

CREATE TABLE judged (
    device INTEGER PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT;

CREATE TABLE anchor (
    device     INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    value      TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    current    INTEGER NOT NULL,
    PRIMARY KEY (device, kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX anchor_devices ON anchor (kind, value, device) WHERE current = 1;  -- who is at an anchor

-- How many devices show an anchor now, kept by each write of anchors: an office's is not counted anew.
CREATE TABLE anchor_count (
    kind    TEXT NOT NULL,
    value   TEXT NOT NULL,
    devices INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE site (
    id    TEXT PRIMARY KEY,
    farm  REAL NOT NULL,
    value TEXT NOT NULL
) STRICT;
CREATE INDEX site_farm ON site (farm DESC, id);                              -- most probable farm first

CREATE TABLE alert (
    number     INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    key        TEXT NOT NULL UNIQUE,
    version    INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    state      TEXT NOT NULL,
    loudness   INTEGER NOT NULL,           -- 0 low to 3 critical
    absorbed   INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    title      TEXT NOT NULL,
    value      TEXT NOT NULL               -- the alert
) STRICT;
CREATE INDEX alert_loudest ON alert (loudness DESC, updated_at DESC, id);    -- the queue
CREATE INDEX alert_state ON alert (state, absorbed);                         -- counts

CREATE TABLE alert_device (
    device TEXT NOT NULL,
    alert  TEXT NOT NULL,
    PRIMARY KEY (device, alert)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_device_alert ON alert_device (alert);                     -- an alert's devices, to replace them

CREATE TABLE alert_event (
    number INTEGER PRIMARY KEY,
    alert  TEXT NOT NULL,
    at     INTEGER NOT NULL,
    actor  TEXT NOT NULL,
    what   TEXT NOT NULL
) STRICT;
CREATE INDEX alert_event_alert ON alert_event (alert, number);               -- an alert's life

CREATE TABLE device_order (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    device     TEXT NOT NULL,
    counter    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    sealed     TEXT NOT NULL,
    envelope   TEXT NOT NULL,
    actor      TEXT NOT NULL,
    why        TEXT,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX device_order_device ON device_order (device, counter);          -- a device's orders

-- Append-only: what tries to change or remove an entry fails.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    why    TEXT NOT NULL,
    hash   TEXT NOT NULL
) STRICT;
CREATE INDEX audit_object ON audit (object, number);                         -- entries about one thing
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TABLE token (
    hash       TEXT PRIMARY KEY,
    hint       TEXT NOT NULL,
    label      TEXT NOT NULL,
    uses_left  INTEGER NOT NULL,
    serial     TEXT,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE user (
    name     TEXT PRIMARY KEY,
    password TEXT NOT NULL                 -- argon2id, PHC string
) STRICT, WITHOUT ROWID;

CREATE TABLE web_session (
    hash       TEXT PRIMARY KEY,
    user       TEXT NOT NULL,
    csrf       TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE asset (
    serial           TEXT PRIMARY KEY,
    user             TEXT NOT NULL,
    department       TEXT NOT NULL,
    shipped_to       TEXT NOT NULL,
    expected_country TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE place (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE exception (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE kept (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
