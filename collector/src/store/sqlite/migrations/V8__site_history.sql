-- Who came to a place and who left it, where it may be a farm: for the analyst, also of places that are no more.
CREATE TABLE site_event (
    number INTEGER PRIMARY KEY,
    site   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    value  TEXT NOT NULL
) STRICT;
CREATE INDEX site_event_site ON site_event (site, number);                   -- a site's history
CREATE INDEX site_event_at ON site_event (at);                               -- what is past retention
