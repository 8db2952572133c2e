-- Backfills: one run for every stretch of time in a range. A partition names its run; what became of it, the run says.

CREATE TABLE backfills (
    -- Made by who asked for it, so that asking twice makes one.
    id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    -- The pipeline.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- The version that its runs run.
    version TEXT NOT NULL REFERENCES versions (id),
    -- Where it is in its life.
    state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
    -- The begin of the range.
    from_time INTEGER NOT NULL,
    -- The end of the range.
    to_time INTEGER NOT NULL,
    -- How the range was cut, in words: a cron expression or a length.
    cut TEXT NOT NULL,
    -- Which partitions that were run before are run again.
    reprocess TEXT NOT NULL CHECK (reprocess IN ('none', 'failed', 'all')),
    -- Whether the newest partition goes first: 1 or 0.
    newest_first INTEGER NOT NULL CHECK (newest_first IN (0, 1)),
    -- How many of its runs may be under way at once.
    parallel INTEGER NOT NULL CHECK (parallel > 0),
    -- Parameters of its runs, as JSON.
    params TEXT NOT NULL,
    -- Who asked for it, as text.
    created_by TEXT,
    -- When.
    created_at INTEGER NOT NULL,
    -- When it last changed its state.
    changed_at INTEGER NOT NULL,
    CHECK (to_time > from_time)
) STRICT;

-- Those that have something to start.
CREATE INDEX backfills_alive ON backfills (created_at) WHERE state IN ('running', 'paused');

CREATE TABLE partitions (
    -- The backfill.
    backfill TEXT NOT NULL REFERENCES backfills (id),
    -- Its turn, from 0.
    place INTEGER NOT NULL CHECK (place >= 0),
    -- The first moment of its stretch of time.
    interval_start INTEGER NOT NULL,
    -- The first moment after it.
    interval_end INTEGER NOT NULL,
    -- Whether it was run before and is left out: 1 or 0.
    skipped INTEGER NOT NULL CHECK (skipped IN (0, 1)),
    -- Its run, noted together with the run; none before its turn.
    run_id BLOB,
    PRIMARY KEY (backfill, place),
    CHECK (interval_end > interval_start),
    CHECK (skipped = 0 OR run_id IS NULL)
) STRICT;

-- Whose turn is next.
CREATE INDEX partitions_pending ON partitions (backfill, place) WHERE run_id IS NULL AND skipped = 0;

-- Whether a stretch of time was run before.
CREATE INDEX runs_by_interval ON runs (pipeline, interval_start, interval_end, id) WHERE interval_start IS NOT NULL;
