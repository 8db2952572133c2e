-- The way of events to the outside: each sink remembers how far it has read, so that nothing is left out.

-- In which order events became visible: 0 here, where one transaction writes at a time and ids are that order.
ALTER TABLE events ADD COLUMN tx INTEGER NOT NULL DEFAULT 0;

-- What a sink reads next.
CREATE INDEX events_by_tx ON events (tx, id);

-- Runs that have not ended, to be counted.
CREATE INDEX runs_open ON runs (state) WHERE finished_at IS NULL;

CREATE TABLE event_sinks (
    -- The sink.
    name TEXT NOT NULL PRIMARY KEY,
    -- The event that it took last: its transaction …
    tx INTEGER NOT NULL,
    -- … and its id.
    id INTEGER NOT NULL,
    -- The process that serves it.
    owner TEXT NOT NULL,
    -- Until when, without another sign of life.
    lease_until INTEGER NOT NULL,
    -- When it was last served.
    seen_at INTEGER NOT NULL,
    -- How often the next delivery has failed.
    failures INTEGER NOT NULL CHECK (failures >= 0),
    -- When it is tried again.
    retry_at INTEGER
) STRICT;

CREATE TABLE lost_deliveries (
    -- Grows with time.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The sink that did not take it.
    sink TEXT NOT NULL,
    -- The event.
    event_id INTEGER NOT NULL,
    -- When it was given up.
    at INTEGER NOT NULL,
    -- How often it was tried.
    attempts INTEGER NOT NULL CHECK (attempts > 0),
    -- Why the last try failed.
    problem TEXT NOT NULL,
    -- What was sent, as JSON.
    body TEXT NOT NULL
) STRICT;
