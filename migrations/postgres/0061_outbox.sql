-- The way of events to the outside: each sink remembers how far it has read, so that nothing is left out.

-- The transaction that wrote it. Ids are drawn before a transaction ends, so an event may become visible after one with a
-- greater id; read in the order of transactions, and only where all earlier ones have ended, none is passed over.
ALTER TABLE events ADD COLUMN tx BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);

-- What a sink reads next.
CREATE INDEX events_by_tx ON events (tx, id);

-- Runs that have not ended, to be counted.
CREATE INDEX runs_open ON runs (state) WHERE finished_at IS NULL;

CREATE TABLE event_sinks (
    -- The sink.
    name TEXT NOT NULL PRIMARY KEY,
    -- The event that it took last: its transaction …
    tx BIGINT NOT NULL,
    -- … and its id.
    id BIGINT NOT NULL,
    -- The process that serves it.
    owner TEXT NOT NULL,
    -- Until when, without another sign of life.
    lease_until BIGINT NOT NULL,
    -- When it was last served.
    seen_at BIGINT NOT NULL,
    -- How often the next delivery has failed.
    failures BIGINT NOT NULL CHECK (failures >= 0),
    -- When it is tried again.
    retry_at BIGINT
);

CREATE TABLE lost_deliveries (
    -- Grows with time.
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The sink that did not take it.
    sink TEXT NOT NULL,
    -- The event.
    event_id BIGINT NOT NULL,
    -- When it was given up.
    at BIGINT NOT NULL,
    -- How often it was tried.
    attempts BIGINT NOT NULL CHECK (attempts > 0),
    -- Why the last try failed.
    problem TEXT NOT NULL,
    -- What was sent, as JSON.
    body TEXT NOT NULL
);
