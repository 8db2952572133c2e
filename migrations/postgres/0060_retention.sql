-- What was removed because of its age, and what will be. Removal has two steps with a time of grace between them, so
-- that whoever is still reading can end, and a run that is resumed meanwhile keeps what it has.

CREATE TABLE installation (
    -- There is one row.
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    -- Names this database to places that several could share: random, made once.
    id TEXT NOT NULL CHECK (id <> '')
);

CREATE TABLE aged_runs (
    -- The run; it has ended.
    run_id UUID NOT NULL PRIMARY KEY REFERENCES runs (id),
    -- When its data sets were found to be old enough; a resume takes that back.
    marked_at BIGINT,
    -- Whether their removal has begun; from then on the run cannot be resumed.
    removing BIGINT NOT NULL CHECK (removing IN (0, 1)),
    -- When all of them were gone.
    removed_at BIGINT,
    -- When its events were removed.
    events_removed_at BIGINT,
    CHECK (removing = 0 OR marked_at IS NOT NULL),
    CHECK (removed_at IS NULL OR removing = 1)
);

-- Runs whose data sets are to be removed next.
CREATE INDEX aged_runs_due ON aged_runs (marked_at) WHERE removed_at IS NULL;
-- Runs by their end: the oldest are looked at first.
CREATE INDEX runs_by_end ON runs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE garbage (
    -- A blob that no run and no manifest names.
    name TEXT NOT NULL PRIMARY KEY,
    -- When that was first seen; after the time of grace it is removed.
    seen_at BIGINT NOT NULL,
    -- When that was last seen.
    looked_at BIGINT NOT NULL
);

CREATE TABLE chores (
    -- Work that one process at a time does now and then.
    name TEXT NOT NULL PRIMARY KEY,
    -- When it is to be done next; whoever moves this forward does it.
    due_at BIGINT NOT NULL
);
